"""What the trail has to tell since it was last read: every event once it is committed, of each action in order.

A reader's cursor is a snapshot. Ids and numbers of transactions are drawn long before the commit, so a reader that goes by
them either misses what commits late or waits for every transaction of the server that is under way. The window between two
snapshots has no such holes: who writes an action's next event has waited, on the action's lock, for whoever wrote the one
before, so a snapshot that sees an event sees all before it. Within a window ids rise with each action's events, as they are
drawn under that lock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db import rows
from db.connect import Connection
from domain import trail
from domain.outgoing import Outgoing

OUT = "events_out"
"""The name of the relay's cursor."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the relay has come: with what `seen` sees, of which the newest entry of the stream is `entry_id`.

    Without `seen` it begins, or begins again.
    """

    seen: str | None
    entry_id: str | None


BEGINNING = Cursor(None, None)
"""The cursor of a relay that begins, or begins again because its stream is not what it left."""


# A server to which a dump was restored counts its transactions anew, and `seen` says nothing there.
_CURSOR = """
    select case when pg_snapshot_xmax(seen) <= pg_snapshot_xmax(pg_current_snapshot()) then seen end as seen, entry_id
      from cursors where name = %s
"""

# The bounds are for the index; what lies between is for the two snapshots to say, one of which is the statement's own.
_UNSEEN = """
    select * from events
     where xid >= pg_snapshot_xmin(%(seen)s) and xid < pg_snapshot_xmax(pg_current_snapshot())
       and not pg_visible_in_snapshot(xid, %(seen)s)
"""

_LATELY = "select * from events where at > clock_timestamp() - interval '7 days'"

# Materialized: the planner would rather walk through the whole trail in the order of ids.
_WINDOW = "with unseen as materialized (" + _UNSEEN + ") "
_WINDOW += "select unseen.*, action_type from unseen join actions on actions.id = action_id order by unseen.id"

_AGAIN = """
    with newest as materialized (select * from events order by id desc limit %(again)s)
    select newest.*, action_type from newest join actions on actions.id = action_id
     where at > clock_timestamp() - interval '7 days' order by newest.id
"""


def claim(conn: Connection) -> Cursor | None:
    """Lock the relay's cursor in a transaction that has just begun, or None if another relay holds it.

    The transaction sees one moment from now on. Raises psycopg.errors.SerializationFailure if another relay was faster.
    """
    conn.execute("set transaction isolation level repeatable read")
    # One that is stopped, or cut off, must lose the lock.
    conn.execute("set local idle_in_transaction_session_timeout = '30s'")
    row = conn.execute(_CURSOR + " for update skip locked", [OUT]).fetchone()
    return None if row is None else Cursor(**row)


def unseen(conn: Connection, cursor: Cursor, *, page: int, again: int) -> Iterator[list[Outgoing]]:
    """What has happened since, `page` events at a time, of each action in order; in the transaction of `claim`.

    One that begins gets what there is of the last 7 days, and of that the newest `again` events.
    """
    with conn.cursor(name="unseen") as found:
        statement = _WINDOW if cursor.seen is not None else _AGAIN
        found.execute(statement, {"seen": cursor.seen, "again": again})
        while events := found.fetchmany(page):
            yield _told(conn, events)


def _told(conn: Connection, found: Sequence[dict[str, Any]]) -> list[Outgoing]:
    """Events with the status in which each left its action, told from that action's trail up to it."""
    last: dict[UUID, int] = {row["action_id"]: row["seq"] for row in found}
    trails = conn.execute(
        """
        select e.* from unnest(%s::uuid[], %s::integer[]) as last(action_id, seq)
          join events e on e.action_id = last.action_id and e.seq <= last.seq
         order by e.action_id, e.seq
        """,
        [list(last), list(last.values())],
    ).fetchall()
    statuses = trail.statuses(map(rows.event, trails))
    return [Outgoing(rows.event(row), row["action_type"], statuses[row["action_id"], row["seq"]]) for row in found]


def advance(conn: Connection, entry_id: str | None) -> None:
    """Note that all is out that this transaction sees, up to this entry of the stream."""
    conn.execute(
        """
        update cursors set (seen, entry_id, updated_at) = (pg_current_snapshot(), %s, clock_timestamp()) where name = %s
        """,
        [entry_id, OUT],
    )


def is_anything_unseen(conn: Connection) -> bool:
    """Whether the relay would find something to put out; costs a look at an index."""
    cursor = conn.execute(_CURSOR, [OUT]).fetchone()
    if cursor is None or cursor["seen"] is None:
        return conn.execute("select from events limit 1").fetchone() is not None
    # In order, so that it is the index that is looked at, whatever the planner takes the trail for.
    return conn.execute(_UNSEEN + " order by xid limit 1", cursor).fetchone() is not None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not out yet: how many events, and how long ago the first of them happened."""

    events: int
    oldest_seconds: float


def read_backlog(conn: Connection) -> Backlog:
    """Count what the relay has not put out."""
    cursor = conn.execute(_CURSOR, [OUT]).fetchone()
    seen = cursor["seen"] if cursor is not None else None
    statement = "with waiting as (" + (_LATELY if seen is None else _UNSEEN) + ") "
    statement += """
        select count(*) as events, coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float as oldest_seconds
          from waiting
        """
    row = conn.execute(statement, {"seen": seen}).fetchone()
    assert row is not None  # noqa: S101 - it counts
    return Backlog(**row)
