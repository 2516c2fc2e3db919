"""What the passing of time does to an action that waits, for people or to be tried again."""

from dataclasses import replace

from domain import deciding, outcomes
from domain.action import Action
from domain.internal_types import Internal
from domain.lifecycle import OPEN, Status
from domain.trail import EventName, timestamp
from domain.world import World


def enforce(world: World, action: Action) -> Action:
    """Expire, escalate or give up an action whose deadline has passed by the world's clock; otherwise leave it.

    A step's time runs from the deadline before it and not from when a sweep noticed, so that the result is the same
    whenever somebody looks, though several steps were missed. Votes that were already cast may decide as soon as the
    step's role counts.
    """
    action = deciding.reconsider(world, action)
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


def enforce_ratifications(world: World) -> None:
    """End the ratifications that nobody gave in time, of those in the world.

    What was approved alone is not begun after that, nor does the person break glass again, though no sweep came by.
    """
    ratifications = [action for action in world.actions.values() if action.action_type == Internal.RATIFY]
    for action in sorted(
        ratifications, key=lambda item: (item.expires_at, item.id)
    ):  # in whatever order they were read
        enforce(world, action)


def _lapse(world: World, action: Action) -> Action:
    """Expire an approval that was not used in time: no first attempt is made on an old one, whoever asked for it.

    A ratification never lapses: people have agreed to it, however late that is carried out.
    """
    if action.decided_at is None or action.action_type == Internal.RATIFY:
        return action
    deadline = deciding.good_until(world, action, action.decided_at)
    if deadline > world.now:
        waits = action.next_attempt_at is None and action.due_at != deadline
        return world.put(replace(action, due_at=deadline)) if waits else action
    data = {"was": action.status, "deadline": timestamp(deadline)}
    return deciding.end(world, action, EventName.EXPIRED, data, status=Status.EXPIRED, next_attempt_at=None)
