"""Rules that comparing the engine with itself cannot see, said again in other words than the engine's."""

from collections.abc import Iterator, Sequence

from domain import quorum
from domain.action import Action
from domain.engine import Input
from domain.executing import AttemptStarted
from domain.lifecycle import Status
from domain.messages import CastVote, Message, Outcome, Receipt
from domain.quorum import Verdict
from domain.refusals import Code
from domain.trail import Event, EventName
from domain.world import World


def broken_by_a_step(world: World, given: Input, receipt: Receipt) -> Iterator[str]:
    """What an answer may not be in the world that it leaves."""
    match given:
        case Message(body=CastVote() as body) if receipt.code is Code.SUPERSEDED:
            counted = world.votes[body.action_id][body.voter_id]
            if counted.order < (body.cast_at or given.issued_at, given.jti, given.issuer):
                yield f"{given.jti} was cast after {counted.jti}, which counts"
        case AttemptStarted(action_id=action_id) if receipt.outcome is Outcome.APPLIED:
            action = world.actions[action_id]
            votes = world.votes.get(action_id, {}).values()
            standing = [cast.counted for cast in votes if cast.kid not in world.compromised]
            decision = quorum.decide(action.live_requirement, standing, world.directory, world.now)
            begun = action.status is Status.EXECUTING  # else a service is asked what became of an attempt
            if begun and len(world.attempts[action_id]) == 1 and decision.verdict is not Verdict.APPROVED:
                yield f"its first attempt began, and its votes say {decision.verdict}"


def broken_by_a_trail(action: Action, events: Sequence[Event]) -> Iterator[str]:
    """What an action's trail and row may not say together."""
    names = [event.event for event in events]
    if action.status is Status.CANCELLED and EventName.EXECUTING in names:
        yield "it was cancelled after an attempt"
    agreed = [event.seq for event in events if event.event is EventName.RETRY_SCHEDULED and "agreed_in" in event.data]
    before = names[: agreed[-1]].count(EventName.EXECUTING) if agreed else 0
    if action.attempts_before != before:
        yield f"{before} attempts were made before it was begun again, and it says {action.attempts_before}"
    last: dict[str, tuple[str, ...]] = {}
    for event in events:
        if event.event is EventName.VOTED:
            cast = (event.data["cast_at"], event.data["jti"], event.data["issuer"])
            if cast <= last.get(event.actor, ("", "", "")):
                yield f"vote {event.seq} of {event.actor} was cast before one that was counted"
            last[event.actor] = cast
