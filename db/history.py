"""Everything that the database knows about one action, to be looked at as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from db import rows
from db.connect import Connection
from domain.action import Action, Vote
from domain.directory import Grant
from domain.lifecycle import Status
from domain.quorum_tree import pool_roles
from domain.trail import Event
from domain.world import Record


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
    return next(iter(get_several(conn, [action_id])), None)


def get_several(conn: Connection, action_ids: Sequence[UUID]) -> list[History]:
    """The histories of those of these actions that are there, in this order, in one statement for each table; raises as `get` does."""

    def of_each(statement: LiteralString) -> dict[UUID, list[dict[str, Any]]]:
        found: dict[UUID, list[dict[str, Any]]] = {}
        for row in conn.execute(statement, [list(action_ids)]).fetchall():
            found.setdefault(row["action_id"], []).append(row)
        return found

    kept = conn.execute("select * from actions where id = any(%s)", [list(action_ids)]).fetchall()
    actions = {row["id"]: rows.action(row) for row in kept}
    events = of_each("select * from events where action_id = any(%s) order by action_id, seq")
    votes = of_each("select * from votes where action_id = any(%s)")
    messages = of_each(
        "select * from messages where action_id = any(%s) and outcome in ('applied', 'duplicate') order by action_id, id"
    )
    compromised = conn.execute(
        "select kid, revoked_at from keys where revoked_why = 'compromised' and kid = any(%s)",
        [sorted({vote["kid"] for cast in votes.values() for vote in cast})],
    ).fetchall()
    pools = {action_id: pool_roles(action.requirement.tree) for action_id, action in actions.items()}
    roles = sorted(frozenset().union(*pools.values()))
    grants = conn.execute("select * from grants where role = any(%s)", [roles]).fetchall() if roles else []
    return [
        History(
            action=actions[action_id],
            events=[rows.event(row) for row in events.get(action_id, ())],
            votes=[rows.vote(row) for row in votes.get(action_id, ())],
            messages=[rows.record(row) for row in messages.get(action_id, ())],
            compromised={
                row["kid"]: row["revoked_at"]
                for row in compromised
                if any(vote["kid"] == row["kid"] for vote in votes.get(action_id, ()))
            },
            pools=[rows.grant(row) for row in grants if row["role"] in pools[action_id]],
        )
        for action_id in action_ids
        if action_id in actions
    ]
