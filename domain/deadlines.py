"""What the passing of time does to an action that waits, for people or to be tried again."""

from datetime import timedelta

from domain import deciding, outcomes
from domain.lifecycle import OPEN, Status
from domain.trail import EventName, timestamp
from domain.world import ENGINE, Action, World


def enforce(world: World, action: Action) -> Action:
    """Expire, escalate or give up an action whose deadline has passed by the world's clock; otherwise leave it.

    A step's time runs from the deadline before it and not from when a sweep noticed, so that the result is the same
    whenever somebody looks, though several steps were missed. Votes that were already cast may decide as soon as the
    step's role counts.
    """
    while action.status in OPEN and action.expires_at <= world.now:
        if action.steps_reached < len(action.requirement.escalation):
            deadline = action.expires_at
            action = deciding.escalate(world, action, deadline, deciding.DEADLINE_PASSED)
            action = deciding.decide(world, action, deadline)
        else:
            data = {"was": action.status, "deadline": timestamp(action.expires_at)}
            action = world.note(action, EventName.EXPIRED, ENGINE, data, status=Status.EXPIRED, due_at=None)
    if action.status is Status.APPROVED:
        return outcomes.stop_retrying(world, action) if world.attempts.get(action.id) else _lapse(world, action)
    return action


def _lapse(world: World, action: Action) -> Action:
    """Expire an approval that was not used in time: no first attempt is made on an old one, whoever asked for it."""
    if action.decided_at is None:
        return action
    deadline = action.decided_at + timedelta(seconds=action.execute_within_seconds)
    if deadline > world.now:
        return action
    data = {"was": action.status, "deadline": timestamp(deadline)}
    return world.note(action, EventName.EXPIRED, ENGINE, data, status=Status.EXPIRED, due_at=None)
