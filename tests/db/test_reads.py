"""What callers read: lists, histories and figures, under the names that they know; with no more rights than a reader has."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import sql

from db import connect, read
from domain.engine import Due
from domain.lifecycle import Status
from domain.messages import CreateAction
from tests.world import Installation, directory, top_up
from workers import definition_files

POLICIES = """
policies:
  - name: Named
    criteria: {params.amount: 1}
    priority: 300
    policy: {required_quorum: {type: specific_users, value: {users: [ceo-id, cfo-id]}}}
  - name: Tree
    criteria: {params.amount: 2}
    priority: 300
    policy:
      required_quorum:
        type: any_of
        value:
          of:
            - {type: percentage, value: {percentage: 0.6, pool: pay_admin}}
            - {type: all_of, value: {of: [
                {type: role, value: {role: finance_ops, min_votes: 1}},
                {type: role, value: {role: ops_admin, min_votes: 1}}]}}
      escalation: [{role: cfo, timeout_seconds: 3600}, {role: ceo, timeout_seconds: 3600}]
      timeout_seconds: 60
      veto_roles: [risk]
      break_glass: {role: firefighter, uses: 1, within_seconds: 60, valid_seconds: 60}
"""


@pytest.fixture
def company(installation: Installation) -> Installation:
    definition_files.apply(installation.owner, definition_files.parse(POLICIES, "policies.yaml"), by="tests")
    return installation


@pytest.fixture
def reader(company: Installation) -> Iterator[connect.Connection]:
    """A dashboard's connection."""
    with closing(connect.connect(company.settings.database_url, "tests reader", role="ops_reader")) as conn:
        yield conn


def created(company: Installation, key: str, **changes: Any) -> UUID:
    (receipt,) = company.tell("sira", top_up(key, **changes))
    assert receipt.action_id is not None, receipt
    return receipt.action_id


def ids(rows: list[dict[str, Any]], column: str = "id") -> list[UUID]:
    return [row[column] for row in rows]


def asks(conn: connect.Connection, *roles: str) -> list[UUID]:
    return ids(read.get_pending_actions(conn, roles))


def test_a_role_sees_what_it_can_fill_a_seat_of_wherever_in_the_tree(
    company: Installation, reader: connect.Connection
) -> None:
    tree = created(company, "tree", amount=2)
    for role in ("pay_admin", "finance_ops", "ops_admin"):
        assert asks(reader, role) == [tree]
    assert asks(reader, "merchant_admin") == []
    assert asks(reader, "firefighter") == [], "who may break glass in an emergency is not asked"


def test_who_may_veto_is_asked(company: Installation, reader: connect.Connection) -> None:
    tree = created(company, "tree", amount=2)
    assert asks(reader, "risk") == [tree]


def test_the_role_of_an_escalation_step_is_asked_from_the_step_on(
    company: Installation, reader: connect.Connection
) -> None:
    tree = created(company, "tree", amount=2)
    assert asks(reader, "cfo") == []
    company.make_due(tree)
    company.applier.apply([Due(tree)])
    assert company.action(tree)["status"] == "escalated"
    assert asks(reader, "cfo") == [tree]
    assert asks(reader, "ceo") == []
    assert asks(reader, "pay_admin") == [tree]


def test_who_is_named_one_by_one_sees_it_by_name_and_no_role_does(
    company: Installation, reader: connect.Connection
) -> None:
    company.tell("directory", directory(2, {"ceo-id": ("ceo",), "cfo-id": ("cfo",)}))
    named = created(company, "named", amount=1)
    assert ids(read.get_pending_actions(reader, [], person="ceo-id")) == [named]
    assert ids(read.get_pending_actions(reader, ["finance_ops"], person="ceo-id")) == [named]
    assert read.get_pending_actions(reader, ["ceo", "cfo", "ceo-id"]) == []
    assert read.get_pending_actions(reader, [], person="ceo") == []


def test_one_role_that_is_no_list_is_not_taken_for_roles_of_one_letter(reader: connect.Connection) -> None:
    with pytest.raises(TypeError, match=r"\['finance_ops'\]"):
        read.get_pending_actions(reader, "finance_ops")


def test_no_roles_and_nobody_see_nothing(company: Installation, reader: connect.Connection) -> None:
    created(company, "one")
    assert read.get_pending_actions(reader, []) == []


def test_what_is_decided_waits_for_nobody(company: Installation, reader: connect.Connection) -> None:
    company.approved(key="done")
    waiting = created(company, "waiting")
    assert asks(reader, "finance_ops") == [waiting]
    company.vote(waiting, "finance-user-1")
    assert read.get_pending_actions(reader, ["finance_ops"])[0]["status"] == "pending_approval"


