"""What becomes of an action when an attempt has ended, in whatever way, and when it is found out later.

Only what certainly did not happen is tried again, but at a service that deduplicates, where the same key does the effect
once. Else a call of which nobody knows is `outcome_unknown`: the service is asked where it can be, and people find out
where it cannot.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from domain.action import Action, Attempt, AttemptState
from domain.action_type import LEASE_MARGIN_SECONDS, ActionType, Guarantee
from domain.internal_types import INTERNAL_TYPES, Internal
from domain.lifecycle import Status
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from domain.trail import EventName, timestamp
from domain.world import ENGINE, World

MAX_PAUSE_SECONDS = 3600
_JITTER = 0.2


def settles_at(world: World, action: Action) -> datetime:
    """From when on an action's last call can have no effect any more."""
    return call_ends_at(world.action_type_of(action), last_attempt(world, action))


def last_attempt(world: World, action: Action) -> Attempt:
    """The attempt with the highest token; there must be one."""
    return next(item for item in world.attempts[action.id].values() if item.token == action.last_token)


def call_ends_at(action_type: ActionType, attempt: Attempt) -> datetime:
    """From when on an attempt's call, wherever it was made, can have no effect any more."""
    return attempt.started_at + timedelta(seconds=action_type.timeout_seconds + LEASE_MARGIN_SECONDS)


def conclude(world: World, action: Action, attempt: Attempt, outcome: Outcome) -> Action:
    """Close an attempt with what it came to, and do with the action what its type's guarantee allows."""
    match outcome:
        case Done(result):
            return _executed(world, action, attempt, result)
        case Rejected(reason):
            attempt = _close(world, attempt, AttemptState.REJECTED, reason)
            return _give_up(world, action, attempt, reason)
        case Retry(reason, after_seconds):
            attempt = _close(world, attempt, AttemptState.RETRY, reason)
            return _try_again(world, action, attempt, reason, after_seconds)
        case Unknown(reason) if action.action_type in INTERNAL_TYPES:  # what it does, it does in the step that says so
            return conclude(world, action, attempt, Retry(reason))
        case Unknown(reason):
            attempt = _close(world, attempt, AttemptState.UNKNOWN, reason)
            if world.action_type_of(action).guarantee is Guarantee.DEDUPLICATES:
                return _try_again(world, action, attempt, reason, None)
            return _unknown(world, action, attempt, reason)


def stop_retrying(world: World, action: Action) -> Action:
    """Give up an action that no worker came to try again in time: its service may have forgotten the key by now."""
    if not _is_spent(world, action, world.now):
        return action
    return _give_up(world, action, last_attempt(world, action), "It was not tried again in time.")


def resolve(world: World, action: Action, by: Action, found: Status) -> Action:
    """Settle an unknown outcome as people found it: executed, failed, or approved to be tried again.

    `by` is the action that they agreed to. Of attempts of which nobody knew, it is known now.
    """
    attempts = sorted(world.attempts[action.id].values(), key=lambda item: item.number)
    unknown = [item for item in attempts if item.state is AttemptState.UNKNOWN]
    if found is Status.EXECUTED:  # by the last attempt that can have done it; later ones certainly did not
        return _executed(world, action, unknown[-1], by.params.get("result", {}), by)
    state = AttemptState.REJECTED if found is Status.FAILED else AttemptState.RETRY
    for attempt in unknown:
        _close(world, attempt, state, by.params["reason"])
    if found is Status.APPROVED:
        return begin_again(world, action, by)
    return _give_up(world, action, last_attempt(world, action), by.params["reason"], by)


def begin_again(world: World, action: Action, by: Action) -> Action:
    """Have an action tried anew, with attempts and time as for the first time; `by` is the action that people agreed to."""
    data = {"reason": by.params["reason"], "next_attempt_at": timestamp(world.now), "agreed_in": str(by.id)}
    changes: dict[str, Any] = {
        "error": None,
        "next_attempt_at": world.now,
        "due_at": world.now,
        "attempts_before": len(world.attempts[action.id]),
    }
    actor = by.executed_by or ENGINE
    return world.note(action, EventName.RETRY_SCHEDULED, actor, data, status=Status.APPROVED, **changes)


def ask_again(world: World, action: Action, attempt: Attempt, reason: str) -> Action:
    """Nobody knows yet: ask again later, the longer after the attempt the more rarely."""
    waited = (world.now - (attempt.finished_at or attempt.started_at)).total_seconds()
    later = world.now + timedelta(
        seconds=min(MAX_PAUSE_SECONDS, max(world.action_type_of(action).retry_base_seconds, waited))
    )
    return world.put(replace(action, error=reason, next_attempt_at=later, due_at=later))


