"""Executing an approved action: who may ask for it, one attempt at a time, and what its outcome means.

An attempt is committed before the call is made and holds a lease; its token is higher than every token before it. Only
the holder of the highest token says what the call came to, so that a worker that wakes up late changes nothing.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain import deadlines, deciding
from domain.keys import Scope
from domain.lifecycle import Status
from domain.messages import ExecuteAction, Message, Receipt
from domain.messages import Outcome as MessageOutcome
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from domain.refusals import Code, Refusal
from domain.trail import EventName, timestamp
from domain.world import ENGINE, Action, Attempt, AttemptState, World

EXECUTOR_ROLES = frozenset({"ops_admin", "finance_ops"})
"""One of these is needed to have an approved action executed."""

LEASE_MARGIN_SECONDS = 10
"""How much longer than its call's deadline an attempt holds its lease: time to write down what happened."""

NUDGE_AGAIN_SECONDS = 10
"""When a sweep looks again at an execution that it rang for: the ring may have been lost with the queue."""

MAX_PAUSE_SECONDS = 3600

_STARTED = frozenset({Status.EXECUTING, Status.EXECUTED, Status.OUTCOME_UNKNOWN})


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A worker wants to execute an action, with a token that it drew from the database."""

    action_id: UUID
    token: int
    worker: str


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """What the call of the attempt with this token came to."""

    action_id: UUID
    token: int
    outcome: Outcome


def request(world: World, message: Message, body: ExecuteAction) -> Receipt | Refusal:
    """Have an approved action executed by a person: it is due now, and the person is its executor."""
    action = world.actions.get(body.action_id)
    if action is None:
        return Refusal(Code.UNKNOWN_ACTION)
    if not Scope.allows(message.scope.action_types, action.action_type):
        return Refusal(Code.OUT_OF_SCOPE, f"Its scope does not have the action type {action.action_type!r}.")
    held = world.directory.roles_of(body.executed_by, world.now)
    if not any(Scope.allows(message.scope.roles, role) for role in held & EXECUTOR_ROLES):
        needed = ", ".join(sorted(EXECUTOR_ROLES))
        return Refusal(Code.EXECUTOR_NOT_ALLOWED, f"{body.executed_by!r} needs one of {needed}.")
    action = deadlines.enforce(world, action)
    if action.status in _STARTED or (action.status is Status.APPROVED and action.next_attempt_at is not None):
        return Refusal(Code.ALREADY_STARTED, f"By {action.executed_by}; it is {action.status}.")
    if action.status is not Status.APPROVED:
        return Refusal(Code.NOT_APPROVED, f"It is {action.status}.")
    world.put(replace(action, executed_by=body.executed_by, next_attempt_at=world.now, due_at=world.now))
    return Receipt(MessageOutcome.APPLIED, "The action will be executed now.", action_id=action.id)


def start(world: World, started: AttemptStarted) -> Receipt | Refusal:
    """Take the lease of an approved action whose execution was asked for; one attempt at a time."""
    action = world.actions.get(started.action_id)
    if action is None:
        return Refusal(Code.UNKNOWN_ACTION)
    if started.token <= action.last_token:
        return Refusal(Code.STALE_TOKEN)
    action = deadlines.enforce(world, action)
    if action.status is not Status.APPROVED:
        return Refusal(Code.NOT_APPROVED, f"It is {action.status}.")
    if not action.executable_at(world.now):
        return Refusal(Code.NOT_DUE)
    if not world.attempts.get(action.id):
        action = deciding.decide_again(world, action)
        if action.status is not Status.APPROVED:
            return Refusal(Code.NOT_APPROVED, "Decided again before the first attempt, it is not approved any more.")
    seconds = world.action_type_of(action).timeout_seconds + LEASE_MARGIN_SECONDS
    attempt = Attempt(
        action_id=action.id,
        number=len(world.attempts.get(action.id, {})) + 1,
        token=started.token,
        state=AttemptState.STARTED,
        worker=started.worker,
        started_at=world.now,
        lease_until=world.now + timedelta(seconds=seconds),
    )
    world.put_attempt(attempt)
    world.note(
        action,
        EventName.EXECUTING,
        action.executed_by or ENGINE,
        {"attempt": attempt.number, "token": attempt.token, "lease_until": timestamp(attempt.lease_until)},
        status=Status.EXECUTING,
        last_token=attempt.token,
        due_at=attempt.lease_until,
    )
    return Receipt(MessageOutcome.APPLIED, f"Attempt {attempt.number} holds the lease.", action_id=action.id)


def finish(world: World, finished: AttemptFinished) -> Receipt | Refusal:
    """Write down what an attempt came to; refused, and nothing changed, unless its token is still the highest."""
    action = world.actions.get(finished.action_id)
    if action is None:
        return Refusal(Code.UNKNOWN_ACTION)
    attempt = _running(world, action)
    if attempt is None or attempt.token != finished.token:
        return Refusal(Code.STALE_TOKEN)
    _conclude(world, action, attempt, finished.outcome)
    return Receipt(MessageOutcome.APPLIED, f"The action is {world.actions[action.id].status}.", action_id=action.id)


def due(world: World, action: Action) -> None:
    """What the passing of time does to an action that is to be executed: an ended lease, or another ring of the bell."""
    if action.status is Status.EXECUTING:
        if (attempt := _running(world, action)) is not None:
            _conclude(world, action, attempt, Unknown("The lease ended and the worker had not said what happened."))
    elif action.status is Status.APPROVED and action.next_attempt_at is not None:
        world.put(replace(action, due_at=world.now + timedelta(seconds=NUDGE_AGAIN_SECONDS)))


def _running(world: World, action: Action) -> Attempt | None:
    if action.status is not Status.EXECUTING:
        return None
    return next(item for item in world.attempts[action.id].values() if item.token == action.last_token)


def _conclude(world: World, action: Action, attempt: Attempt, outcome: Outcome) -> None:
    actor = action.executed_by or ENGINE
    data: dict[str, Any] = {"attempt": attempt.number, "token": attempt.token}
    match outcome:
        case Done(result):
            _close(world, attempt, AttemptState.SUCCEEDED, None)
            changes = {"status": Status.EXECUTED, "executed_at": world.now, "result": result, "error": None}
            world.note(action, EventName.EXECUTED, actor, data | {"result": result}, due_at=None, **changes)
        case Rejected(reason):
            _close(world, attempt, AttemptState.REJECTED, reason)
            _give_up(world, action, data, reason)
        case Retry(reason, after_seconds):
            _close(world, attempt, AttemptState.RETRY, reason)
            _try_again(world, action, attempt, data, reason, after_seconds)
        case Unknown(reason):
            _close(world, attempt, AttemptState.UNKNOWN, reason)
            # Only a service that deduplicates may be asked again without knowing: the same key does the effect once.
            _try_again(world, action, attempt, data, reason, None)


def _close(world: World, attempt: Attempt, state: AttemptState, reason: str | None) -> None:
    world.put_attempt(replace(attempt, state=state, finished_at=world.now, reason=reason))


def _try_again(
    world: World, action: Action, attempt: Attempt, data: dict[str, Any], reason: str, after_seconds: float | None
) -> None:
    if attempt.number >= world.action_type_of(action).max_attempts:
        _give_up(world, action, data, reason)
        return
    next_attempt_at = world.now + timedelta(seconds=_pause_seconds(world, action, attempt, after_seconds))
    data |= {"reason": reason, "next_attempt_at": timestamp(next_attempt_at)}
    changes = {
        "status": Status.APPROVED,
        "error": reason,
        "next_attempt_at": next_attempt_at,
        "due_at": next_attempt_at,
    }
    world.note(action, EventName.RETRY_SCHEDULED, ENGINE, data, **changes)


def _pause_seconds(world: World, action: Action, attempt: Attempt, after_seconds: float | None) -> float:
    doubled = world.action_type_of(action).retry_base_seconds * 2.0 ** (attempt.number - 1)
    return min(MAX_PAUSE_SECONDS, max(doubled, after_seconds or 0))


def _give_up(world: World, action: Action, data: dict[str, Any], reason: str) -> None:
    """End without success: failed if no attempt can have had an effect, else nobody knows and the state says so."""
    unsure = any(item.state is AttemptState.UNKNOWN for item in world.attempts[action.id].values())
    name, status = (EventName.OUTCOME_UNKNOWN, Status.OUTCOME_UNKNOWN) if unsure else (EventName.FAILED, Status.FAILED)
    actor = action.executed_by or ENGINE
    world.note(action, name, actor, data | {"reason": reason}, status=status, error=reason, due_at=None)
