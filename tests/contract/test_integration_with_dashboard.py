"""Integration with the dashboard: what waits for a user's roles, what the user voted, figures, and the widget's fields."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from db import connect, read
from tests.contract.words import create_ops_action, vote_on_action
from tests.world import Installation

WIDGET = (
    "id",
    "action_type",
    "status",
    "votes_approve",
    "votes_reject",
    "quorum_satisfied",
    "created_at",
    "expires_at",
)


@pytest.fixture
def dashboard(engine: Installation) -> Iterator[connect.Connection]:
    """The dashboard reads with the rights of the role that is there for it."""
    with connect.connect(engine.settings.database_url, "dashboard", role="ops_reader") as conn:
        yield conn


def ask(engine: Installation, action_type: str, **params: Any) -> UUID:
    asked = {"origin": "ops_ui", "action_type": action_type, "params": params, "created_by": "ops-admin-2"}
    action_id = create_ops_action(engine, "ops-tooling", **asked)["action_id"]
    assert isinstance(action_id, UUID)
    return action_id


def test_the_console_shows_what_waits_for_the_users_roles_their_votes_and_the_figures(
    engine: Installation, dashboard: connect.Connection
) -> None:
    top_up = ask(engine, "ADJUST_FLOAT", agent_id="agent-123", adjustment="top_up", amount=1)
    frozen = ask(engine, "FREEZE_MERCHANT", merchant_id="m-1", reason="fraud")
    vote_on_action(engine, top_up, "finance-user-1", ["finance_ops"], "approve", "fine")

    assert [row["id"] for row in read.get_pending_actions(dashboard, ["finance_ops"], 10, 0)] == [top_up]
    assert [row["id"] for row in read.get_pending_actions(dashboard, ["pay_admin"], 10, 0)] == [frozen]
    assert [row["id"] for row in read.get_pending_actions(dashboard, ["finance_ops", "pay_admin"], 1, 1)] == [top_up]
    assert read.get_pending_actions(dashboard, ["merchant_admin"], 10, 0) == []

    (voted,) = read.get_user_vote_history(dashboard, "finance-user-1", 5, 0)
    assert (voted["action_id"], voted["vote"], voted["comment"]) == (top_up, "approve", "fine")
    assert {row["id"] for row in read.get_user_action_history(dashboard, "ops-admin-2", 5, 0)} == {top_up, frozen}

    vote_on_action(engine, top_up, "finance-user-2", ["finance_ops"], "approve")
    stats = {row["action_type"]: row for row in read.get_approval_stats(dashboard)}
    assert (
        stats["ADJUST_FLOAT"]["total"],
        stats["ADJUST_FLOAT"]["approved"],
        stats["ADJUST_FLOAT"]["approval_rate"],
    ) == (
        1,
        1,
        1,
    )
    assert stats["ADJUST_FLOAT"]["average_seconds_to_decision"] >= 0
    (waiting,) = read.get_pending_summary(dashboard)  # there is one pay_admin, so it went on to the ops_admin at once
    assert (waiting["action_type"], waiting["status"], waiting["count"]) == ("FREEZE_MERCHANT", "escalated", 1)


def test_the_widget_of_pending_approvals_has_its_fields(engine: Installation, dashboard: connect.Connection) -> None:
    action_id = ask(engine, "ADJUST_FLOAT", agent_id="agent-123", adjustment="top_up", amount=1)
    vote_on_action(engine, action_id, "finance-user-1", ["finance_ops"], "approve")
    (row,) = read.get_pending_actions(dashboard, ["finance_ops"], 10, 0)
    shown = {name: row[name] for name in WIDGET}
    assert shown["id"] == action_id
    assert (shown["action_type"], shown["status"]) == ("ADJUST_FLOAT", "pending_approval")
    assert (shown["votes_approve"], shown["votes_reject"], shown["quorum_satisfied"]) == (1, 0, False)
    assert shown["created_at"] < shown["expires_at"]


def test_an_action_is_read_with_its_votes(engine: Installation, dashboard: connect.Connection) -> None:
    action_id = ask(engine, "ADJUST_FLOAT", agent_id="agent-123", adjustment="top_up", amount=1)
    vote_on_action(engine, action_id, "finance-user-1", ["finance_ops"], "approve", "Reviewed")
    vote_on_action(engine, action_id, "finance-user-2", ["finance_ops"], "reject")
    action = read.get_action_with_votes(dashboard, action_id)
    assert action is not None
    votes = [(vote["voter_id"], vote["vote"], vote["comment"]) for vote in action["votes"]]
    assert votes == [("finance-user-1", "approve", "Reviewed"), ("finance-user-2", "reject", None)]
    assert (action["votes_total"], float(action["approval_ratio"])) == (2, 0.5)
    assert [policy["name"] for policy in read.list_policies(dashboard, enabled_only=True)]