def test_a_widget_has_the_fields_of_the_spec(company: Installation, reader: connect.Connection) -> None:
    action = created(company, "one")
    company.vote(action, "finance-user-1", comment="Reviewed float levels")
    company.vote(action, "finance-user-2", "abstain")
    (row,) = read.get_pending_actions(reader, ["finance_ops"], 10, 0)
    known = company.action(action)
    widget = {
        "id": action,
        "action_type": "ADJUST_FLOAT",
        "status": "pending_approval",
        "votes_approve": 1,
        "votes_reject": 0,
        "quorum_satisfied": False,
        "created_at": known["created_at"],
        "expires_at": known["expires_at"],
    }
    assert {name: row[name] for name in widget} == widget
    assert (row["votes_abstain"], row["votes_total"], row["approval_ratio"]) == (1, 2, 1)
    assert [(vote["voter_id"], vote["comment"]) for vote in row["votes"]] == [
        ("finance-user-1", "Reviewed float levels"),
        ("finance-user-2", None),
    ]


def test_roles_are_looked_at_before_a_page_is_cut(company: Installation, reader: connect.Connection) -> None:
    first = created(company, "tree", amount=2)
    for number in range(3):
        created(company, f"other-{number}")
    assert ids(read.get_pending_actions(reader, ["pay_admin"], limit=1)) == [first]


def test_pages_by_number_and_by_cursor_are_the_same_and_whole(
    company: Installation, reader: connect.Connection
) -> None:
    actions = [created(company, f"one-{number}") for number in range(5)]
    moment = company.scalar("select created_at from actions where id = %s", actions[0])
    with company.owner.transaction():
        company.owner.execute("set local session_replication_role = replica")
        company.owner.execute("update actions set created_at = %s where id = any(%s)", [moment, actions[:4]])
    expected = [actions[4], *sorted(actions[:4])]

    def pages(after: str | None = None) -> Iterator[UUID]:
        while found := read.get_pending_actions(reader, ["finance_ops"], limit=2, after=after):
            yield from ids(found)
            after = found[-1]["cursor"]

    assert list(pages()) == expected
    by_number = (read.get_pending_actions(reader, ["finance_ops"], 2, offset) for offset in (0, 2, 4))
    assert [action for page in by_number for action in ids(page)] == expected


def test_a_page_that_there_cannot_be_is_refused_with_what_to_ask_for(reader: connect.Connection) -> None:
    for limit, offset, after, says in (
        (0, 0, None, "1 to 200"),
        (201, 0, None, "1 to 200"),
        (10, -1, None, "0 to 10000"),
        (10, 10_001, None, "0 to 10000"),
        (10, 0, "next", "not a cursor"),
        (10, 0, "é", "not a cursor"),
        (10, 0, "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMCAA", "not a cursor"),  # its id is the character NUL
    ):
        for page in (
            partial(read.get_user_vote_history, reader, "eve"),
            partial(read.get_user_action_history, reader, "eve"),
            partial(read.get_pending_actions, reader, ["ops_admin"]),
            partial(read.list_recommendations, reader),
        ):
            with pytest.raises(ValueError, match=says):
                page(limit, offset, after=after)


def test_a_persons_votes_are_the_newest_on_each_action_and_say_what_became_of_it(
    company: Installation, reader: connect.Connection
) -> None:
    done, open_ = company.approved(key="done"), created(company, "open")
    company.vote(open_, "finance-user-1", "reject")
    company.vote(open_, "finance-user-1", "abstain", comment="not mine to say")
    found = read.get_user_vote_history(reader, "finance-user-1")
    assert [(row["action_id"], row["vote"], row["comment"], row["action_status"]) for row in found] == [
        (open_, "abstain", "not mine to say", "pending_approval"),
        (done, "approve", None, "approved"),
    ]
    (later,) = read.get_user_vote_history(reader, "finance-user-1", 1, after=found[0]["cursor"])
    assert later == found[1]
    assert read.get_user_vote_history(reader, "finance-user-3") == []


def test_a_persons_actions_are_those_they_had_a_part_in_each_once(
    company: Installation, reader: connect.Connection
) -> None:
    executed = company.approved(key="executed")
    triggered = created(company, "triggered", triggered_by="ops-admin-1")
    found = read.get_user_action_history(reader, "ops-admin-1")
    assert [(row["id"], row["part"]) for row in found] == [(triggered, "triggered"), (executed, "executed")]
    assert ids(read.get_user_action_history(reader, "ops-admin-1", 1, after=found[0]["cursor"])) == [executed]
    made = read.get_user_action_history(reader, "sira-system")
    assert [(row["id"], row["part"]) for row in made] == [(triggered, "created"), (executed, "created")]


def test_stats_count_by_what_was_decided(company: Installation, reader: connect.Connection) -> None:
    lapsed, expired = company.approved(key="lapsed"), created(company, "expired")
    rejected, cancelled = created(company, "rejected"), created(company, "waiting")
    for person in ("finance-user-1", "finance-user-2"):
        company.vote(rejected, person, "reject")
    with company.owner.transaction():
        company.owner.execute("set local session_replication_role = replica")
        company.owner.execute("update actions set decided_at = created_at + interval '30 s' where id = %s", [lapsed])
        company.owner.execute("update actions set decided_at = created_at + interval '90 s' where id = %s", [rejected])
        company.owner.execute("update actions set status = 'expired' where id = any(%s)", [[lapsed, expired]])
        company.owner.execute("update actions set status = 'cancelled' where id = %s", [cancelled])
    (row,) = read.get_approval_stats(reader)
    assert row == {
        "action_type": "ADJUST_FLOAT",
        "total": 4,
        "approved": 1,
        "rejected": 1,
        "expired": 1,
        "average_seconds_to_decision": Decimal(60),
        "approval_rate": Decimal("0.5"),
    }


