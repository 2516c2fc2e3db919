"""What callers read: actions with their votes, trails, receipts, alerts. Reading locks nothing and changes nothing."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from db import rows
from db.connect import Connection
from domain.lifecycle import Status
from domain.trail import Event
from domain.world import AttemptState

Row = dict[str, Any]


def get_action_with_votes(conn: Connection, action_id: UUID) -> Row | None:
    """An action as callers know it, with its votes and their counts, `approval_ratio` (0 with none), its attempts, and what it `led_to`.

    `glass` tells who approved it alone and why, and whether others ratified that.
    """
    return conn.execute(
        """
        select a.id, a.idempotency_key, a.origin, a.action_type, a.params, a.target_tenant_type, a.target_tenant_id, a.status,
               a.required_quorum, a.required_ratio, a.timeout_seconds, a.escalation_role, a.auto_execute, a.risk_level,
               a.created_by, a.triggered_by, a.executed_by, a.executed_at, a.result, a.error, a.created_at, a.updated_at,
               a.expires_at, a.requirement, a.steps_reached, a.decided_at, a.next_attempt_at, a.due_at, a.policy_name,
               a.policy_version, a.caused_by, encode(a.content_hash, 'hex') as content_hash,
               a.votes_approve, a.votes_reject, a.votes_abstain,
               a.votes_approve + a.votes_reject + a.votes_abstain as votes_total,
               coalesce(round(a.votes_approve::numeric / nullif(a.votes_approve + a.votes_reject, 0), 4), 0) as approval_ratio,
               a.quorum_satisfied, a.unreachable,
               coalesce((select jsonb_agg(jsonb_build_object('voter_id', v.person_id, 'vote', v.choice, 'comment', v.comment,
                                                             'roles', v.roles, 'acts_for', v.acts_for, 'cast_at', v.cast_at,
                                                             'break_glass', v.break_glass,
                                                             'key_compromised', k.revoked_why is not distinct from 'compromised')
                                          order by v.recorded_at)
                           from votes v join keys k using (kid) where v.action_id = a.id), '[]') as votes,
               coalesce((select jsonb_agg(jsonb_build_object('number', t.number, 'state', t.state, 'token', t.token,
                                                             'started_at', t.started_at, 'finished_at', t.finished_at,
                                                             'reason', t.reason) order by t.number)
                           from attempts t where t.action_id = a.id), '[]') as attempts,
               coalesce((select jsonb_agg(jsonb_build_object('event', e.event, 'at', e.at) || e.data order by e.seq)
                           from events e
                          where e.action_id = a.id and e.event in ('glass_broken', 'ratified', 'ratification_refused')),
                        '[]') as glass,
               coalesce((select jsonb_agg(jsonb_build_object('id', l.id, 'action_type', l.action_type, 'status', l.status)
                                          order by l.created_at, l.id)
                           from actions l where l.caused_by = a.id), '[]') as led_to
          from actions a where a.id = %s
        """,
        [action_id],
    ).fetchone()


def list_actions(conn: Connection, statuses: Collection[Status], limit: int, offset: int = 0) -> list[Row]:
    """Actions in these states, those with an unknown outcome first, then the newest first.

    `glass` is null but for those that one person approved alone: glass_broken, ratified or ratification_refused.
    """
    return conn.execute(
        """
        select id, action_type, target_tenant_type, target_tenant_id, status, risk_level, votes_approve, votes_reject,
               quorum_satisfied, unreachable, created_by, created_at, expires_at,
               (select e.event from events e
                 where e.action_id = actions.id and e.event in ('glass_broken', 'ratified', 'ratification_refused')
                 order by e.seq desc limit 1) as glass
          from actions where status = any(%s)
         order by status = 'outcome_unknown' desc, created_at desc, id limit %s offset %s
        """,
        [list(statuses), limit, offset],
    ).fetchall()


def get_audit_trail(conn: Connection, action_id: UUID) -> list[Event]:
    """The events of an action, first to last; `domain.trail.verify` says whether they are what was written."""
    found = conn.execute("select * from events where action_id = %s order by seq", [action_id]).fetchall()
    return [rows.event(row) for row in found]


_RECEIPT = """
    select content_sha256, issuer, jti, type, outcome, code, sentence, action_id, received_at, answered_at, excerpt
      from messages
