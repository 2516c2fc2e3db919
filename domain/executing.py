"""Executing an approved action: who may ask for it, one attempt at a time, and who says what it came to.

An attempt is committed before the call is made and holds a lease, which its worker renews while the call lasts; its token
is higher than every token before it. Only the holder of the highest token says what the call came to, so that a worker
that wakes up late changes nothing.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from domain import deadlines, deciding, internal, outcomes
from domain.action import Action, Attempt, AttemptState
from domain.keys import Scope, not_spoken_for
from domain.lifecycle import Status
from domain.messages import ExecuteAction, Message, Receipt
from domain.messages import Outcome as MessageOutcome
from domain.outcome import Done, Outcome, Unknown
from domain.refusals import Code, Refusal
from domain.trail import EventName, timestamp
from domain.world import ENGINE, World

EXECUTOR_ROLES = frozenset({"ops_admin", "finance_ops"})
"""One of these is needed to have an approved action executed."""

LEASE_SECONDS = 30
"""How long an attempt holds its lease without a word of its worker; never past the end of its call."""

NUDGE_AGAIN_SECONDS = 10
"""When a sweep looks again at an execution that it rang for: the ring may have been lost with the queue."""

_STARTED = frozenset({Status.EXECUTING, Status.EXECUTED, Status.OUTCOME_UNKNOWN})


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A worker wants to execute an action, with a token that it drew from the database."""

    action_id: UUID
    token: int
    worker: str


@dataclass(frozen=True, slots=True)
class AttemptRenewed:
    """The worker of the attempt with this token is still at it."""

    action_id: UUID
    token: int


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """What the call of the attempt with this token came to."""

    action_id: UUID
    token: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Perform:
    """The engine is to carry out an internal action itself, as the attempt with this token."""

    action_id: UUID
    token: int


@dataclass(frozen=True, slots=True)
class OutcomeFound:
    """What the service says became of the call of the attempt with this token, when it is asked afterwards."""

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
        needed = f"{body.executed_by!r} needs one of {', '.join(sorted(EXECUTOR_ROLES))}."
        return Refusal(Code.EXECUTOR_NOT_ALLOWED, needed + not_spoken_for(held & EXECUTOR_ROLES))
    action = deadlines.enforce(world, action)
    if action.status in _STARTED or (action.status is Status.APPROVED and action.next_attempt_at is not None):
        return Refusal(Code.ALREADY_STARTED, f"By {action.executed_by}; it is {action.status}.")
    if action.status is not Status.APPROVED:
        return Refusal(Code.NOT_APPROVED, f"It is {action.status}.")
    world.put(replace(action, executed_by=body.executed_by, next_attempt_at=world.now, due_at=world.now))
    return Receipt(MessageOutcome.APPLIED, "The action will be executed now.", action_id=action.id)


def start(world: World, started: AttemptStarted) -> Receipt | Refusal:
    """Take the lease of an approved action whose execution was asked for; one attempt at a time.

    Of an action with an unknown outcome whose service is to be asked, it gives the asking to one worker for a while.
    """
    if started.action_id not in world.actions:
        return Refusal(Code.UNKNOWN_ACTION)
    if started.token <= world.actions[started.action_id].last_token:
        return Refusal(Code.STALE_TOKEN)
    deadlines.enforce_ratifications(world)
    action = deadlines.enforce(world, world.actions[started.action_id])
    if action.status not in {Status.APPROVED, Status.OUTCOME_UNKNOWN}:
        return Refusal(Code.NOT_APPROVED, f"It is {action.status}.")
    if not action.executable_at(world.now):
        return Refusal(Code.NOT_DUE)
    if action.status is Status.OUTCOME_UNKNOWN:
        _ask_later(world, action)
        return Receipt(MessageOutcome.APPLIED, "The service is to be asked.", action_id=action.id)
    if not world.attempts.get(action.id):
        action = deadlines.enforce(world, deciding.decide_again(world, action))
        # It may have been approved anew at once, and then nobody has asked for its execution yet.
        if not action.executable_at(world.now):
            return Refusal(Code.NOT_APPROVED, "Decided again before the first attempt, the approval did not hold.")
    attempt = _begin(world, action, started)
    return Receipt(MessageOutcome.APPLIED, f"Attempt {attempt.number} holds the lease.", action_id=action.id)


