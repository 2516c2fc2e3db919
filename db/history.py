"""Everything that the database knows about one action, to be looked at as a whole."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db import rows
from db.connect import Connection
from domain.directory import Grant
from domain.lifecycle import Status
from domain.quorum_tree import pool_roles
from domain.trail import Event
from domain.world import Action, Record, Vote


@dataclass(frozen=True, slots=True)
class History:
    """An action with its trail, its votes and the messages that were applied to it.

    `compromised` says since when the keys of its votes are, `pools` who held the roles of which a share must agree.
    """

    action: Action
    events: list[Event]
    votes: list[Vote]
    messages: list[Record]
    compromised: dict[str, datetime]
    pools: list[Grant]


def list_ids(conn: Connection, after: UUID | None, limit: int) -> list[UUID]:
    """The ids of all actions in their order, `limit` at a time."""
    found = conn.execute(
        "select id from actions where id > %s order by id limit %s", [after or UUID(int=0), limit]
    ).fetchall()
    return [row["id"] for row in found]


def list_newest(conn: Connection, after: tuple[datetime, UUID] | None, limit: int) -> list[tuple[datetime, UUID]]:
    """When the newest actions were created, and their ids, the newest first; those that follow on `after`."""
    created_at, action_id = after or ("infinity", UUID(int=0))
    found = conn.execute(
        """
        select newest.* from unnest(%(statuses)s::text[]) as wanted(status)
         cross join lateral (select created_at, id from actions a
                              where a.status = wanted.status
                                and created_at <= %(created_at)s and (created_at < %(created_at)s or id > %(id)s)
                              order by created_at desc, id limit %(limit)s) as newest
         order by created_at desc, id limit %(limit)s
        """,
        {"statuses": list(Status), "created_at": created_at, "id": action_id, "limit": limit},
    ).fetchall()
    return [(row["created_at"], row["id"]) for row in found]


def get(conn: Connection, action_id: UUID) -> History | None:
    """The history of an action; raises ValueError or KeyError if its rows are nothing that this release ever wrote."""
    row = conn.execute("select * from actions where id = %s", [action_id]).fetchone()
    if row is None:
        return None
    action = rows.action(row)
    events = conn.execute("select * from events where action_id = %s order by seq", [action_id]).fetchall()
    votes = conn.execute("select * from votes where action_id = %s", [action_id]).fetchall()
    messages = conn.execute(
        "select * from messages where action_id = %s and outcome in ('applied', 'duplicate') order by id", [action_id]
    ).fetchall()
    compromised = conn.execute(
        "select kid, revoked_at from keys where revoked_why = 'compromised' and kid = any(%s)",
        [[vote["kid"] for vote in votes]],
    ).fetchall()
    roles = sorted(pool_roles(action.requirement.tree))
    pools = conn.execute("select * from grants where role = any(%s)", [roles]).fetchall() if roles else []
    return History(
        action=action,
        events=[rows.event(item) for item in events],
        votes=[rows.vote(item) for item in votes],
        messages=[rows.record(item) for item in messages],
        compromised={item["kid"]: item["revoked_at"] for item in compromised},
        pools=[rows.grant(item) for item in pools],
    )
