"""No read looks through a table at 100,000 actions: each statement of each function is explained as it is executed.

`READ_AT_MOST` is about rows that are fetched, wanted or not, and so a walk through a whole index is seen as well. Figures over
all actions are the exception: they read entries of an index that holds all they need, and hardly a row.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from db import events, health, history, inbox, look, proposals, read
from db.connect import Connection
from domain.action import AttemptState
from domain.lifecycle import Status
from domain.messages import Outcome
from tests.db.many import MANY, fill
from tests.world import Installation, top_up

SMALL = {"keys", "definitions", "people", "grants", "cursors", "pg_database"}
"""Tables that do not grow with actions: a look through them is as good as an index."""

READ_AT_MOST = 1_500

ALL_STATUSES = [*Status]


@dataclass(frozen=True)
class Known:
    """What the reads are asked for."""

    action: UUID
    deep: str
    """A cursor in the middle of everything."""


Read = Callable[[Connection, Known], object]


def relay(conn: Connection, _: Known) -> None:
    """What the relay reads: what happened since it has put out everything before."""
    with conn.transaction():
        cursor = events.claim(conn)
        assert cursor is not None
        pages = list(events.unseen(conn, cursor, page=500, again=0))
    assert sum(map(len, pages)) == 1


def newest(conn: Connection) -> list[UUID]:
    """What a page of a backtest is about."""
    return [action_id for _, action_id in history.list_newest(conn, None, 100)]


READS: Mapping[str, Read] = {
    "get_action_with_votes": lambda conn, known: read.get_action_with_votes(conn, known.action),
    "get_pending_actions, of a role that all ask": lambda conn, _: read.get_pending_actions(conn, ["finance_ops"]),
    "get_pending_actions, of a role that few ask": lambda conn, _: read.get_pending_actions(conn, ["cfo"]),
    "get_pending_actions, of a role that none asks": lambda conn, _: read.get_pending_actions(conn, ["merchant_admin"]),
    "get_pending_actions, of several roles": lambda conn, _: read.get_pending_actions(conn, ["cfo", "finance_ops"]),
    "get_pending_actions, of a person": lambda conn, _: read.get_pending_actions(conn, [], person="ceo-id"),
    "get_pending_actions, of nobody": lambda conn, _: read.get_pending_actions(conn, []),
    "get_pending_actions, a later page": lambda conn, _: read.get_pending_actions(conn, ["finance_ops"], 100, 500),
    "get_pending_actions, after": lambda conn, known: read.get_pending_actions(conn, ["finance_ops"], after=known.deep),
    "get_user_vote_history": lambda conn, _: read.get_user_vote_history(conn, "person-10"),
    "get_user_vote_history, after": lambda conn, known: read.get_user_vote_history(conn, "person-10", after=known.deep),
    "get_user_action_history, of a person": lambda conn, _: read.get_user_action_history(conn, "person-10"),
    "get_user_action_history, of a machine": lambda conn, _: read.get_user_action_history(conn, "machine-1"),
    "get_user_action_history, after": lambda conn, known: read.get_user_action_history(
        conn, "machine-1", after=known.deep
    ),
    "get_audit_trail": lambda conn, known: read.get_audit_trail(conn, known.action),
    "get_policy": lambda conn, _: read.get_policy(conn, "Merchant Freeze"),
    "list_policies": lambda conn, _: read.list_policies(conn),
    "list_actions, all": lambda conn, _: read.list_actions(conn, ALL_STATUSES, 50),
    "list_actions, of a state that is rare": lambda conn, _: read.list_actions(conn, [Status.OUTCOME_UNKNOWN], 50),
    "list_attempts": lambda conn, _: read.list_attempts(conn, [*AttemptState], 50),
    "get_attempts": lambda conn, known: read.get_attempts(conn, known.action),
    "get_receipt": lambda conn, _: read.get_receipt(conn, bytes(32)),
    "find_receipts": lambda conn, _: read.find_receipts(conn, "many-5000"),
    "get_receipts_of_action": lambda conn, known: read.get_receipts_of_action(conn, known.action),
    "get_alert": lambda conn, _: read.get_alert(conn, "alert-of-77"),
    "get_alert_decisions": lambda conn, _: read.get_alert_decisions(conn, "alert-of-77"),
    "get_recommendation": lambda conn, _: read.get_recommendation(conn, "recommendation-of-77"),
    "list_recommendations": lambda conn, _: read.list_recommendations(conn),
    "list_recommendations, after": lambda conn, known: read.list_recommendations(conn, after=known.deep),
    "list_people": lambda conn, _: read.list_people(conn),
    "list_holders": lambda conn, _: read.list_holders(conn, "finance_ops"),
    "look.world": lambda conn, known: look.world(conn, known.action),
    "history.get": lambda conn, known: history.get(conn, known.action),
    "history.get_several": lambda conn, _: history.get_several(conn, newest(conn)),
    "proposals.alert_types_of": lambda conn, _: proposals.alert_types_of(conn, newest(conn)),
    "history.list_ids": lambda conn, known: history.list_ids(conn, known.action, 500),
    "history.list_newest": lambda conn, _: history.list_newest(conn, None, 100),
    "inbox.find_messages": lambda conn, _: inbox.find_messages(conn, [Outcome.DEAD, Outcome.QUARANTINED], limit=50),
    "inbox.get_messages": lambda conn, _: inbox.get_messages(conn, [5, 6]),
    "events.unseen": relay,
    "events.is_anything_unseen": lambda conn, _: events.is_anything_unseen(conn),
    "events.read_backlog": lambda conn, _: events.read_backlog(conn),
}

FIGURES: Mapping[str, Read] = {
    "get_approval_stats": lambda conn, _: read.get_approval_stats(conn),
    "get_pending_summary": lambda conn, _: read.get_pending_summary(conn),
    "health.read_work": lambda conn, _: health.read_work(conn),
}


class Recorder:
    """Before a cursor in the order of bases it keeps what that executes."""

    executed: list[tuple[Any, Any]]

    def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
        self.executed.append((query, params))
        return super().execute(query, params, **more)  # type: ignore[misc]  # the cursor's


@pytest.fixture(scope="module")
def full(shared_installation: Installation) -> tuple[Connection, Known]:
    fill(shared_installation)
    conn = shared_installation.owner
    middle = conn.execute("select id from actions where idempotency_key = %s", [f"many-{MANY // 2}"]).fetchone()
    assert middle is not None
    page = read.get_user_action_history(conn, "machine-1", limit=200, offset=MANY // 10)
    with conn.transaction():
        assert events.claim(conn) is not None
        events.advance(conn, None)
    shared_installation.tell("sira", top_up("later"))
    return conn, Known(middle["id"], page[-1]["cursor"])


def plans(conn: Connection, known: Known, function: Read) -> Iterator[dict[str, Any]]:
    """The plan of each statement that the function executes, with what each part of it came to."""
    recorded: list[tuple[Any, Any]] = []
    factories = conn.cursor_factory, conn.server_cursor_factory
    conn.cursor_factory = type("Recording", (Recorder, psycopg.Cursor), {"executed": recorded})
    conn.server_cursor_factory = type("Recording", (Recorder, psycopg.ServerCursor), {"executed": recorded})
    try:
        function(conn, known)
    finally:
        conn.cursor_factory, conn.server_cursor_factory = factories
    statements = [(query, params) for query, params in recorded if "select" in query]
    assert statements
    for query, params in statements:
        row = conn.execute("explain (analyze, buffers, format json) " + query, params).fetchone()
        assert row is not None
        yield row["QUERY PLAN"][0]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def on_growing_tables(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in nodes(plan) if node.get("Relation Name", "keys") not in SMALL]


def rows_read(node: dict[str, Any]) -> float:
    """The rows that a scan fetched, those that it then left out among them."""
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


@pytest.mark.parametrize("name", [*READS, *FIGURES])
def test_no_read_scans_a_table(full: tuple[Connection, Known], name: str) -> None:
    for plan in plans(*full, {**READS, **FIGURES}[name]):
        assert [
            node["Relation Name"] for node in on_growing_tables(plan["Plan"]) if node["Node Type"] == "Seq Scan"
        ] == []


@pytest.mark.parametrize("name", READS)
def test_no_read_fetches_many_more_rows_than_it_returns(full: tuple[Connection, Known], name: str) -> None:
    for plan in plans(*full, READS[name]):
        assert sum(map(rows_read, on_growing_tables(plan["Plan"]))) <= READ_AT_MOST


@pytest.mark.parametrize("name", FIGURES)
def test_figures_fetch_hardly_a_row_beside_the_entries_of_an_index(full: tuple[Connection, Known], name: str) -> None:
    for plan in plans(*full, FIGURES[name]):
        scans = on_growing_tables(plan["Plan"])
        assert "Index Only Scan" in {node["Node Type"] for node in scans}
        assert (
            sum(node["Heap Fetches"] if "Heap Fetches" in node else rows_read(node) for node in scans) <= READ_AT_MOST
        )


def test_every_read_of_callers_is_among_these() -> None:
    assert set(read.__all__) == {name.split(",")[0] for name in {**READS, **FIGURES} if "." not in name}
