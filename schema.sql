-- The data model of the Ops Approval Engine, in the order of a message's life.
--
-- A producer signs a message with a key (keys) and enqueues it. A worker opens it and, in one transaction, records it with
-- its receipt (messages) and applies it: it creates an action (actions) under the definitions in force (definitions), or
-- counts the vote of somebody (votes) whose role the directory knows (people, grants). An approved action is executed, one
-- attempt at a time (attempts). Whatever happens to an action is an event of its trail (events). Alerts and recommendations,
-- and what was decided about them, are proposals.
--
-- Applied by `ops-approval db init`, once, in one transaction, to an empty database of PostgreSQL 15 or newer.
-- Rules that SQL can hold are held here, whatever the code does: each constraint and trigger has its sentence.

create schema if not exists ops_approval;
set local search_path = ops_approval;

-- One row: the version of this schema, which ingest and the scheduler check before they do anything.
create table schema_version (
    version     integer primary key,
    applied_at  timestamptz not null default clock_timestamp()
);
insert into schema_version (version) values (1);


-- Public keys of issuers (machines and tools that send messages). The private half never comes here, so nothing in this
-- database, and no worker, can forge a message. A key is retired by valid_until and revoked by revoked_at; it is never
-- deleted, because old envelopes must stay verifiable.
create table keys (
    kid           text primary key,
    issuer        text not null check (issuer <> ''),
    -- The algorithm comes from this row and never from a message, so that no message can choose a weaker one.
    alg           text not null check (alg = 'Ed25519'),
    -- One key is one issuer's, or one person's: nobody votes twice under two names.
    public_key    bytea not null unique check (octet_length(public_key) = 32),
    -- What the key may be used for: {types, origins, action_types, roles}; a list that is missing allows nothing.
    scope         jsonb not null check (jsonb_typeof(scope) = 'object'),
    -- Whose own key it is: it casts this person's votes and nothing else. Null for the key of an issuer.
    person_id     text,
    valid_from    timestamptz not null default clock_timestamp(),
    valid_until   timestamptz check (valid_until > valid_from),
    revoked_at    timestamptz,
    revoked_why   text check (revoked_why in ('compromised', 'retired')),
    created_at    timestamptz not null default clock_timestamp(),
    -- The action in which people agreed to it; null for what the owner registered before there were people to agree.
    agreed_in     uuid unique,
    constraint revoked_with_a_reason check ((revoked_at is null) = (revoked_why is null)),
    -- A personal key is enrolled by the owner of the installation and not by the directory: who says which roles people hold
    -- must not be able to say which keys speak for them.
    constraint personal_keys_only_vote check (
        (person_id is null) = (issuer not like 'person:%')
        and (person_id is null or (issuer = 'person:' || person_id and scope -> 'types' = '["CastVote"]'))
    ),
    -- Who speaks for people must not be able to say who they are.
    constraint voting_and_directory_apart check (
        not (scope -> 'types' ?| array['CastVote', '*'] and scope -> 'types' ?| array['SyncDirectory', '*'])
    ),
    -- Nor to ask for what changes the rules, and agree to it for them.
    constraint voting_and_changes_apart check (
        not (scope -> 'types' ?| array['CastVote', '*'] and scope -> 'types' ?| array['CreateAction', '*']
             and scope -> 'action_types' ?| array['CHANGE_DEFINITION', 'REGISTER_KEY', 'ENROL_KEY'])
    )
);


-- Everybody the directory told us of. snapshot is the last one that a person was in: whoever is not in the newest has left.
create table people (
    id          text primary key check (id <> ''),
    name        text,
    snapshot    bigint not null check (snapshot > 0)
);
-- A personal key belongs to somebody whom the directory has told of.
alter table keys add constraint key_of_somebody_known foreign key (person_id) references people;

-- What people may do, and when: a role they hold, or the right to act for somebody. A grant that ends keeps its
-- row, so that a decision can be looked at again with the roles of its time.
create table grants (
    id          bigint generated always as identity primary key,
    person_id   text not null references people,
    role        text,
    acts_for    text references people,
    starts_at   timestamptz not null,
    ends_at     timestamptz check (ends_at >= starts_at),
    constraint role_or_delegation check (num_nonnulls(role, acts_for) = 1),
    constraint nobody_acts_for_themselves check (acts_for <> person_id)
);
create index grants_of_person on grants (person_id);
create index holders_of_role on grants (role);
create index delegates_of_person on grants (acts_for) where acts_for is not null;


-- Versions of what people define: policies, action types and remediation rules. Append-only; the newest version of a name is in force, unless it
-- removes it, and an action remembers the versions it was created with.
create table definitions (
    id          bigint generated always as identity primary key,
    kind        text not null check (kind in ('policy', 'action_type', 'remediation_rule')),
    name        text not null check (name <> ''),
    version     integer not null check (version > 0),
    -- Null where this version removes what the name stands for; a later one may define it again.
    body        jsonb check (jsonb_typeof(body) = 'object'),
    created_by  text not null,
    created_at  timestamptz not null default clock_timestamp(),
    -- The action in which people agreed to it, one for each version; null for what the owner put in force before there were
    -- people to agree.
    agreed_in   uuid unique,
    unique (kind, name, version)
);


