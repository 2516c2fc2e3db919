"""Lets a stage come to rest, and holds what the engine says against what the ledgers know."""

import time
from dataclasses import dataclass, field
from typing import cast

import psycopg
import redis

from db.events import read_backlog
from tests.faults.stage import Stage
from tests.faults.workload import SETTLED, Workload
from workers import invariants
from workers.relay import STREAM
from workers.stack.process import wait_until

DRAIN_SECONDS = 120
CONTROL_SECONDS = 60
"""How long the control may take to repeat what it was killed at; it has hundreds left after stops that last seconds."""
LOOK_SECONDS = 0.3
SERVICE_OF = {"REPEATED": "keyed", "ASKED": "asked", "ONCE": "plain"}

# A pause before a retry or the next asking is nobody's decision; the end of a lease is left alone.
_HASTEN = """
    update actions set due_at = clock_timestamp(), next_attempt_at = clock_timestamp()
     where status in ('approved', 'outcome_unknown') and next_attempt_at > clock_timestamp() + interval '1 second'
"""
_MOVING = """
    select id, status from actions
     where status not in ('executed', 'failed', 'rejected', 'expired', 'cancelled')
       and not (status = 'outcome_unknown' and action_type = 'ONCE')
"""


@dataclass
class Verdict:
    """What a round came to. Only `unknown`, `reconciled` and the control's doubles may be above zero."""

    lost_votes: int = 0
    lost_messages: int = 0
    doubled: int = 0
    unknown: int = 0
    reconciled: int = 0
    naive_doubled: int = 0
    actions: int = 0
    executed: int = 0
    wrong: list[str] = field(default_factory=list)
    """Sentences: each is something that must never be."""


def drain(workload: Workload) -> None:
    """Have producers send again what got no answer, and wait until nothing moves any more. Raises TimeoutError."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while left := _look(workload):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it has not come to rest after {DRAIN_SECONDS} seconds: {left}")
        time.sleep(LOOK_SECONDS)
    naive = "select from public.naive where status = 'approved'"
    wait_until(lambda: not workload.stage.rows(naive), CONTROL_SECONDS)


def _look(workload: Workload) -> str:
    """What is still to be waited for; nothing when all is at rest."""
    stage = workload.stage
    try:
        missing = workload.waiting() + workload.resend()
        workload.ask_to_execute()
        stage.conn.execute(_HASTEN)
        outcomes = workload.outcomes()
        unsettled = [what for sha in workload.tickets if (what := outcomes.get(sha, "missing")) not in SETTLED]
        moving = stage.rows(_MOVING)
        untold = read_backlog(stage.conn).events
    except (psycopg.Error, redis.RedisError) as error:
        return type(error).__name__
    if missing or unsettled or moving or untold:
        states = sorted({*unsettled, *(row["status"] for row in moving)})
        waiting = f"{len(unsettled)} unsettled, {len(moving)} moving {states}, {untold} untold"
        return f"{missing} without a receipt, {waiting}"
    return ""


def judge(workload: Workload, *, redis_forgets: bool) -> Verdict:
    """Compare database and ledgers; nothing may be at work any more. `redis_forgets` if the fault makes it lose messages."""
    stage, verdict = workload.stage, Verdict(actions=len(workload.numbers))
    outcomes = workload.outcomes()
    without = workload.tickets.keys() - outcomes.keys()
    lost = without | workload.forgotten()
    counted = {row["jti"] for row in stage.rows("select jti from votes")}
    unheard = {
        sha for sha in workload.votes if outcomes.get(sha) == "applied" and workload.tickets[sha].jti not in counted
    }
    verdict.lost_messages = len(lost)
    verdict.lost_votes = len((lost & workload.votes) | unheard)
    _compare_effects(stage, verdict)
    _compare_stream(stage, verdict)
    verdict.naive_doubled = sum(count > 1 for count in stage.naive.effects().values())
    verdict.wrong += [
        f"{broken.invariant.name}: {broken.violations}"
        for _, broken in invariants.check(stage.conn)
        if broken is not None
    ]
    if workload.vanished and not redis_forgets:
        verdict.wrong.append(f"{workload.vanished} messages were let go of before they had a receipt")
    # A flush between the look at the list and the look at its bodies leaves entries without any.
    if (strangers := [*outcomes.values()].count("quarantined")) and not redis_forgets:
        verdict.wrong.append(f"{strangers} entries of the queue were quarantined that nobody sent")
    if verdict.lost_messages or verdict.lost_votes:
        verdict.wrong.append(f"{verdict.lost_messages} messages and {verdict.lost_votes} votes are lost")
    return verdict


def _compare_stream(stage: Stage, verdict: Verdict) -> None:
    """Of each action the stream must tell every event, for the first time in order, whatever it repeats."""
    told: dict[str, dict[str, None]] = {}
    for _, fields in cast("list[tuple[bytes, dict[bytes, bytes]]]", stage.client.xrange(STREAM)):
        told.setdefault(fields[b"action_id"].decode(), {})[fields[b"seq"].decode()] = None
    for row in stage.rows("select id::text, event_seq from actions"):
        if [*told.get(row["id"], ())] != [str(seq) for seq in range(1, row["event_seq"] + 1)]:
            verdict.wrong.append(
                f"of {row['id']} the stream tells {[*told.get(row['id'], ())]} of {row['event_seq']} events"
            )


def _compare_effects(stage: Stage, verdict: Verdict) -> None:
    effects = {action_type: stage.services[service].effects() for action_type, service in SERVICE_OF.items()}
    known = {key for of_type in effects.values() for key in of_type}
    doubled = [key for of_type in effects.values() for key, count in of_type.items() if count > 1]
    verdict.doubled = len(doubled)
    verdict.wrong += [f"{key} had its effect more than once" for key in doubled]
    actions = stage.rows(
        """
        select id::text, action_type, status,
               exists (select from events e where e.action_id = a.id and e.event = 'outcome_unknown') as was_unknown
          from actions a
        """
    )
    for action in actions:
        key, status = action["id"], action["status"]
        verdict.executed += status == "executed"
        verdict.unknown += action["was_unknown"]
        verdict.reconciled += action["was_unknown"] and status != "outcome_unknown"
        happened = effects[action["action_type"]][key]
        if happened != (status == "executed") and status != "outcome_unknown":
            verdict.wrong.append(f"{key}, {action['action_type']}, is {status} and had {happened} effects")
    unheard_of = known - {action["id"] for action in actions}
    verdict.wrong += [f"{key} had its effect and is not known" for key in unheard_of]