def test_where_nothing_was_decided_there_is_no_rate(company: Installation, reader: connect.Connection) -> None:
    created(company, "one")
    (row,) = read.get_approval_stats(reader)
    assert (row["total"], row["average_seconds_to_decision"], row["approval_rate"]) == (1, None, None)


def test_the_summary_says_what_waits_in_which_state_and_since_when(
    company: Installation, reader: connect.Connection
) -> None:
    company.approved(key="done")
    first, _, voted = (created(company, key) for key in ("first", "second", "voted"))
    company.vote(voted, "finance-user-1")

    def since(action: UUID) -> datetime:
        moment: datetime = company.action(action)["created_at"]
        return moment

    assert read.get_pending_summary(reader) == [
        {"action_type": "ADJUST_FLOAT", "status": "pending_approval", "count": 1, "oldest": since(voted)},
        {"action_type": "ADJUST_FLOAT", "status": "requested", "count": 2, "oldest": since(first)},
    ]


def test_a_policy_is_found_by_its_name_until_it_is_removed(company: Installation, reader: connect.Connection) -> None:
    found = read.get_policy(reader, "Named")
    assert found is not None
    assert (found["version"], found["priority"], found["enabled"]) == (1, 300, True)
    assert found["criteria"] == {"params.amount": 1}
    assert found["policy"]["required_quorum"]["value"] == {"users": ["ceo-id", "cfo-id"]}
    assert found["name"] in [row["name"] for row in read.list_policies(reader, enabled_only=True)]
    company.owner.execute(
        "insert into definitions (kind, name, version, body, created_by) values ('policy', 'Named', 2, null, 'tests')"
    )
    assert read.get_policy(reader, "Named") is None
    assert read.get_policy(reader, "Nobody's") is None


def test_what_a_change_of_a_definition_replaces_is_read_with_it(
    company: Installation, reader: connect.Connection
) -> None:
    def replaced(kind: str, name: str, number: int) -> Any:
        params = {"kind": kind, "name": name, "replaces": number, "definition": None, "reason": "gone"}
        (receipt,) = company.tell(
            "definitions",
            CreateAction(origin="ops_ui", action_type="CHANGE_DEFINITION", params=params, created_by="ops-admin-1"),
        )
        found = read.get_action_with_votes(reader, receipt.action_id or UUID(int=0))
        assert found is not None, receipt
        return found["replaced"]

    body = top_up("other")
    assert replaced("policy", "Named", 1)["criteria"] == {"params.amount": 1}
    assert replaced("action_type", "FREEZE_MERCHANT", 1)["name"] == "FREEZE_MERCHANT"
    (receipt,) = company.tell("sira", body.model_copy(update={"params": body.params | {"replaces": "x"}}))
    other = read.get_action_with_votes(reader, receipt.action_id or UUID(int=0))
    assert other is not None, receipt
    assert other["replaced"] is None


def test_the_page_about_reads_has_every_function_and_the_columns_of_its_views(reader: connect.Connection) -> None:
    page = Path(__file__).parent.parent.parent.joinpath("docs", "reads.md").read_text()
    told = set(re.findall(r"`(\w+)\(conn", page))
    assert told <= set(read.__all__)
    assert {name for name in read.__all__ if "pending" in name or "history" in name or "stats" in name} <= told
    for shown in re.findall(r"^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        assert reader.execute(shown.encode()).description is not None
    without_sql = re.sub(r"^```sql\n.*?^```\n+", "", page, flags=re.MULTILINE | re.DOTALL)
    sections = re.findall(r"^### (\w+_\w+|alerts)\n\n(.*?)(?=^##|\Z)", without_sql, re.MULTILINE | re.DOTALL)
    assert len(sections) == 11
    for view, text in sections:
        described = reader.execute(sql.SQL("select * from {} limit 0").format(sql.Identifier(view))).description
        columns = [column.name for column in described or ()]
        listed = re.findall(r"`(\w+)`", text)
        assert view == "pending_actions" or listed[: len(columns)] == columns, view


def test_a_reader_reads_all_that_concerns_an_action(company: Installation, reader: connect.Connection) -> None:
    action = company.approved(key="one")
    assert read.get_action_with_votes(reader, action) == company.action(action)
    assert [event.event.value for event in read.get_audit_trail(reader, action)] == company.trail(action)
    assert ids(read.list_actions(reader, [Status.APPROVED], 10)) == [action]
    assert read.get_attempts(reader, action) == read.list_attempts(reader, [], 10) == []
    assert read.get_action_with_votes(reader, uuid4()) is None