-- Every message ever received, once, with its one outcome: inbox, receipt, parking place, quarantine and envelope archive.
-- What nobody signed (quarantined) has no issuer and no jti: an identity is only taken by who can prove it.
create table messages (
    id              bigint generated always as identity primary key,
    -- SHA-256 of the token, or of the queue entry where there is no token: the same content is the same row.
    content_sha256  bytea not null unique check (octet_length(content_sha256) = 32),
    -- The signed envelope as it came, to verify or to try again; null where there was none worth keeping.
    token           text,
    issuer          text,
    jti             text,
    kid             text references keys,
    type            text,
    issued_at       timestamptz,
    expires_at      timestamptz,
    outcome         text not null
                    check (outcome in ('applied', 'duplicate', 'refused', 'parked', 'quarantined', 'dead')),
    code            text,
    sentence        text not null,
    action_id       uuid,
    -- The beginning of what was quarantined, for whoever looks into it.
    excerpt         text check (length(excerpt) <= 400),
    -- Whose share of an hour what was applied or waits counts against: a person's, or the issuer's own for its machines. Null
    -- of what is not limited.
    actor           text,
    received_at     timestamptz not null default clock_timestamp(),
    answered_at     timestamptz not null default clock_timestamp(),
    constraint identity_is_whole check (num_nulls(issuer, jti) in (0, 2)),
    constraint quarantined_is_nobodys check (outcome <> 'quarantined' or issuer is null),
    constraint a_no_has_its_code check ((outcome in ('refused', 'quarantined', 'dead')) = (code is not null)),
    constraint parked_votes_end check (outcome <> 'parked' or (action_id is not null and expires_at is not null))
);
-- (issuer, jti) is a message's identity; one that conflicts with it, or is addressed elsewhere, does not take it.
create unique index messages_identity on messages (jti, issuer)
    where code is null or code not in ('identity_conflict', 'wrong_audience');
-- The same jti without the identity, so that a message is found by its jti whatever became of it.
create index messages_without_identity on messages (jti) where code in ('identity_conflict', 'wrong_audience');
-- What an operator looks into: few of many.
create index messages_not_applied on messages (outcome, id) where outcome <> 'applied';
create index messages_of_action on messages (action_id, id) where action_id is not null;
-- How much somebody did through an issuer in the last hour: counted, so that no row is written by all.
create index messages_of_actor on messages (issuer, actor, type, answered_at) where actor is not null;
create index messages_parked_until on messages (expires_at) where outcome = 'parked';


-- An operation that somebody asked for, from its creation to its end.
create table actions (
    -- UUIDv5 of issuer and idempotency key (or jti): known to the producer at once, and nobody else's to take.
    id                      uuid primary key,
    issuer                  text not null,
    idempotency_key         text,
    -- SHA-256 of the body that asked for it: the same key with another body is a conflict.
    body_sha256             bytea not null,
    origin                  text not null check (origin in ('sira', 'system', 'ops_ui', 'module', 'alert')),
    action_type             text not null,
    action_type_version     integer not null,
    params                  jsonb not null,
    target_tenant_type      text,
    target_tenant_id        text,
    risk_level              text not null check (risk_level in ('low', 'medium', 'high', 'critical')),
    created_by              text not null,
    triggered_by            text,
    policy_name             text not null,
    policy_version          integer not null,
    -- Who must agree, frozen at creation: later changes of policies touch no open action.
    requirement             jsonb not null,
    required_quorum         jsonb not null,
    required_ratio          numeric not null check (required_ratio between 0.5 and 1),
    timeout_seconds         integer not null check (timeout_seconds > 0),
    -- The role of the first escalation step; all of them are in requirement.
    escalation_role         text,
    auto_execute            boolean not null,
    execute_within_seconds  integer not null check (execute_within_seconds > 0),
    -- SHA-256 of what is asked for and of who must agree, in canonical JSON: what people vote on.
    content_hash            bytea not null,

    status                  text not null,
    steps_reached           integer not null default 0,
    votes_approve           integer not null default 0,
    votes_reject            integer not null default 0,
    votes_abstain           integer not null default 0,
    quorum_satisfied        boolean not null default false,
    -- Whether no approval is in reach: not even if everybody left approved, and no escalation step is left to begin. It may
    -- be again when people change their votes or roles; when that was last looked at, it was not.
    unreachable             boolean not null default false,
    -- Whose say is asked for, so that lists find what waits for somebody: the roles that can take a seat of the tree or of an
    -- escalation step that was reached, and those with a veto; and the people who are named one by one.
    roles_asked             text[] not null,
    people_asked            text[] not null,
    decided_at              timestamptz,
    -- When the next attempt may start, or the service be asked what became of the last one; null until execution was asked
    -- for, by a person or by auto_execute, and when nothing more is done by itself.
    next_attempt_at         timestamptz,
    executed_by             text,
    executed_at             timestamptz,
    result                  jsonb,
    error                   text,
    -- The highest fencing token drawn for this action; a lower one changes nothing any more.
    last_token              bigint not null default 0,
    -- How many attempts there were when somebody had it tried again: its attempts and its time count from there.
    attempts_before         integer not null default 0,
    -- The end of the action's chain of events.
    event_seq               integer not null default 0,
    event_hash              bytea not null,
    -- What one action at a time may be open for, as its type says: canonical JSON of the type's name and of some params.
    -- Null where the type is not exclusive.
    exclusive_key           text,
    -- The action that led to this one: what is retried, resolved or rolled back, or what this one undoes.
    caused_by               uuid references actions,
    created_at              timestamptz not null,
    updated_at              timestamptz not null,
    expires_at              timestamptz not null,
    -- The next moment at which the engine must touch this action: a deadline, a retry, the end of a lease.
    due_at                  timestamptz,
    constraint one_action_per_key unique (issuer, idempotency_key),
    constraint executed_is_complete check ((status = 'executed') = (executed_at is not null and result is not null)),
    constraint waiting_is_due check (due_at is not null or status not in
        ('requested', 'pending_approval', 'escalated', 'approved', 'executing'))
);
-- The one sweep: everything that time must change, however it came to wait.
create index actions_due on actions (due_at) where due_at is not null;
-- One incident, one action, whoever asks for it: see HOLDING in domain/lifecycle.py, of which this is generated.
create function holds_exclusive_key(status text) returns boolean immutable language sql return status in (
    -- generated: holding
    'requested', 'pending_approval', 'escalated', 'approved', 'executing', 'outcome_unknown'
    -- generated: end
);
create unique index one_open_action on actions (exclusive_key)
    where exclusive_key is not null and holds_exclusive_key(status);
