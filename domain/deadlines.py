"""What the passing of time does to an action that waits, for people or to be tried again."""

from domain import breaking, deciding, outcomes
from domain.action import Action
from domain.lifecycle import OPEN, Status
from domain.trail import EventName, timestamp
from domain.world import World


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
            action = deciding.end(world, action, EventName.EXPIRED, data, status=Status.EXPIRED)
    if action.status is Status.APPROVED:
        return outcomes.stop_retrying(world, action) if world.attempts.get(action.id) else _lapse(world, action)
    return action


def _lapse(world: World, action: Action) -> Action:
    """Expire an approval that was not used in time: no first attempt is made on an old one, whoever asked for it."""
    if action.decided_at is None:
        return action
    deadline = breaking.good_until(world, action, action.decided_at)
    if deadline > world.now:
        return action
    data = {"was": action.status, "deadline": timestamp(deadline)}
    return deciding.end(world, action, EventName.EXPIRED, data, status=Status.EXPIRED, next_attempt_at=None)
