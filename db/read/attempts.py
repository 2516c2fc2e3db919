"""Calls to the other side."""

from collections.abc import Collection
from uuid import UUID

from db.connect import Connection
from db.read.pages import Row
from domain.action import AttemptState


def list_attempts(conn: Connection, states: Collection[AttemptState], limit: int) -> list[Row]:
    """Attempts in these states: those of which nobody knows first, then those under way, then the newest first."""
    return conn.execute(
        """
        with newest as (
            select t.* from ops_actions a join attempts t on t.action_id = a.id
             where a.status = 'outcome_unknown' and t.state = 'unknown' and t.state = any(%(states)s)
            union
            select of_state.*
              from unnest(%(states)s::text[]) as wanted(state)
             cross join lateral (select * from attempts t where t.state = wanted.state
                                  order by t.started_at desc limit %(limit)s) as of_state
        )
        select t.action_id, t.number, t.token, t.state, t.worker, t.started_at, t.lease_until, t.finished_at, t.reason,
               a.action_type, a.status
          from newest t join ops_actions a on a.id = t.action_id
         order by t.state = 'unknown' and a.status = 'outcome_unknown' desc, t.state = 'started' desc, t.started_at desc, t.token desc
         limit %(limit)s
        """,
        {"states": list(states), "limit": limit},
    ).fetchall()


def get_attempts(conn: Connection, action_id: UUID) -> list[Row]:
    """All attempts at an action, the first first."""
    return conn.execute(
        """
        select number, token, state, worker, started_at, lease_until, finished_at, reason
          from attempts where action_id = %s order by number
        """,
        [action_id],
    ).fetchall()