-- The newest in each state, and with it in all of them; and what counting needs, so that no row has to be looked at for it.
create index actions_by_status on actions (status, created_at desc, id) include (action_type, decided_at);
-- What waits for votes, in the order of lists; and by whose. Where all wait for the same role the first is faster, where few
-- wait for a role the second: Postgres knows how many.
create index actions_pending on actions (created_at desc, id) where status in (
    -- generated: open
    'requested', 'pending_approval', 'escalated'
    -- generated: end
);
create index actions_asked on actions using gin (roles_asked, people_asked) with (fastupdate = off) where status in (
    -- generated: open
    'requested', 'pending_approval', 'escalated'
    -- generated: end
);
-- What somebody asked for, by themselves or through a machine, and had executed.
create index actions_created_by on actions (created_by, created_at desc, id);
create index actions_triggered_by on actions (triggered_by, created_at desc, id) where triggered_by is not null;
create index actions_executed_by on actions (executed_by, created_at desc, id) where executed_by is not null;
create index actions_caused_by on actions (caused_by) where caused_by is not null;
create index actions_of_alert on actions ((params ->> 'alert_id')) where length(params ->> 'alert_id') <= 300;

-- A change of status is one that domain/lifecycle.py has (generated from there by `make generate`), a final state stays,
-- but for the end of its trail, and what was asked for never changes, whoever the database's user is.
create function guard_action() returns trigger language plpgsql as $$
begin
    if old.status in (
        -- generated: final
        'executed', 'rejected', 'expired', 'cancelled'
        -- generated: end
    ) then
        -- But the trail of what one person may approve alone can go on: others ratify that, or not, perhaps after its end.
        if jsonb_typeof(old.requirement -> 'break_glass') is distinct from 'object'
           or to_jsonb(new) - array['event_seq', 'event_hash', 'updated_at']
              is distinct from to_jsonb(old) - array['event_seq', 'event_hash', 'updated_at'] then
            raise exception 'an action that is % stays as it is', old.status using errcode = 'check_violation';
        end if;
    end if;
    if new.status <> old.status and (old.status, new.status) not in (
        -- generated: transitions
        ('requested', 'pending_approval'),
        ('requested', 'approved'),
        ('requested', 'rejected'),
        ('requested', 'escalated'),
        ('requested', 'expired'),
        ('requested', 'cancelled'),
        ('pending_approval', 'approved'),
        ('pending_approval', 'rejected'),
        ('pending_approval', 'escalated'),
        ('pending_approval', 'expired'),
        ('pending_approval', 'cancelled'),
        ('escalated', 'approved'),
        ('escalated', 'rejected'),
        ('escalated', 'expired'),
        ('escalated', 'cancelled'),
        ('approved', 'executing'),
        ('approved', 'expired'),
        ('approved', 'cancelled'),
        ('approved', 'pending_approval'),
        ('approved', 'rejected'),
        ('approved', 'escalated'),
        ('approved', 'failed'),
        ('approved', 'outcome_unknown'),
        ('executing', 'executed'),
        ('executing', 'failed'),
        ('executing', 'approved'),
        ('executing', 'outcome_unknown'),
        ('outcome_unknown', 'executed'),
        ('outcome_unknown', 'approved'),
        ('outcome_unknown', 'failed'),
        ('failed', 'approved')
        -- generated: end
    ) then
        raise exception 'an action cannot go from % to %', old.status, new.status using errcode = 'check_violation';
    end if;
    if (new.id, new.issuer, new.idempotency_key, new.body_sha256, new.origin, new.action_type, new.action_type_version,
        new.params, new.target_tenant_type, new.target_tenant_id, new.risk_level, new.created_by, new.triggered_by,
        new.policy_name, new.policy_version, new.requirement, new.required_quorum, new.required_ratio,
        new.timeout_seconds, new.escalation_role, new.auto_execute, new.execute_within_seconds, new.content_hash,
        new.exclusive_key, new.people_asked, new.caused_by, new.created_at)
       is distinct from
       (old.id, old.issuer, old.idempotency_key, old.body_sha256, old.origin, old.action_type, old.action_type_version,
        old.params, old.target_tenant_type, old.target_tenant_id, old.risk_level, old.created_by, old.triggered_by,
        old.policy_name, old.policy_version, old.requirement, old.required_quorum, old.required_ratio,
        old.timeout_seconds, old.escalation_role, old.auto_execute, old.execute_within_seconds, old.content_hash,
        old.exclusive_key, old.people_asked, old.caused_by, old.created_at)
    then
        raise exception 'what an action is never changes after its creation' using errcode = 'check_violation';
    end if;
    if new.last_token < old.last_token or new.event_seq < old.event_seq then
        raise exception 'tokens and event numbers only rise' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard_action before update on actions for each row execute function guard_action();


