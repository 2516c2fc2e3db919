"""Write what a fold of steps changed: one statement for each table that changed, in the caller's transaction."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from db.connect import Connection
from db.rows import action_row, as_row
from domain.action import Action
from domain.lifecycle import HOLDING
from domain.world import DirectoryChange, World


def save(conn: Connection, world: World) -> None:
    """Write the changes of a world to the database that it was loaded from; commits nothing."""
    changes = world.changes
    _write(conn, _DEFINITIONS, changes.definitions)  # first, while the database sees their actions being executed
    _write(conn, _KEYS, changes.keys)
    _write(conn, _MESSAGES, [world.records[key] for key in changes.messages])
    _write(conn, _ACTIONS, sorted((world.actions[key] for key in changes.actions), key=_given_up_first), action_row)
    _write(conn, _PROPOSALS, [world.proposals[key] for key in sorted(changes.proposals)])
    _write(conn, _EVENTS, changes.events)  # before votes: that an action is open again lets it be voted on
    _write(conn, _VOTES, [world.votes[action][person] for action, person in sorted(changes.votes)])
    _write(conn, _ATTEMPTS, [world.attempts[action][number] for action, number in sorted(changes.attempts)])
    if changes.directory is not None:
        _save_directory(conn, changes.directory)


def _given_up_first(action: Action) -> tuple[bool, UUID]:
    """An exclusive key is given up before another takes it: the database looks at each row as it comes."""
    return action.status in HOLDING, action.id


def _write(
    conn: Connection, statement: str, items: Iterable[Any], row_of: Callable[[Any], dict[str, Any]] = as_row
) -> None:
    if found := [row_of(item) for item in items]:
        conn.execute(statement, [Jsonb(found)])


def _save_directory(conn: Connection, change: DirectoryChange) -> None:
    """End, then begin: who left keeps a row, and every ended grant keeps its time."""
    people = [
        {"id": person, "name": name, "snapshot": change.snapshot} for person, name in sorted(change.people.items())
    ]
    conn.execute(_PEOPLE, [Jsonb(people)])
    grants = {"ended": change.ended, "added": change.added}
    found = {name: [as_row(grant) | {"person_id": grant.person} for grant in items] for name, items in grants.items()}
    conn.execute(_GRANTS_ENDED, [Jsonb(found["ended"])])
    conn.execute(_GRANTS_ADDED, [Jsonb(found["added"])])


_DEFINITIONS = """
    insert into definitions (kind, name, version, body, created_by, created_at, agreed_in)
    select kind, name, version, body, created_by, created_at, agreed_in
      from jsonb_populate_recordset(null::definitions, %s)
"""

_KEYS = """
    insert into keys (kid, issuer, alg, public_key, scope, person_id, valid_from, created_at, agreed_in)
    select kid, issuer, alg, public_key, scope, person_id, valid_from, created_at, agreed_in
      from jsonb_populate_recordset(null::keys, %s)
"""

_MESSAGES = """
    insert into messages (content_sha256, token, issuer, jti, kid, type, issued_at, expires_at, outcome, code, sentence,
                          action_id, excerpt, actor)
    select content_sha256, token, issuer, jti, kid, type, issued_at, expires_at, outcome, code, sentence, action_id, excerpt,
           actor
      from jsonb_populate_recordset(null::messages, %s)
    on conflict (content_sha256) do update set
        (token, issuer, jti, kid, type, issued_at, expires_at, outcome, code, sentence, action_id, excerpt, actor, answered_at)
        = (excluded.token, excluded.issuer, excluded.jti, excluded.kid, excluded.type, excluded.issued_at,
           excluded.expires_at, excluded.outcome, excluded.code, excluded.sentence, excluded.action_id, excluded.excerpt,
           excluded.actor, clock_timestamp())
"""

_ACTIONS = """
    insert into actions select * from jsonb_populate_recordset(null::actions, %s)
    on conflict (id) do update set
        (status, steps_reached, votes_approve, votes_reject, votes_abstain, quorum_satisfied, unreachable, roles_asked, decided_at,
         next_attempt_at, executed_by, executed_at, result, error, last_token, attempts_before, event_seq, event_hash, updated_at, expires_at,
         due_at)
        = (excluded.status, excluded.steps_reached, excluded.votes_approve, excluded.votes_reject, excluded.votes_abstain,
           excluded.quorum_satisfied, excluded.unreachable, excluded.roles_asked, excluded.decided_at, excluded.next_attempt_at, excluded.executed_by,
           excluded.executed_at, excluded.result, excluded.error, excluded.last_token, excluded.attempts_before, excluded.event_seq,
           excluded.event_hash, excluded.updated_at, excluded.expires_at, excluded.due_at)
"""

_PROPOSALS = """
    insert into proposals (kind, id, issuer, kid, type, tenant_type, tenant_id, content, action_id, answered_at, due_at, decisions,
                           created_at, updated_at, expires_at)
    select kind, id, issuer, kid, type, tenant_type, tenant_id, content, action_id, answered_at, due_at, decisions, created_at,
           updated_at, expires_at
      from jsonb_populate_recordset(null::proposals, %s)
    on conflict (kind, id) do update set
        (kid, content, action_id, answered_at, due_at, decisions, updated_at)
        = (excluded.kid, excluded.content, excluded.action_id, excluded.answered_at, excluded.due_at, excluded.decisions,
           excluded.updated_at)
"""

_VOTES = """
    insert into votes select * from jsonb_populate_recordset(null::votes, %s)
    on conflict (action_id, person_id) do update set
        (choice, comment, roles, acts_for, cast_at, issuer, jti, kid, content_hash, break_glass, metadata, recorded_at)
        = (excluded.choice, excluded.comment, excluded.roles, excluded.acts_for, excluded.cast_at, excluded.issuer, excluded.jti, excluded.kid,
           excluded.content_hash, excluded.break_glass, excluded.metadata, excluded.recorded_at)
"""

_ATTEMPTS = """
    insert into attempts select * from jsonb_populate_recordset(null::attempts, %s)
    on conflict (action_id, number) do update set
        (state, lease_until, finished_at, reason)
        = (excluded.state, excluded.lease_until, excluded.finished_at, excluded.reason)
"""

_EVENTS = """
    insert into events (action_id, seq, event, actor, at, data, prev_hash, hash)
    select action_id, seq, event, actor, at, data, prev_hash, hash from jsonb_populate_recordset(null::events, %s)
"""

_PEOPLE = """
    insert into people select * from jsonb_populate_recordset(null::people, %s)
    on conflict (id) do update set (name, snapshot) = (excluded.name, excluded.snapshot)
"""

_GRANTS_ENDED = """
    update grants g set ends_at = greatest(clock_timestamp(), g.starts_at)
      from jsonb_populate_recordset(null::grants, %s) as ended
     where (g.person_id, g.starts_at) = (ended.person_id, ended.starts_at)
       and (g.role, g.acts_for, g.ends_at) is not distinct from (ended.role, ended.acts_for, ended.ends_at)
"""

_GRANTS_ADDED = """
    insert into grants (person_id, role, acts_for, starts_at, ends_at)
    select person_id, role, acts_for, starts_at, ends_at from jsonb_populate_recordset(null::grants, %s)
"""
