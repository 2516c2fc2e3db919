"""A database with 100,000 actions: copies of one that the engine made, each with a vote, a trail, a message and mostly an attempt; half as many
alerts and recommendations."""

from tests.world import Installation, top_up

MANY = 100_000
STATES = ("requested", "pending_approval", "executed", "executed", "rejected", "expired", "executed", "failed")
"""One after the other, so that a quarter of the actions wait for votes; each 10,000th asks a cfo, and each 10,000th the ceo."""

_ACTIONS = """
    with one as materialized (select actions as of_engine from actions)
    insert into actions
    select made.* from generate_series(1, %(many)s) as n
     cross join lateral (select (%(states)s::text[])[1 + n %% cardinality(%(states)s::text[])] as state,
                                timestamptz '2026-01-01' + n * interval '1 minute' as moment) as at_n
     cross join one
     cross join lateral jsonb_populate_record(one.of_engine, jsonb_build_object(
        'id', md5('action' || n)::uuid, 'idempotency_key', 'many-' || n, 'status', state,
        'params', (one.of_engine).params || jsonb_build_object('alert_id', 'alert-of-' || n),
        'action_type', (array['ADJUST_FLOAT', 'FREEZE_MERCHANT', 'PAUSE_PAYOUT'])[1 + n %% 3],
        'roles_asked', case when n %% 10000 = 8 then '["finance_ops", "cfo"]' else '["finance_ops"]' end::jsonb,
        'people_asked', case when n %% 10000 = 17 then '["ceo-id"]' else '[]' end::jsonb,
        'created_by', 'machine-' || n %% 5, 'triggered_by', case when n %% 10 = 0 then 'person-' || n %% 1000 end,
        'executed_by', case when state = 'executed' then 'person-' || n %% 1000 end,
        'executed_at', case when state = 'executed' then moment end,
        'result', case when state = 'executed' then '{}'::jsonb end,
        'decided_at', case when state in ('executed', 'rejected', 'failed') then moment + interval '1 hour' end,
        'due_at', case when state in ('requested', 'pending_approval') then moment + interval '1 year' end,
        'created_at', moment, 'updated_at', moment)) as made
"""

_VOTES = """
    with one as materialized (select votes as of_engine from votes)
    insert into votes
    select made.* from actions as a cross join one
     cross join lateral jsonb_populate_record(one.of_engine, jsonb_build_object(
        'action_id', a.id, 'person_id', 'person-' || split_part(a.idempotency_key, '-', 2)::integer %% 1000,
        'recorded_at', a.created_at)) as made
     where a.idempotency_key like 'many-%%'
"""

_EVENTS = """
    insert into events (action_id, seq, event, actor, at, data, prev_hash, hash)
    select id, n, case n when 1 then 'created' else 'voted' end, 'person-1', created_at, '{}', event_hash, event_hash
      from actions cross join generate_series(1, 2) as n where idempotency_key like 'many-%%'
"""

_ATTEMPTS = """
    insert into attempts (action_id, number, token, state, worker, started_at, lease_until, finished_at)
    select id, 1, 100 + row_number() over (order by created_at),
           case when status = 'executed' then 'succeeded' else 'rejected' end, 'w', created_at, created_at, created_at
      from actions where status in ('executed', 'failed')
"""

_MESSAGES = """
    insert into messages (content_sha256, token, issuer, jti, kid, type, issued_at, expires_at, outcome, code, sentence,
                          action_id)
    select sha256(convert_to(n::text, 'UTF8')), repeat('x', 60), 'sira', 'many-' || n, 'sira-1', 'CreateAction', now(), now(),
           case when n %% 20000 = 0 then 'dead' when n %% 5000 = 0 then 'refused' else 'applied' end,
           case when n %% 20000 = 0 then 'internal_error' when n %% 5000 = 0 then 'identity_conflict' end, '',
           md5('action' || n)::uuid
      from generate_series(1, %(many)s) as n
"""

_PROPOSALS = """
    insert into proposals (kind, id, issuer, kid, type, tenant_type, tenant_id, content, action_id, answered_at, decisions,
                           created_at, updated_at, expires_at)
    select kind, kind || '-of-' || n, 'sira', 'sira-1', case kind when 'alert' then 'float_low' else 'ADJUST_FLOAT' end,
           'agent', 'agent-' || n, '{"confidence": 0.95}', md5('action' || n)::uuid, moment,
           '[{"at": "2026-01-01T00:00:00Z", "actor": "sira", "action": "suggest", "details": {}}]', moment, moment,
           case kind when 'recommendation' then moment + interval '30 days' end
      from generate_series(1, %(many)s / 2) as n
     cross join unnest(array['alert', 'recommendation']) as kind
     cross join lateral (select timestamptz '2026-01-01' + n * interval '1 minute' as moment) as at_n
"""


def fill(installation: Installation) -> None:
    """Fill a new database past its triggers, in one statement for each table, and have its statistics gathered."""
    (created,) = installation.tell("sira", top_up("one"))
    assert created.action_id is not None
    installation.vote(created.action_id, "finance-user-1")
    conn = installation.owner
    with conn.transaction():
        conn.execute("set local session_replication_role = replica")
        for statement in (_ACTIONS, _VOTES, _EVENTS, _ATTEMPTS, _MESSAGES, _PROPOSALS):
            conn.execute(statement, {"many": MANY, "states": list(STATES)})
    conn.execute("vacuum analyze")
