"""The commands that look over many actions, as people and programs run them."""

import json
from typing import Any
from uuid import UUID

import pytest

from tests.workers.test_cli import run
from tests.world import Installation, top_up


class Desk:
    """A terminal beside an installation."""

    def __init__(self, installation: Installation) -> None:
        self.urls = {
            "DATABASE_URL": installation.settings.database_url,
            "REDIS_URL": installation.settings.redis_url,
        }

    def says(self, command: str) -> str:
        done = run(*command.split(), **self.urls)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def prints(self, command: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.says(f"{command} --json"))
        return found


@pytest.fixture
def desk(installation: Installation) -> Desk:
    return Desk(installation)


def two_waiting(installation: Installation) -> list[UUID | None]:
    told = installation.tell("sira", top_up("first"), top_up("second", triggered_by="ops-admin-1"))
    actions = [receipt.action_id for receipt in told]
    assert actions[0] is not None
    installation.vote(actions[0], "finance-user-1", comment="seen")
    return actions


def test_what_waits_for_a_role_is_listed_page_by_page(installation: Installation, desk: Desk) -> None:
    first, second = two_waiting(installation)
    (row,) = desk.prints("actions pending --role finance_ops --limit 1")
    widget = {"id", "action_type", "status", "votes_approve", "votes_reject", "quorum_satisfied", "created_at"}
    assert widget | {"expires_at"} <= row.keys()
    assert row["id"] == str(second)
    (later,) = desk.prints(f"actions pending --role finance_ops --limit 1 --after {row['cursor']}")
    assert (later["id"], later["status"], later["votes_approve"]) == (str(first), "pending_approval", 1)
    assert desk.prints("actions pending --role finance_ops --limit 1 --offset 1") == [later]
    assert f"--after {row['cursor']}" in desk.says("actions pending --role finance_ops --limit 1")
    assert "No action waits" in desk.says("actions pending --role cfo --person ceo-id")


def test_what_somebody_did_is_listed(installation: Installation, desk: Desk) -> None:
    first, second = two_waiting(installation)
    (vote,) = desk.prints("votes history finance-user-1")
    assert (vote["action_id"], vote["vote"], vote["action_status"]) == (str(first), "approve", "pending_approval")
    assert "seen" in desk.says("votes history finance-user-1")
    (action,) = desk.prints("actions history ops-admin-1")
    assert (action["id"], action["part"]) == (str(second), "triggered")
    assert str(second) in desk.says("actions history sira-system")
    assert "has not voted" in desk.says("votes history cfo-1")
    assert "no part in any action" in desk.says("actions history cfo-1")


def test_figures_are_told(installation: Installation, desk: Desk) -> None:
    assert "No actions" in desk.says("actions stats")
    assert "No action waits" in desk.says("actions summary")
    two_waiting(installation)
    installation.approved(key="done")
    (row,) = desk.prints("actions stats")
    assert (row["total"], row["approved"], row["approval_rate"]) == (3, 1, 1)
    assert desk.says("actions stats").splitlines()[1].split()[:5] == ["ADJUST_FLOAT", "3", "1", "0", "0"]
    told = [(row["status"], row["count"]) for row in desk.prints("actions summary")]
    assert told == [("pending_approval", 1), ("requested", 1)]
    assert "requested" in desk.says("actions summary")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("actions pending", "--role"),
        ("actions pending --role cfo --limit 201", "200"),
        ("actions pending --role cfo --after x", "not a cursor"),
        ("votes history eve --offset 10001", "10000"),
    ],
)
def test_a_page_that_there_cannot_be_is_told(desk: Desk, command: str, says: str) -> None:
    done = run(*command.split(), **desk.urls)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