-- A new version of a definition, and a new key, is what people agreed to, in an action that is being carried out in this
-- transaction. Who does not own the table cannot do without.
alter table definitions add constraint definition_was_agreed foreign key (agreed_in) references actions;
alter table keys add constraint key_was_agreed foreign key (agreed_in) references actions;
create function guard_definition() returns trigger language plpgsql as $$
begin
    if new.agreed_in is null
       and pg_has_role(current_user, (select relowner from pg_class where oid = tg_relid), 'usage') then
        return new;
    end if;
    if not exists (select from ops_approval.actions a
                    where a.id = new.agreed_in and a.action_type = 'CHANGE_DEFINITION' and a.status = 'executing'
                      and (a.params ->> 'kind', a.params ->> 'name', (a.params ->> 'replaces')::integer + 1, a.created_by)
                          = (new.kind, new.name, new.version, new.created_by)
                      and nullif(a.params -> 'definition', 'null') is not distinct from new.body) then
        raise exception 'a definition changes by an action that people agreed to and that says the same'
            using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
create trigger guard_definition before insert on definitions for each row execute function guard_definition();

create function guard_key() returns trigger language plpgsql as $$
begin
    if new.agreed_in is null
       and pg_has_role(current_user, (select relowner from pg_class where oid = tg_relid), 'usage') then
        return new;
    end if;
    if not exists (select from ops_approval.actions a
                    where a.id = new.agreed_in and a.status = 'executing' and a.params ->> 'kid' = new.kid
                      and decode(translate(a.params ->> 'public_key', '-_', '+/') || '=', 'base64') = new.public_key
                      and case a.action_type
                          when 'REGISTER_KEY' then a.params ->> 'issuer' = new.issuer and new.person_id is null
                                               and a.params -> 'scope' = new.scope
                          when 'ENROL_KEY' then a.params ->> 'person_id' = new.person_id
                          end) then
        raise exception 'a key is registered by an action that people agreed to and that says the same'
            using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
create trigger guard_key before insert on keys for each row execute function guard_key();


-- The current vote of each person on each action; earlier ones are in events. At most one per person, by the key.
create table votes (
    action_id     uuid not null references actions,
    person_id     text not null,
    choice        text not null check (choice in ('approve', 'reject', 'abstain', 'withdraw')),
    comment       text,
    -- The roles that the person held when voting and that the key may speak for.
    roles         text[] not null,
    -- Whom the person could act for when voting, by name, each with their roles that the key may speak for.
    acts_for      jsonb not null check (jsonb_typeof(acts_for) = 'object'),
    -- When the person voted; the latest counts, in whatever order the messages came.
    cast_at       timestamptz not null,
    issuer        text not null,
    jti           text not null,
    kid           text not null references keys,
    -- The content that the person saw, as the message said; null when it said nothing.
    content_hash  text,
    -- Why one person's approval is to be enough alone; null of every other vote.
    break_glass   text check (length(break_glass) between 1 and 4000),
    metadata      jsonb not null,
    recorded_at   timestamptz not null,
    constraint glass_breaks_to_approve check (break_glass is null or choice = 'approve'),
    primary key (action_id, person_id)
);
create index votes_of_person on votes (person_id, recorded_at desc, action_id);

-- A name whatever the case of its letters from A to Z, the only ones that every Postgres folds alike in every locale. The engine
-- folds all letters, and so refuses by itself whatever is refused because of this.
create function folded(name text) returns text immutable language sql return lower(name collate "C");

-- Four eyes, even if the code forgot: whom the requirement keeps out of an action, in whatever case the name is written, does
-- not vote on it. And a vote that was decided on stays what it was: once an earlier transaction has written a decision into the
-- trail, no vote comes or changes unless the trail tells that the action is open again. No clocks are compared: they step back.
create function guard_vote() returns trigger language plpgsql as $$
begin
    if exists (select from ops_approval.events decided
               where decided.action_id = new.action_id and decided.event in ('approved', 'rejected')
                 and decided.xid <> pg_current_xact_id()
                 and not exists (select from ops_approval.events later
                                  where later.action_id = decided.action_id and later.seq > decided.seq
                                    and later.event = 'reopened')) then
        raise exception 'the action was decided already' using errcode = 'check_violation';
    end if;
    if exists (select from ops_approval.actions a
               cross join jsonb_array_elements_text(a.requirement -> 'excluded') as excluded(name)
               where a.id = new.action_id and ops_approval.folded(excluded.name) = ops_approval.folded(new.person_id)) then
        raise exception 'whom separation of duties keeps out of an action does not vote on it'
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard_vote before insert or update on votes for each row execute function guard_vote();