def _begin(world: World, action: Action, started: AttemptStarted) -> Attempt:
    """The next attempt, with its lease; the action is executing from now on."""
    attempt = Attempt(
        action_id=action.id,
        number=len(world.attempts.get(action.id, {})) + 1,
        token=started.token,
        state=AttemptState.STARTED,
        worker=started.worker,
        started_at=world.now,
        lease_until=world.now,
    )
    attempt = _renewed(world, action, attempt)
    world.note(
        action,
        EventName.EXECUTING,
        action.executed_by or ENGINE,
        {"attempt": attempt.number, "token": attempt.token, "lease_until": timestamp(attempt.lease_until)},
        status=Status.EXECUTING,
        last_token=attempt.token,
        due_at=attempt.lease_until,
    )
    return attempt


def finish(world: World, finished: AttemptFinished | Perform) -> Receipt | Refusal:
    """Write down what an attempt came to; refused, and nothing changed, unless its token is still the highest.

    What the engine carries out itself comes to something right here.
    """
    action = world.actions.get(finished.action_id)
    if action is None:
        return Refusal(Code.UNKNOWN_ACTION)
    attempt = _running(world, action)
    if attempt is None or attempt.token != finished.token:
        return Refusal(Code.STALE_TOKEN)
    outcome = internal.perform(world, action) if isinstance(finished, Perform) else finished.outcome
    action = outcomes.conclude(world, action, attempt, outcome)
    return Receipt(MessageOutcome.APPLIED, f"The action is {action.status}.", action_id=action.id)


def renew(world: World, renewed: AttemptRenewed) -> Receipt | Refusal:
    """Prolong the lease of an attempt; refused once somebody has concluded from its silence, or its call is over."""
    action = world.actions.get(renewed.action_id)
    if action is None:
        return Refusal(Code.UNKNOWN_ACTION)
    attempt = _running(world, action)
    if attempt is None or attempt.token != renewed.token or attempt.lease_until <= world.now:
        return Refusal(Code.STALE_TOKEN)
    attempt = _renewed(world, action, attempt)
    world.put(replace(action, due_at=attempt.lease_until))
    return Receipt(MessageOutcome.APPLIED, "The lease is renewed.", action_id=action.id)


def found(world: World, told: OutcomeFound) -> Receipt | Refusal:
    """Write down what a service says became of a call of which nobody knew.

    That it did not happen is believed only once the call can no longer be on its way. Of an attempt that has said what it
    came to nothing can be found out, even where an earlier one leaves the action's outcome unknown.
    """
    action = world.actions.get(told.action_id)
    if action is None:
        return Refusal(Code.UNKNOWN_ACTION)
    if action.status is not Status.OUTCOME_UNKNOWN or action.last_token != told.token:
        return Refusal(Code.STALE_TOKEN)
    attempt = outcomes.last_attempt(world, action)
    if attempt.state is not AttemptState.UNKNOWN:
        return Refusal(Code.STALE_TOKEN)
    if isinstance(told.outcome, Unknown):
        outcomes.ask_again(world, action, attempt, told.outcome.reason)
        return Receipt(MessageOutcome.APPLIED, "The service is asked again later.", action_id=action.id)
    if not isinstance(told.outcome, Done) and world.now < outcomes.call_ends_at(world.action_type_of(action), attempt):
        return Refusal(Code.NOT_DUE)
    action = outcomes.conclude(world, action, attempt, told.outcome)
    return Receipt(MessageOutcome.APPLIED, f"The action is {action.status}.", action_id=action.id)


def due(world: World, action: Action) -> None:
    """What the passing of time does to an action that is to be executed: an ended lease, or another ring of the bell."""
    if action.status is Status.EXECUTING:
        if (attempt := _running(world, action)) is not None:
            silence = Unknown("The lease ended and the worker had not said what happened.")
            outcomes.conclude(world, action, attempt, silence)
    elif action.status in {Status.APPROVED, Status.OUTCOME_UNKNOWN} and action.next_attempt_at is not None:
        _ring_later(world, action)


def _ring_later(world: World, action: Action) -> None:
    world.put(replace(action, due_at=world.now + timedelta(seconds=NUDGE_AGAIN_SECONDS)))


def _ask_later(world: World, action: Action) -> None:
    """Not before the question that one worker asks now has its answer, so that a slow service holds one worker and not all."""
    seconds = max(NUDGE_AGAIN_SECONDS, world.action_type_of(action).timeout_seconds)
    later = world.now + timedelta(seconds=seconds)
    world.put(replace(action, next_attempt_at=later, due_at=later))


def _renewed(world: World, action: Action, attempt: Attempt) -> Attempt:
    until = min(
        world.now + timedelta(seconds=LEASE_SECONDS), outcomes.call_ends_at(world.action_type_of(action), attempt)
    )
    return world.put_attempt(replace(attempt, lease_until=until))


def _running(world: World, action: Action) -> Attempt | None:
    return outcomes.last_attempt(world, action) if action.status is Status.EXECUTING else None