"""


def get_receipt(conn: Connection, content_sha256: bytes) -> Row | None:
    """The receipt of exactly this message, or None if it was not received yet."""
    return conn.execute(_RECEIPT + " where content_sha256 = %s", [content_sha256]).fetchone()


def find_receipts(conn: Connection, jti: str) -> list[Row]:
    """The receipts of messages with this jti, of whatever issuer, the first first."""
    return conn.execute(_RECEIPT + " where jti = %s order by id", [jti]).fetchall()


def get_receipts_of_action(conn: Connection, action_id: UUID) -> list[Row]:
    """The receipts of all messages that concerned an action, in the order in which they came."""
    return conn.execute(_RECEIPT + " where action_id = %s order by id", [action_id]).fetchall()


def get_alert(conn: Connection, alert_id: str) -> Row | None:
    """An alert: its `status` (open, auto_remediated), `remedied_by_action_id` and `last_decision`; None if nobody told of it."""
    return conn.execute("select * from alerts where id = %s", [alert_id]).fetchone()


def get_alert_decisions(conn: Connection, alert_id: str) -> list[Row]:
    """What was decided about an alert, by whom and why (`details`), the first first."""
    return conn.execute(
        "select at, actor, action, details from alert_decisions where alert_id = %s order by at", [alert_id]
    ).fetchall()


def get_recommendation(conn: Connection, recommendation_id: str) -> Row | None:
    """A recommendation of SIRA as the dashboard knows it, with the `params` by which a person applies it."""
    return conn.execute("select * from sira_dash_recommendations where id = %s", [recommendation_id]).fetchone()


def list_recommendations(conn: Connection, limit: int = 50, offset: int = 0) -> list[Row]:
    """The newest recommendations of SIRA, whatever became of them."""
    return conn.execute(
        "select * from sira_dash_recommendations order by created_at desc, id limit %s offset %s", [limit, offset]
    ).fetchall()


def list_policies(conn: Connection, *, enabled_only: bool = False) -> list[Row]:
    """The newest version of each policy that is not removed, in the order in which they are asked."""
    return conn.execute(
        """
        select name, version, body, created_by, created_at
          from (select distinct on (name) * from definitions where kind = 'policy' order by name, version desc) newest
         where body is not null and (not %s or (body ->> 'enabled')::boolean)
         order by (body ->> 'priority')::integer desc, name
        """,
        [enabled_only],
    ).fetchall()


def list_people(conn: Connection) -> list[Row]:
    """Everybody in the newest snapshot of the directory, with the `roles` they hold and whom they may act for now."""
    return conn.execute(
        """
        select p.id, p.name,
               coalesce(array_agg(g.role order by g.role) filter (where g.role is not null), '{}') as roles,
               coalesce(array_agg(g.acts_for order by g.acts_for) filter (where g.acts_for is not null), '{}') as acts_for
          from people p
          left join grants g on g.person_id = p.id and g.starts_at <= clock_timestamp()
                            and (g.ends_at is null or clock_timestamp() < g.ends_at)
         where p.snapshot = (select max(snapshot) from people)
         group by p.id, p.name order by p.id
        """
    ).fetchall()


def list_holders(conn: Connection, role: str) -> list[Row]:
    """Who holds a role now, and who may act for such a person (`acts_for`): since when and until when."""
    return conn.execute(
        """
        with held as (
            select * from grants where starts_at <= clock_timestamp() and (ends_at is null or clock_timestamp() < ends_at)
        )
        select person_id as id, acts_for, starts_at, ends_at from held
         where role = %(role)s or acts_for in (select person_id from held where role = %(role)s)
         order by acts_for is not null, person_id, acts_for
        """,
        {"role": role},
    ).fetchall()


def list_attempts(conn: Connection, states: Collection[AttemptState], limit: int) -> list[Row]:
    """Attempts in these states: those of which nobody knows first, then those under way, then the newest first."""
    return conn.execute(
        """
        select t.action_id, t.number, t.token, t.state, t.worker, t.started_at, t.lease_until, t.finished_at, t.reason,
               a.action_type, a.status
          from attempts t join actions a on a.id = t.action_id
         where t.state = any(%s)
         order by t.state = 'unknown' and a.status = 'outcome_unknown' desc, t.state = 'started' desc, t.token desc
         limit %s
        """,
        [list(states), limit],
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