def _executed(
    world: World, action: Action, attempt: Attempt, result: dict[str, Any], by: Action | None = None
) -> Action:
    _close(world, attempt, AttemptState.SUCCEEDED, None)
    data = _of(last_attempt(world, action), by) | {"result": result}
    changes: dict[str, Any] = {"executed_at": world.now, "result": result, "error": None, "next_attempt_at": None}
    return world.note(
        action, EventName.EXECUTED, _actor(action, by), data, status=Status.EXECUTED, due_at=None, **changes
    )


def _actor(action: Action, by: Action | None) -> str:
    return (by or action).executed_by or ENGINE


def _close(world: World, attempt: Attempt, state: AttemptState, reason: str | None) -> Attempt:
    """Say what an attempt came to; one of which nobody knew was over when it was given up, whenever that is found out."""
    over_at = attempt.finished_at or world.now
    return world.put_attempt(replace(attempt, state=state, finished_at=over_at, reason=reason))


def _of(attempt: Attempt, by: Action | None = None) -> dict[str, Any]:
    """Which attempt an event tells of, and in which action people agreed on it."""
    agreed = {} if by is None else {"agreed_in": str(by.id)}
    return {"attempt": attempt.number, "token": attempt.token} | agreed


def _try_again(world: World, action: Action, attempt: Attempt, reason: str, after_seconds: float | None) -> Action:
    action_type = world.action_type_of(action)
    at = world.now + timedelta(seconds=_pause_seconds(action_type, action, attempt, after_seconds))
    if _is_spent(world, action, at):
        return _give_up(world, action, attempt, reason)
    data = _of(attempt) | {"reason": reason, "next_attempt_at": timestamp(at)}
    changes: dict[str, Any] = {"error": reason, "next_attempt_at": at, "due_at": at}
    return world.note(action, EventName.RETRY_SCHEDULED, ENGINE, data, status=Status.APPROVED, **changes)


def _is_spent(world: World, action: Action, at: datetime) -> bool:
    """Whether attempts or time are used up, at this moment, since the first attempt or since people had it tried again.

    Those of a ratification never are: people have agreed, and nothing else says so of what was approved alone.
    """
    if action.action_type == Internal.RATIFY:
        return False
    action_type, attempts = world.action_type_of(action), world.attempts[action.id]
    first = attempts.get(action.attempts_before + 1)
    since = action.next_attempt_at if first is None else first.started_at
    is_late = since is not None and at > since + timedelta(seconds=action_type.retry_within_seconds)
    return is_late or len(attempts) - action.attempts_before >= action_type.max_attempts


def _pause_seconds(action_type: ActionType, action: Action, attempt: Attempt, after_seconds: float | None) -> float:
    """Twice as long each time, less up to a fifth that differs from action to action, so that they do not return together.

    What the service asked for counts if it is longer.
    """
    nth = attempt.number - action.attempts_before
    doubled = min(MAX_PAUSE_SECONDS, action_type.retry_base_seconds * 2.0 ** (nth - 1))
    drawn = sha256(f"{action.id} {attempt.number}".encode()).digest()[0] / 255
    return min(MAX_PAUSE_SECONDS, max(doubled * (1 - _JITTER * drawn), after_seconds or 0))


def _give_up(world: World, action: Action, attempt: Attempt, reason: str, by: Action | None = None) -> Action:
    """End without success: failed if no attempt can have had an effect, else nobody knows and the state says so."""
    if any(item.state is AttemptState.UNKNOWN for item in world.attempts[action.id].values()):
        return _unknown(world, action, attempt, reason)
    changes: dict[str, Any] = {"error": reason, "next_attempt_at": None, "due_at": None}
    data = _of(attempt, by) | {"reason": reason}
    return world.note(action, EventName.FAILED, _actor(action, by), data, status=Status.FAILED, **changes)


def _unknown(world: World, action: Action, attempt: Attempt, reason: str) -> Action:
    """A state of its own; the service is asked once the call can no longer be on its way."""
    action_type = world.action_type_of(action)
    ask_at = call_ends_at(action_type, attempt) if action_type.guarantee is Guarantee.QUERYABLE else None
    at = None if ask_at is None else max(ask_at, world.now)
    changes: dict[str, Any] = {"error": reason, "next_attempt_at": at, "due_at": at}
    data = _of(attempt) | {"reason": reason}
    return world.note(
        action, EventName.OUTCOME_UNKNOWN, action.executed_by or ENGINE, data, status=Status.OUTCOME_UNKNOWN, **changes
    )
