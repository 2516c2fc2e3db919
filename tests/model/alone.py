"""Rules for what one person approves alone, and for what others say of that afterwards."""

from collections.abc import Iterator
from datetime import timedelta

from domain.action import Action
from domain.internal_types import Internal
from domain.lifecycle import OPEN, Status
from domain.quorum import Verdict
from domain.trail import Event, EventName
from domain.world import World
from tests.model.laws import Told, decisions

_ANSWERS: dict[Status, tuple[EventName, ...]] = {
    Status.EXECUTED: (EventName.RATIFIED,),
    Status.REJECTED: (EventName.RATIFICATION_REFUSED,),
    Status.EXPIRED: (EventName.RATIFICATION_REFUSED,),
} | dict.fromkeys([*OPEN, Status.APPROVED, Status.EXECUTING], ())
"""What is told of a ratification by what it is about; it comes to no other state."""


def broken_by_a_step(world: World, told: Told) -> Iterator[str]:
    """What the events of a step may not tell."""
    for event in world.changes.events:
        match event.event:
            case EventName.GLASS_BROKEN:
                yield from _broken_by_glass(world, told, event)
            case EventName.RATIFICATION_REFUSED:
                yield from _broken_by_a_refusal(world, told, event)
            case EventName.APPROVED if world.actions[event.action_id].action_type == Internal.RATIFY:
                agreed = {vote["person"] for vote in event.data["votes"] if vote["vote"] == "approve"}
                if len(agreed - {world.actions[event.action_id].created_by}) < 2:
                    yield f"only {agreed} ratify it"


def _broken_by_glass(world: World, told: Told, event: Event) -> Iterator[str]:
    """Glass is broken no more often than is allowed, and by a role granted since others last refused to ratify that."""
    person, glass = event.actor, world.actions[event.action_id].requirement.break_glass
    if glass is None:
        yield f"{person} approved alone what nobody may"
        return
    since = world.now - timedelta(seconds=glass.within_seconds)
    used = [broken for broken in told.every(EventName.GLASS_BROKEN, person) if broken.at > since]
    if len(used) > glass.uses:
        yield f"{person} did so {len(used)} times"
    held = [item for item in world.directory.grants if (item.person, item.role) == (person, glass.role)]
    granted_at = [grant.starts_at for grant in held if grant.held_at(world.now)]
    refused_at = [refused.at for refused in told.every(EventName.RATIFICATION_REFUSED, person)]
    if not granted_at or (refused_at and max(granted_at) <= max(refused_at)):
        yield f"{person} has held the role since {granted_at}, and was refused a ratification at {refused_at}"


def _broken_by_a_refusal(world: World, told: Told, event: Event) -> Iterator[str]:
    """What is not ratified, and not begun, is approved no more, but if it would be without."""
    action, cast = world.actions[event.action_id], world.votes[event.action_id].get(event.data["person"])
    if action.status is not Status.APPROVED or world.attempts.get(action.id) or cast is None or not cast.break_glass:
        return
    if any(decision.verdict is not Verdict.APPROVED for decision in decisions(world, told, action)):
        yield "it is not ratified, and still approved"


def broken_by_an_end(told: Told, action: Action) -> Iterator[str]:
    """What may not be told at the end of a story of who approved something alone."""
    if action.action_type != Internal.RATIFY or action.caused_by is None:
        return
    named = tuple(
        event.event
        for event in told.events[action.caused_by]
        if str(action.id) in (event.data.get("agreed_in"), event.data.get("refused_in"))
    )
    if named != _ANSWERS.get(action.status):
        yield f"it is {action.status}, and what it is about tells {named}"
