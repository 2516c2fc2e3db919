"""Actions as callers know them, and lists of them. Roles are looked at before a page is cut, in one statement for each page."""

from collections.abc import Collection
from uuid import UUID

from db.connect import Connection
from db.read.pages import Row, page, with_cursors
from domain.internal_types import Internal
from domain.lifecycle import Status


def get_action_with_votes(conn: Connection, action_id: UUID) -> Row | None:
    """An action as callers know it, with its votes and their counts, `approval_ratio` (0 with none), its attempts, and what it `led_to`.

    `glass` tells who approved it alone and why, and whether others ratified that. Where a change of a definition is asked for,
    `replaced` is what is to be replaced, as it was when that was asked for; None where that is nothing.
    """
    return conn.execute(
        """
        select a.*,
               coalesce((select jsonb_agg(jsonb_build_object('number', t.number, 'state', t.state, 'token', t.token,
                                                             'started_at', t.started_at, 'finished_at', t.finished_at,
                                                             'reason', t.reason) order by t.number)
                           from attempts t where t.action_id = a.id), '[]') as attempts,
               coalesce((select jsonb_agg(jsonb_build_object('event', e.event, 'at', e.at) || e.data order by e.seq)
                           from audit_trail e
                          where e.action_id = a.id and e.event in ('glass_broken', 'ratified', 'ratification_refused')),
                        '[]') as glass,
               coalesce((select jsonb_agg(jsonb_build_object('id', l.id, 'action_type', l.action_type, 'status', l.status)
                                          order by l.created_at, l.id)
                           from ops_actions l where l.caused_by = a.id), '[]') as led_to,
               case when a.action_type = %s
                    then (select d.body from definitions d
                           where d.kind = a.params ->> 'kind' and d.name = a.params ->> 'name'
                             and d.version = (a.params ->> 'replaces')::numeric) end as replaced
          from ops_actions a where a.id = %s
        """,
        [Internal.CHANGE_DEFINITION, action_id],
    ).fetchone()


def get_pending_actions(
    conn: Connection,
    roles: Collection[str],
    limit: int = 50,
    offset: int = 0,
    *,
    after: str | None = None,
    person: str | None = None,
) -> list[Row]:
    """The actions on which votes are counted and one of these roles is asked, the newest first, with their votes.

    A role is asked if its holders can take a seat of the requirement, or of an escalation step that was reached, or veto. Who
    is named one by one is no role's: `person` adds the actions that name this person. No roles and no person: nothing. A page
    of `limit` rows (1 to 200) begins after the row whose `cursor` is `after`. Raises ValueError for any other page.
    """
    if isinstance(roles, str):  # a collection too, of roles of one letter
        raise TypeError(f"roles is a list of names: [{roles!r}]")
    found = conn.execute(
        """
        select * from pending_actions
         where (roles_asked && %(roles)s::text[] or people_asked && %(people)s::text[])
           and created_at <= %(at)s and (created_at < %(at)s or id > %(id)s)
         order by created_at desc, id limit %(limit)s offset %(offset)s
        """,
        {"roles": list(roles), "people": [person] if person else [], **page(limit, offset, after)},
        prepare=False,  # which index is the fast one depends on the roles
    ).fetchall()
    return with_cursors(found)


def list_actions(conn: Connection, statuses: Collection[Status], limit: int, offset: int = 0) -> list[Row]:
    """Actions in these states, those with an unknown outcome first, then the newest first.

    `glass` is null but for those that one person approved alone: glass_broken, ratified or ratification_refused.
    """
    return conn.execute(
        """
        with newest as (
            select of_status.*
              from unnest(%(statuses)s::text[]) as wanted(status)
             cross join lateral (select * from ops_actions a where a.status = wanted.status
                                  order by a.created_at desc, a.id limit %(limit)s + %(offset)s) as of_status
        )
        select id, action_type, target_tenant_type, target_tenant_id, status, risk_level, votes_approve, votes_reject,
               quorum_satisfied, unreachable, created_by, created_at, expires_at, due_at, next_attempt_at,
               (select e.event from audit_trail e
                 where e.action_id = newest.id and e.event in ('glass_broken', 'ratified', 'ratification_refused')
                 order by e.seq desc limit 1) as glass
          from newest order by status = 'outcome_unknown' desc, created_at desc, id limit %(limit)s offset %(offset)s
        """,
        {"statuses": sorted({*statuses}), "limit": limit, "offset": offset},
    ).fetchall()