-- Calls to the other side, one row each, committed before the call is made.
create table attempts (
    action_id    uuid not null references actions,
    number       integer not null check (number > 0),
    -- Drawn from attempt_tokens: of two attempts the one with the higher token is the later one.
    token        bigint not null unique,
    state        text not null check (state in ('started', 'succeeded', 'rejected', 'retry', 'unknown')),
    worker       text not null,
    started_at   timestamptz not null,
    lease_until  timestamptz not null,
    finished_at  timestamptz,
    reason       text,
    primary key (action_id, number),
    constraint finished_is_said check ((state = 'started') = (finished_at is null))
);
create index attempts_by_state on attempts (state, started_at desc);
create sequence attempt_tokens;

-- What an attempt came to is said once; of one of which nobody knew it can be found out later.
create function guard_attempt() returns trigger language plpgsql as $$
begin
    if not (old.state = 'started' or (old.state = 'unknown' and new.state in ('succeeded', 'rejected', 'retry'))) then
        raise exception 'an attempt that is % stays so', old.state using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard_attempt before update on attempts for each row execute function guard_attempt();

-- At most one attempt of an action is under way, and at most one ever succeeds.
create unique index one_attempt_at_a_time on attempts (action_id) where state = 'started';
create unique index one_success on attempts (action_id) where state = 'succeeded';


-- The trail: what happened, to which action, in which order; also the outbox that later readers follow. Gapless and
-- hash-chained per action, written under the action's lock.
create table events (
    -- Position for readers that follow the log; order within an action is seq.
    id         bigint generated always as identity unique,
    action_id  uuid not null references actions,
    seq        integer not null check (seq > 0),
    event      text not null,
    actor      text not null,
    at         timestamptz not null,
    data       jsonb not null,
    prev_hash  bytea not null check (octet_length(prev_hash) = 32),
    hash       bytea not null check (octet_length(hash) = 32),
    -- The transaction that wrote it: a reader is only past what every older transaction can no longer add to.
    xid        xid8 not null default pg_current_xact_id(),
    primary key (action_id, seq)
);
create index events_by_transaction on events (xid, id);
-- How often a person has broken glass, and when others last refused to ratify that.
create index events_of_glass on events ((data ->> 'person')) where event in ('glass_broken', 'ratification_refused');

-- History is not rewritten, not even by the owner of the tables in passing.
create function refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on events for each row execute function refuse_rewriting();
create trigger append_only before update or delete on definitions for each row execute function refuse_rewriting();
create trigger not_truncated before truncate on events for each statement execute function refuse_rewriting();
create trigger not_truncated before truncate on definitions for each statement execute function refuse_rewriting();

-- A message's identity and envelope stay. Only its outcome may still come: a parked vote's; that of a quarantined one when the
-- same token comes again and its key is known by then; that of a dead one when it is tried again or given up.
create function guard_message() returns trigger language plpgsql as $$
begin
    if old.content_sha256 <> new.content_sha256
       or (old.issuer is not null and (old.issuer, old.jti, old.token, old.kid, old.type)
                                      is distinct from (new.issuer, new.jti, new.token, new.kid, new.type)) then
        raise exception 'a message stays what it is' using errcode = 'check_violation';
    end if;
    if old.outcome not in ('parked', 'quarantined', 'dead') then
        raise exception 'a message gets one outcome' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard_message before update on messages for each row execute function guard_message();


-- What machines propose, alerts and recommendations of SIRA: what was decided about each, and the action that it led to by
-- itself or by whoever applied it.
create table proposals (
    kind         text not null check (kind in ('alert', 'recommendation')),
    id           text not null check (id <> ''),
    issuer       text not null,
    -- The key that its last message was signed with: what SIRA says later is followed only while that key may ask for it.
    kid          text not null references keys,
    -- An alert's type, or the action type that is recommended.
    type         text not null,
    tenant_type  text not null,
    tenant_id    text not null,
    -- The body of its message; of an alert that came again without having led to an action, of the last.
    content      jsonb not null check (jsonb_typeof(content) = 'object'),
    action_id    uuid references actions,
    answered_at  timestamptz,
    -- When SIRA is asked again; null unless the alert waits for what SIRA says.
    due_at       timestamptz,
    -- What was decided, in order: {at, actor, action, details}.
    decisions    jsonb not null check (jsonb_typeof(decisions) = 'array'),
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    -- Until when a recommendation can be applied; null of an alert.
    expires_at   timestamptz,
    primary key (kind, id),
    constraint answered_once unique (action_id, kind),
    constraint answered_is_dated check ((action_id is null) = (answered_at is null)),
    constraint only_alerts_wait check (due_at is null or (kind = 'alert' and action_id is null)),
    constraint recommendations_end check ((kind = 'recommendation') = (expires_at is not null))
);
create index proposals_due on proposals (due_at) where due_at is not null;
create index alerts_answered on proposals (type, answered_at desc) where kind = 'alert' and answered_at is not null;
create index recommendations_for on proposals (type, tenant_type, tenant_id, created_at desc) where kind = 'recommendation';
create index recommendations_newest on proposals (created_at desc, id) where kind = 'recommendation';

-- A proposal stays what it is, its decisions only grow, and the action that answers it stays. What an alert says may be told
-- anew until an action answers it; what is recommended may not.
create function guard_proposal() returns trigger language plpgsql as $$
declare
    decided constant integer := jsonb_array_length(old.decisions);
