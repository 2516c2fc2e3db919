"""Who may break glass now, what that leaves in the trail, and what becomes of it when others say whether it was right."""

from datetime import datetime, timedelta

from domain import duration
from domain.action import Action
from domain.messages import CastVote
from domain.outcome import Done, Outcome
from domain.refusals import Code, Refusal
from domain.seating import Voice
from domain.trail import EventName, timestamp
from domain.world import ENGINE, World


def refusal(world: World, action: Action, body: CastVote, voice: Voice) -> Refusal | None:
    """Why the voter may not approve this action alone, if so; `voice` has the roles that the key may speak for."""
    glass, person = action.requirement.break_glass, body.voter_id
    if glass is None:
        return Refusal(Code.BREAK_GLASS_NOT_ALLOWED, "Nobody approves this action alone; vote without breaking glass.")
    electorate = action.live_requirement.electorate(world.directory, world.now)
    if not electorate.may_break_glass(person, voice[person]):
        since = world.directory.refused_at.get(person)
        if glass.role in voice[person] and since is not None:
            why = f"A ratification was refused to {person!r} at {timestamp(since)}; {glass.role} must be granted anew."
            return Refusal(Code.BREAK_GLASS_NOT_ALLOWED, why)
        return Refusal(Code.BREAK_GLASS_NOT_ALLOWED, f"{person!r} needs {glass.role}, and a key that may speak for it.")
    used = _used(world, action, person)
    if len(used) >= glass.uses:
        again_at = used[-glass.uses] + timedelta(seconds=glass.within_seconds)
        last = f"{person!r} did so last at {timestamp(used[-1])}, and may again from {timestamp(again_at)} on"
        within = duration.in_words(glass.within_seconds)
        return Refusal(Code.BREAK_GLASS_USED_UP, f"{glass.uses} in {within}; {last}.")
    return None


def note(world: World, action: Action, person: str, reason: str) -> Action:
    """Write into the trail that a person approves alone, and why; that is one use."""
    glass = action.requirement.break_glass
    assert glass is not None  # noqa: S101 - else it was refused
    left = glass.uses - len(_used(world, action, person)) - 1
    world.broken[person] = [*world.broken.get(person, ()), world.now]
    data = {"person": person, "role": glass.role, "reason": reason, "uses_left": left}
    return world.note(action, EventName.GLASS_BROKEN, person, data)


def ratified(world: World, ratification: Action) -> Outcome:
    """Others have agreed, afterwards: say so in the trail of what was approved alone."""
    subject = _subject(world, ratification)
    world.note(
        subject, EventName.RATIFIED, ENGINE, {"person": ratification.created_by, "agreed_in": str(ratification.id)}
    )
    return Done({"action_id": str(subject.id), "person": ratification.created_by})


def not_ratified(world: World, ratification: Action) -> Action:
    """Others have not agreed, or not in time: an incident, and the person's roles break no glass until granted anew.

    What was approved alone is returned, for it to be decided again.
    """
    person = ratification.created_by
    data = {"person": person, "refused_in": str(ratification.id), "reason": ratification.status}
    subject = world.note(_subject(world, ratification), EventName.RATIFICATION_REFUSED, ENGINE, data)
    world.directory = world.directory.refusing(person, world.now)
    return subject


def _subject(world: World, ratification: Action) -> Action:
    assert ratification.caused_by is not None  # noqa: S101 - a ratification is made for what was approved alone
    return world.actions[ratification.caused_by]


def _used(world: World, action: Action, person: str) -> list[datetime]:
    """When the person broke glass, on whatever action, in the time that this action's policy looks back."""
    glass = action.requirement.break_glass
    assert glass is not None  # noqa: S101 - asked only where glass can be broken
    since = world.now - timedelta(seconds=glass.within_seconds)
    return sorted(at for at in world.broken.get(person, ()) if at > since)
