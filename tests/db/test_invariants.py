"""The invariants hold on an installation with actions in every state, and each of them sees what breaks it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from db import history, invariants
from db.connect import Connection
from db.keys import load_key_ring
from domain import content, trail
from domain.lifecycle import Status
from domain.trail import Event, EventName
from tests import busy
from tests.world import Installation
from workers import invariants as rules

ALL = {invariant.name for invariant in [*invariants.load(), *rules.LOOKS]}
Told = tuple[EventName, str, Any, dict[str, Any]]


@pytest.fixture(scope="module")
def filled(shared_installation: Installation) -> Installation:
    busy.fill(shared_installation)
    return shared_installation


@pytest.fixture
def owner(filled: Installation) -> Iterator[Connection]:
    """The owner in a transaction without triggers, which is rolled back."""
    with filled.owner.transaction(force_rollback=True):
        filled.owner.execute("set local session_replication_role = replica")
        yield filled.owner


def test_an_installation_with_actions_in_every_state_breaks_none(filled: Installation) -> None:
    found = {row["status"] for row in filled.owner.execute("select distinct status from actions").fetchall()}
    assert found == set(Status)
    assert invariants.broken(filled.owner) == []
    assert [found for _, found in rules.check(filled.owner) if found is not None] == []


def test_the_role_of_the_workers_may_look(filled: Installation) -> None:
    with filled.pool.connection() as conn:
        assert all(found is None for _, found in rules.check(conn))


def broken(conn: Connection) -> set[str]:
    """The names of the invariants that do not hold in this transaction."""
    ring = load_key_ring(conn)
    found = {invariant.name for invariant in invariants.load() if invariants.check(conn, invariant)}
    for action_id in history.list_ids(conn, None, 1000):
        found |= {invariant.name for invariant, _ in rules._look_at(conn, action_id, ring, rules.LOOKS)}
    return found


def some(conn: Connection, status: Status) -> UUID:
    """The action in this state that has the most attempts."""
    row = conn.execute(
        """
        select a.id from actions a left join attempts t on t.action_id = a.id
         where a.status = %s group by a.id order by count(t) desc, a.id limit 1
        """,
        [status],
    ).fetchone()
    assert row is not None
    found: UUID = row["id"]
    return found


def retell(conn: Connection, action_id: UUID, change: Callable[[list[Event]], list[Event]]) -> None:
    """Write the trail anew, with hashes that are right."""
    seen = history.get(conn, action_id)
    assert seen is not None
    conn.execute("delete from events where action_id = %s", [action_id])
    last = trail.FIRST_PREVIOUS
    events = change(seen.events)
    for seq, event in enumerate(events, start=1):
        told = trail.chain(action_id, seq, last, event.event, event.actor, event.at, event.data)
        conn.execute(
            "insert into events (action_id, seq, event, actor, at, data, prev_hash, hash) values (%s,%s,%s,%s,%s,%s,%s,%s)",
            [action_id, seq, told.event, told.actor, told.at, Jsonb(told.data), told.prev_hash, told.hash],
        )
        last = told.hash
    conn.execute("update actions set event_seq = %s, event_hash = %s where id = %s", [len(events), last, action_id])


def edit(conn: Connection, action_id: UUID, name: EventName, **changes: Any) -> None:
    """Change what the trail tells of an event."""
    retell(
        conn,
        action_id,
        lambda events: [
            replace(event, data=event.data | changes) if event.event is name else event for event in events
        ],
    )


def recreate(conn: Connection, action_id: UUID) -> None:
    """Make hash and trail of an action say what its row says by now."""
    seen = history.get(conn, action_id)
    assert seen is not None
    content_hash = content.content_hash_of(seen.action)
    conn.execute("update actions set content_hash = %s where id = %s", [content_hash, action_id])
    action = replace(seen.action, content_hash=content_hash)
    edit(conn, action_id, EventName.CREATED, **content.created(action))


def keep_out_a_voter(conn: Connection) -> None:
    escalated = some(conn, Status.ESCALATED)
    conn.execute(
        """
        update actions a set requirement = jsonb_set(requirement, '{excluded}', jsonb_build_array(upper(v.person_id)))
          from votes v where v.action_id = a.id and a.id = %s
        """,
        [escalated],
    )
    recreate(conn, escalated)


def ask_for_another_content(conn: Connection) -> None:
    row = conn.execute("select action_id from votes where content_hash is not null").fetchone()
    assert row is not None
    conn.execute("update actions set params = '{}' where id = %s", [row["action_id"]])
    recreate(conn, row["action_id"])


def ask_more_of_votes(conn: Connection) -> None:
    rejected = some(conn, Status.REJECTED)
    conn.execute(
        "update actions set requirement = requirement || '{\"require_personal_key\": true}' where id = %s", [rejected]
    )
    recreate(conn, rejected)


def use_a_key_twice(conn: Connection) -> None:
    conn.execute("alter table actions drop constraint one_action_per_key")
    conn.execute("update actions set idempotency_key = 'same' where status = 'requested'")
    for row in conn.execute("select id from actions where status = 'requested'").fetchall():
        recreate(conn, row["id"])


def forget_a_vote(conn: Connection) -> None:
    edit(conn, some(conn, Status.EXECUTED), EventName.APPROVED, votes=[])


def keep_a_refusal_quiet(conn: Connection) -> None:
    row = conn.execute("select action_id from events where event = 'ratification_refused'").fetchone()
    assert row is not None
    retell(conn, row["action_id"], lambda events: events[:-1])


def speak_with_a_stale_token(conn: Connection) -> None:
    edit(conn, some(conn, Status.EXECUTED), EventName.EXECUTED, token=0)


def tell_of_another_attempt(conn: Connection) -> None:
    edit(conn, some(conn, Status.EXECUTING), EventName.EXECUTING, attempt=9)


def go_on_after_the_end(conn: Connection) -> None:
    retell(conn, some(conn, Status.EXECUTED), lambda events: [*events, events[-1]])


def fail_and_come_back(conn: Connection) -> None:
    def change(events: list[Event]) -> list[Event]:
        failed = replace(events[-1], event=EventName.FAILED, data={})
        return [*events, failed, replace(failed, event=EventName.REOPENED)]

    retell(conn, some(conn, Status.PENDING_APPROVAL), change)


def vote_twice(conn: Connection) -> None:
    conn.execute("alter table votes drop constraint votes_pkey")
    conn.execute("insert into votes select * from votes where action_id = %s", [some(conn, Status.ESCALATED)])


BREAKS: dict[str, str | Callable[[Connection], None]] = {
    "02_executed_once": "update attempts set state = 'retry' where state = 'succeeded'",
    "03_one_attempt_at_a_time": "update attempts set finished_at = finished_at + interval '1 day'",
    "03_only_keys_repeat": "update attempts set state = 'unknown' where state = 'retry'",
    "04_tokens_rise": "update actions set last_token = last_token + 1 where status = 'failed'",
    "04_last_token_speaks": speak_with_a_stale_token,
    "04_attempts_are_told": tell_of_another_attempt,
    "05_one_row_per_message": "update messages set token = token || 'x' where outcome = 'refused'",
    "05_one_outcome": "update messages set action_id = (select min(id::text)::uuid from actions) where outcome = 'parked'",
    "06_one_vote_each": vote_twice,
    "06_four_eyes": keep_out_a_voter,
    "07_votes_were_sent": "update keys set valid_from = now() - interval '2 hours', valid_until = now() - interval '1 hour'",
    "07_votes_had_grants": "update grants set starts_at = starts_at - interval '2 hours', ends_at = starts_at - interval '1 hour'",
    "07_votes_saw_the_content": ask_for_another_content,
    "07_votes_bring_what_is_asked": ask_more_of_votes,
    "07_votes_in_time": "update messages set expires_at = issued_at - interval '1 hour' where type = 'CastVote'",
    "07_votes_are_signed": "update votes set comment = 'what nobody said'",
    "08_approved_was_decided": "update actions set votes_approve = votes_approve + 1 where status = 'approved'",
    "08_decided_again": forget_a_vote,
    "08_glass_is_ratified": keep_a_refusal_quiet,
    "09_content_stays": "update actions set created_at = created_at + interval '1 microsecond'",
    "09_content_has_its_hash": "update actions set required_ratio = 0.7",
    "10_final_is_final": go_on_after_the_end,
    "10_changes_follow_the_graph": fail_and_come_back,
    "11_one_action_per_key": use_a_key_twice,
    "11_same_key_same_body": "update actions set body_sha256 = sha256('another')",
    "12_definitions_were_agreed": "update definitions set body = body || '{\"priority\": 1000}' where agreed_in is not null",
    "12_keys_were_agreed": "update keys set scope = scope || '{\"origins\": [\"alert\"]}' where kid = 'busy-0'",
    "12_definitions_stay": "update definitions set created_at = now() + interval '1 day' where agreed_in is not null",
    "13_trail_has_no_gap": "update actions set event_seq = event_seq + 1",
    "13_trails_are_whole": "update events set actor = 'mallory' where event = 'approved'",
    "15_workers_only_add": "grant delete on events to ops_worker",
    "19_answers_are_actions": "update proposals set tenant_id = 'another' where action_id is not null",
    "19_decisions_tell_of_answers": "update proposals set decisions = '[]' where action_id is not null",
    "20_alerts_cool_down": "update proposals set type = 'float_low' where type = 'fraud_score_high'",
}


@pytest.mark.parametrize("name", sorted(ALL))
def test_what_breaks_an_invariant_is_seen_by_it_and_by_no_other(owner: Connection, name: str) -> None:
    how = BREAKS[name]
    if callable(how):
        how(owner)
    else:
        assert owner.execute(how.encode()).rowcount != 0
    assert broken(owner) == {name}


@pytest.mark.parametrize("kept_out", [["agent-123"], ["sira-system"]])
@pytest.mark.parametrize("allowed", [False, True])
def test_who_should_be_kept_out_and_is_not_is_seen_unless_the_policy_allows_it(
    owner: Connection, kept_out: list[str], *, allowed: bool
) -> None:
    action_id = some(owner, Status.REQUESTED)
    change = "update actions set requirement = requirement || %s where id = %s"
    owner.execute(change, [Jsonb({"excluded": kept_out}), action_id])
    recreate(owner, action_id)
    policy = """
        update definitions set body = jsonb_set(body, '{policy,allow_self_approval}', %s)
         where kind = 'policy' and agreed_in is null
    """
    owner.execute(policy, [Jsonb(allowed)])
    fine = allowed and kept_out == ["agent-123"]  # the target is kept out whatever a policy allows
    assert broken(owner) == (set() if fine else {"06_four_eyes"})


def test_an_approval_by_one_alone_of_which_nothing_is_told_is_seen(owner: Connection) -> None:
    row = owner.execute("select action_id from events where event = 'ratified'").fetchone()
    assert row is not None
    retell(owner, row["action_id"], lambda events: [event for event in events if event.event != "glass_broken"])
    assert broken(owner) == {"08_glass_is_ratified"}


def test_broken_glass_that_was_put_to_nobody_is_seen(owner: Connection) -> None:
    row = owner.execute("select action_id from events where event = 'ratified'").fetchone()
    assert row is not None
    again = "the same, later"
    retell(owner, row["action_id"], lambda events: [*events[:3], replace(events[2], actor=again), *events[3:]])
    assert broken(owner) == {"08_glass_is_ratified"}


def test_a_vote_that_the_trail_tells_after_the_decision_is_seen(owner: Connection) -> None:
    def change(events: list[Event]) -> list[Event]:
        last = max(place for place, event in enumerate(events) if event.event is EventName.VOTED)
        return [*events[:last], *events[last + 1 :], events[last]]

    retell(owner, some(owner, Status.FAILED), change)
    assert broken(owner) == {"07_votes_in_time"}


def test_a_vote_that_the_trail_does_not_tell_is_seen(owner: Connection) -> None:
    edit(owner, some(owner, Status.ESCALATED), EventName.VOTED, jti="another")
    assert broken(owner) == {"07_votes_in_time"}


def test_a_vote_that_the_trail_tells_after_an_escalation_has_its_deadline(owner: Connection) -> None:
    edit(owner, some(owner, Status.ESCALATED), EventName.ESCALATED, deadline="2001-01-01T00:00:00Z")
    assert broken(owner) == {"07_votes_in_time"}


@pytest.mark.parametrize(
    "change",
    [
        "update grants set starts_at = now(), ends_at = null where acts_for is not null",
        "update grants set starts_at = now(), ends_at = null where role = 'finance_ops' and person_id = 'finance-user-2'",
    ],
)
def test_a_vote_for_one_who_could_not_be_acted_for_or_did_not_hold_the_role_is_seen(
    owner: Connection, change: str
) -> None:
    assert owner.execute(change.encode()).rowcount != 0
    assert broken(owner) == {"07_votes_had_grants"}


def test_a_proposal_that_is_answered_by_nothing_and_an_alert_that_waits_for_nothing_are_seen(owner: Connection) -> None:
    owner.execute("update proposals set action_id = gen_random_uuid() where id = 'low'")
    assert broken(owner) == {"19_answers_are_actions", "19_decisions_tell_of_answers"}
    owner.execute("update proposals set action_id = null, answered_at = null, decisions = '[]' where id = 'low'")
    assert broken(owner) == {"19_decisions_tell_of_answers"}


@pytest.mark.parametrize(("seconds", "found"), [(599, {"20_alerts_cool_down"}), (600, set())])
def test_an_alert_that_led_to_an_action_within_the_cooldown_is_seen_and_later_ones_are_fine(
    owner: Connection, seconds: int, found: set[str]
) -> None:
    owner.execute("update proposals set type = 'float_low' where id = 'fraud'")
    later = """
        update proposals set answered_at = before.answered_at + make_interval(secs => %s)
          from (select answered_at from proposals where id = 'low') before where id = 'fraud'
    """
    owner.execute(later, [seconds])
    assert broken(owner) == found


@pytest.mark.parametrize(("seconds", "fine"), [(30, True), (90, False)])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        (
            "12_keys_were_agreed",
            """
            update keys set created_at = (select min(answered_at) from messages where type = 'SyncDirectory') + %s
             where agreed_in is null
            """,
        ),
        ("07_votes_were_sent", "update keys set valid_from = (select min(recorded_at) from votes) + %s"),
        (
            "20_alerts_cool_down",
            """
            with soon as (update proposals p set answered_at = low.answered_at + interval '2 seconds', type = low.type
                            from proposals low where p.id = 'fraud' and low.id = 'low' returning p.answered_at, p.type)
            insert into definitions (kind, name, version, body, created_by, created_at)
            select kind, name, version + 1, body || '{"cooldown_seconds": 1}', created_by, answered_at + %s
              from definitions join soon on (kind, name) = ('remediation_rule', type) order by version desc limit 1
            """,
        ),
    ],
)
def test_what_came_before_by_less_than_a_minute_may_be_dated_after(
    owner: Connection, name: str, change: str, seconds: int, *, fine: bool
) -> None:
    (rule,) = [invariant for invariant in invariants.load() if invariant.name == name]
    assert owner.execute(change.encode(), [timedelta(seconds=seconds)]).rowcount > 0
    assert (invariants.check(owner, rule) is None) is fine


def test_a_row_that_nobody_can_read_is_told_and_stops_nothing(owner: Connection) -> None:
    owner.execute("update actions set requirement = '{}' where status = 'executed'")
    assert broken(owner) == {"06_four_eyes", "09_content_stays", "13_trails_are_whole"}