begin
    if (new.kind, new.id, new.issuer, new.type, new.tenant_type, new.tenant_id, new.created_at, new.expires_at)
       is distinct from
       (old.kind, old.id, old.issuer, old.type, old.tenant_type, old.tenant_id, old.created_at, old.expires_at)
       or (new.content <> old.content and (old.kind = 'recommendation' or old.action_id is not null)) then
        raise exception 'a proposal stays what it is' using errcode = 'check_violation';
    end if;
    if old.action_id is not null and (new.action_id, new.answered_at) is distinct from (old.action_id, old.answered_at) then
        raise exception 'the action that answers a proposal stays' using errcode = 'check_violation';
    end if;
    if jsonb_array_length(new.decisions) < decided
       or (select coalesce(jsonb_agg(decision order by place), '[]')
             from jsonb_array_elements(new.decisions) with ordinality as each(decision, place)
            where place <= decided) <> old.decisions then
        raise exception 'decisions about a proposal are only added' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger guard_proposal before update on proposals for each row execute function guard_proposal();


-- Alerts as their system knows them: which action answers an alert, and whether that has remedied it. Of several actions
-- for one alert the executed one counts, else one that is still open, else the newest. Those that only an action tells of,
-- because nobody sent them here, have no type, tenant, severity and decisions.
create view alerts as
select p.id,
       case when a.status = 'executed' then 'auto_remediated' else 'open' end as status,
       a.id                                                                   as remedied_by_action_id,
       a.status                                                               as action_status,
       p.type                                                                 as alert_type,
       p.tenant_type,
       p.tenant_id,
       p.content #>> '{alert,severity}'                                       as severity,
       p.decisions -> -1                                                      as last_decision,
       p.due_at is not null                                                   as waits_for_sira,
       p.created_at
from proposals p
left join lateral (
    select id, status from actions
    where length(params ->> 'alert_id') <= 300 and params ->> 'alert_id' = p.id
    order by status = 'executed' desc, status in ('rejected', 'expired', 'cancelled', 'failed'), created_at desc
    limit 1
) a on true
where p.kind = 'alert'
union all
select named.*, null, null, null, null, null, false, null
from (
    select distinct on (params ->> 'alert_id')
           params ->> 'alert_id'                                                as id,
           case when status = 'executed' then 'auto_remediated' else 'open' end as status,
           id                                                                   as remedied_by_action_id,
           status                                                               as action_status
    from actions
    where length(params ->> 'alert_id') <= 300
    order by params ->> 'alert_id',
             status = 'executed' desc,
             status in ('rejected', 'expired', 'cancelled', 'failed'),
             created_at desc
) named
where not exists (select from proposals p where p.kind = 'alert' and p.id = named.id);
comment on view alerts is 'Each alert that was sent here or that an action names: auto_remediated when, and only when, an action for it was executed.';

-- What was decided about alerts, in the words that their system knows: suggest, skip, create_ops_action, require_approval,
-- execute, error. A person who has an alert remedied is the actor of that. What was decided at one moment is in the order of seq.
create view alert_decisions as
select p.id                                as alert_id,
       (decision ->> 'at')::timestamptz    as at,
       decision ->> 'actor'                as actor,
       decision ->> 'action'               as action,
       decision -> 'details'               as details,
       place                               as seq
from proposals p cross join jsonb_array_elements(p.decisions) with ordinality as each(decision, place)
where p.kind = 'alert'
union all
select a.params ->> 'alert_id',
       e.at,
       e.actor,
       case e.event when 'created' then 'create_ops_action' when 'executed' then 'execute' else 'error' end,
       jsonb_build_object('ops_action_id', a.id)
           || case e.event when 'executed' then jsonb_build_object('result', a.result)
                           when 'failed' then jsonb_build_object('error', e.data -> 'reason')
                           else '{}' end,
       e.seq
from actions a join events e on e.action_id = a.id and e.event in ('created', 'executed', 'failed')
where length(a.params ->> 'alert_id') <= 300
  and (e.event <> 'created' or not exists (select from proposals p where p.kind = 'alert' and p.action_id = a.id));
comment on view alert_decisions is 'Every decision about every alert: who, when, what and why; order by at, seq.';

-- Recommendations of SIRA as the dashboard knows them; `params` are what a person applies. An action that was cancelled counts
-- as a rejection, by whoever cancelled it. One that failed, or of which nobody knows, leaves its recommendation at
-- pending_approval: no word that callers know is truer, and people may have it tried again; ops_action_status tells it. (The
-- time is the statement's: with a volatile one Postgres would join everything before it takes a page.)
create view sira_dash_recommendations as
select p.id,
       p.tenant_type,
       p.tenant_id,
       p.type                                                                 as recommendation_type,
       p.content ->> 'priority'                                               as priority,
       p.content ->> 'title'                                                  as title,
       p.content ->> 'description'                                            as description,
       jsonb_build_object('action_type', p.type,
                          'target', jsonb_build_object('tenant_type', p.tenant_type, 'tenant_id', p.tenant_id),
                          'params', p.content -> 'params')                    as suggested_action,
       (p.content -> 'params') || jsonb_build_object('sira_recommendation_id', p.id,
                                                     'sira_confidence', p.content -> 'confidence',
                                                     'sira_explanation', p.content -> 'explanation') as params,
       p.content -> 'estimated_impact'                                        as estimated_impact,
       p.content -> 'explanation'                                             as explanation,
       (p.content ->> 'confidence')::numeric                                  as confidence,
       case when a.status = 'executed' then 'applied'
            when a.status in ('rejected', 'cancelled') then 'rejected'
            when a.status = 'expired' then 'expired'
            when a.id is not null then 'pending_approval'
            when exists (select from proposals newer
                          where newer.kind = 'recommendation' and newer.created_at > p.created_at
                            and (newer.type, newer.tenant_type, newer.tenant_id) = (p.type, p.tenant_type, p.tenant_id))
                 then 'superseded'
            when p.expires_at <= statement_timestamp() then 'expired'
            else 'pending' end                                                as status,
       a.id                                                                   as ops_action_id,
       a.status                                                               as ops_action_status,
       a.executed_at                                                          as applied_at,
       case when a.status = 'executed' then coalesce(a.triggered_by, a.executed_by) end as applied_by,
       ended.at                                                               as rejected_at,
       ended.by                                                               as rejected_by,
       ended.reason                                                           as rejection_reason,
       p.expires_at,
       p.created_at,
       p.decisions -> -1                                                      as last_decision
from proposals p
left join actions a on a.id = p.action_id
left join lateral (
    select e.at,
           case e.event when 'cancelled' then e.actor
                else (select string_agg(v.person_id, ', ' order by v.recorded_at, v.person_id)
                        from votes v where v.action_id = a.id and v.choice = 'reject') end as by,
           case e.event when 'cancelled' then e.data ->> 'reason'
                else (select string_agg(v.comment, '; ' order by v.recorded_at, v.person_id)
                        from votes v where v.action_id = a.id and v.choice = 'reject') end as reason
    from events e where e.action_id = a.id and a.status = e.event and e.event in ('rejected', 'cancelled')
    order by e.seq desc limit 1
) ended on true
where p.kind = 'recommendation';
comment on view sira_dash_recommendations is 'Each recommendation of SIRA, where it stands, and the action that follows it.';


-- How far each reader of the trail has come. The relay, events_out, puts events into a stream of Redis.
create table cursors (
    name        text primary key,
    -- The transactions whose events are out. No event's id and no transaction's number could say it: both are drawn before the
    -- commit, so that a lower one may come later, even of two events of one action. But whatever a snapshot sees of an
    -- action is its trail from the beginning. Null is a reader that begins, or begins again.
    seen        pg_snapshot,
    -- The newest entry of the stream by then: one that ends before it has lost what was put there.
    entry_id    text check (entry_id ~ '^[0-9]+-[0-9]+$'),
    updated_at  timestamptz not null default clock_timestamp()
);
insert into cursors (name) values ('events_out');


-- The beginning of the last period in which each periodic actor was asked for: of several schedulers the first to write it
-- asks, the others do not.
create table schedule (
    actor      text primary key,
    asked_in   timestamptz not null
);


-- The answers to messages, for producers: what became of each, found by the SHA-256 of its token or by its jti.
create view receipts as
select content_sha256, issuer, jti, type, outcome, code, sentence, action_id, received_at, answered_at from messages;
comment on view receipts is 'What became of each message; outcome and code are stable, the sentence is for people.';


-- What follows is read by dashboards, under the names that they know, and stays as it is while tables change. A view reads with
-- the rights of its owner, so that who may read it need not read the tables, where envelopes and keys are.

-- An action as callers know it, with the votes counted in it.
create view ops_actions as
select a.id, a.idempotency_key, a.origin, a.action_type, a.params, a.target_tenant_type, a.target_tenant_id, a.status,
       a.required_quorum, a.required_ratio, a.timeout_seconds, a.escalation_role, a.auto_execute, a.risk_level,
       a.created_by, a.triggered_by, a.executed_by, a.executed_at, a.result, a.error, a.created_at, a.updated_at,
       a.expires_at, a.requirement, a.steps_reached, a.decided_at, a.next_attempt_at, a.due_at, a.policy_name,
       a.policy_version, a.caused_by, encode(a.content_hash, 'hex') as content_hash, a.roles_asked, a.people_asked,
       a.votes_approve, a.votes_reject, a.votes_abstain,
       a.votes_approve + a.votes_reject + a.votes_abstain as votes_total,
       coalesce(round(a.votes_approve::numeric / nullif(a.votes_approve + a.votes_reject, 0), 4), 0) as approval_ratio,
       a.quorum_satisfied, a.unreachable,
       coalesce((select jsonb_agg(jsonb_build_object('voter_id', v.person_id, 'vote', v.choice, 'comment', v.comment,
                                                     'roles', v.roles, 'acts_for', v.acts_for, 'cast_at', v.cast_at,
                                                     'break_glass', v.break_glass,
                                                     'key_compromised', k.revoked_why is not distinct from 'compromised')
                                  order by v.recorded_at)
                   from votes v join keys k using (kid) where v.action_id = a.id), '[]') as votes
  from actions a;
comment on view ops_actions is
    'Every action. approval_ratio is approvals of approvals and rejections, 0 to 1, and 0 with none; quorum_satisfied: the approvals fill the requirement. votes is a list; times are timestamps with time zone, timeout_seconds are seconds.';

-- What the people of a role are to look at, found by `roles_asked && array['ops_admin']`.
create view pending_actions as
select * from ops_actions where status in (
    -- generated: open
    'requested', 'pending_approval', 'escalated'
    -- generated: end
);
comment on view pending_actions is
    'The actions on which votes are counted, with the columns of ops_actions. roles_asked and people_asked say whose votes or vetoes are asked for by now.';

create view vote_history as
select v.person_id as voter_id, v.action_id, v.choice as vote, v.comment, v.roles, v.cast_at, v.recorded_at,
       a.action_type, a.target_tenant_type, a.target_tenant_id, a.status as action_status
  from votes v join actions a on a.id = v.action_id;
comment on view vote_history is
    'The newest vote of each person on each action: approve, reject, abstain or withdraw. cast_at is when the person voted, recorded_at when that was counted; what it replaced is in audit_trail.';

-- One row for each action and person, though one person may have had several parts in it.
create view action_history as
select created_by as person_id, 'created' as part, id, action_type, target_tenant_type, target_tenant_id, risk_level,
       status, created_at, decided_at, executed_at
  from actions
union all
select triggered_by, 'triggered', id, action_type, target_tenant_type, target_tenant_id, risk_level,
       status, created_at, decided_at, executed_at
  from actions where triggered_by is not null and triggered_by <> created_by
union all
select executed_by, 'executed', id, action_type, target_tenant_type, target_tenant_id, risk_level,
       status, created_at, decided_at, executed_at
  from actions
 where executed_by is not null and executed_by <> created_by and executed_by is distinct from triggered_by;
comment on view action_history is
    'The actions of each person, or machine: part is the first of created, triggered (through a machine) and executed (asked for the execution) that they did.';

create view audit_trail as
select action_id, seq, event, actor, at, data, prev_hash, hash from events;
comment on view audit_trail is
    'What happened to each action, in the order of seq, counted from 1 without a gap; hash is the SHA-256 of the event and of prev_hash.';

create view approval_policies as
select name, version, body ->> 'description' as description, body -> 'criteria' as criteria, body -> 'policy' as policy,
       (body ->> 'priority')::integer as priority, (body ->> 'enabled')::boolean as enabled, created_by, created_at, body
  from (select distinct on (name) * from definitions where kind = 'policy' order by name, version desc) newest
 where body is not null;
comment on view approval_policies is
    'The newest version of each policy that is not removed, whole in body; created_by and created_at are those of the version. The enabled one with the highest priority that matches is taken, of several the first by name.';

-- An action that was approved and then failed, lapsed or was cancelled was approved.
create view approval_stats as
select action_type, count(*) as total,
       count(*) filter (where decided_at is not null and status <> 'rejected') as approved,
       count(*) filter (where status = 'rejected') as rejected,
       count(*) filter (where decided_at is null and status = 'expired') as expired,
       avg(extract(epoch from decided_at - created_at)) as average_seconds_to_decision,
       round(count(*) filter (where decided_at is not null and status <> 'rejected')::numeric
             / nullif(count(*) filter (where decided_at is not null), 0), 4) as approval_rate
  from actions group by action_type;
comment on view approval_stats is
    'Of each action type: how many were ever asked for, approved (whatever came of it), rejected, and expired without a decision; average_seconds_to_decision and approval_rate (approved of those decided, 0 to 1) are null where none was decided.';

create view pending_summary as
select action_type, status, count(*) as count, min(created_at) as oldest
  from actions where status in (
    -- generated: open
    'requested', 'pending_approval', 'escalated'
    -- generated: end
) group by action_type, status;
comment on view pending_summary is
    'How many actions of each type wait for votes in each state, and when the oldest of them was created.';


-- Who may do what. Workers do their work, cannot rewrite history, identities, definitions or keys, and add a definition or
-- a key only when they carry out the action in which people agreed to it; readers only read, views and such tables as have no view,
-- and see neither envelopes nor keys. Both are roles to be granted or logged in as; the worker's processes take on ops_worker by
-- themselves, whoever they log in as.
do $$
begin
    if not exists (select from pg_roles where rolname = 'ops_worker') then create role ops_worker login; end if;
    if not exists (select from pg_roles where rolname = 'ops_reader') then create role ops_reader login; end if;
end $$;
grant usage on schema ops_approval to ops_worker, ops_reader;
grant select on all tables in schema ops_approval to ops_worker;
grant insert on messages, actions, proposals, votes, attempts, events, people, grants, schedule, definitions, keys to ops_worker;
grant update on actions, votes, people, schedule to ops_worker;
grant update (state, lease_until, finished_at, reason) on attempts to ops_worker;
grant update (ends_at) on grants to ops_worker;
grant update (seen, entry_id, updated_at) on cursors to ops_worker;
grant update (kid, content, action_id, answered_at, due_at, decisions, updated_at) on proposals to ops_worker;
grant update (token, issuer, jti, kid, type, issued_at, expires_at, outcome, code, sentence, action_id, excerpt, actor,
              answered_at)
    on messages to ops_worker;
grant usage on sequence attempt_tokens to ops_worker;
grant select on alerts, receipts, ops_actions, pending_actions, vote_history, action_history, audit_trail, approval_policies,
    approval_stats, pending_summary, alert_decisions, sira_dash_recommendations, attempts, definitions, people, grants, proposals,
    cursors, schedule, schema_version to ops_reader;
