"""Rules that comparing the engine with itself cannot see, said again in other words than the engine's."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import accumulate
from uuid import UUID

from domain import quorum
from domain.action import Action
from domain.engine import Input
from domain.executing import AttemptStarted
from domain.internal_types import Internal
from domain.lifecycle import OPEN, Status
from domain.messages import CastVote, ExecuteAction, Message, Outcome, Receipt
from domain.quorum import Choice, CountedVote, Decision, Verdict
from domain.refusals import Code
from domain.trail import Event, EventName
from domain.world import World


@dataclass
class Told:
    """All trails so far, and which actions somebody has asked to execute since they were approved."""

    events: dict[UUID, list[Event]] = field(default_factory=lambda: defaultdict(list))
    asked: set[UUID] = field(default_factory=set)

    def add(self, given: Input, receipt: Receipt, events: Iterable[Event]) -> None:
        """Take down a step."""
        for event in events:
            self.events[event.action_id].append(event)
            if event.event is EventName.APPROVED:
                self.asked.discard(event.action_id)
        match given:
            case Message(body=ExecuteAction(action_id=action_id)) if receipt.outcome is Outcome.APPLIED:
                self.asked.add(action_id)

    def every(self, name: EventName, person: str) -> list[Event]:
        """The events of a name that are about what this person did alone, on whatever action."""
        events = (event for trail in self.events.values() for event in trail)
        return [event for event in events if event.event is name and event.data["person"] == person]


def broken_by_a_step(world: World, told: Told, given: Input, receipt: Receipt) -> Iterator[str]:
    """What an answer may not be in the world that it leaves."""
    match given:
        case Message(body=CastVote() as body) if receipt.code is Code.SUPERSEDED:
            counted = world.votes[body.action_id][body.voter_id]
            if counted.order < (body.cast_at or given.issued_at, given.jti, given.issuer):
                yield f"{given.jti} was cast after {counted.jti}, which counts"
        case AttemptStarted(action_id=action_id) if receipt.outcome is Outcome.APPLIED:
            action = world.actions[action_id]
            begun = action.status is Status.EXECUTING  # else a service is asked what became of an attempt
            if begun and len(world.attempts[action_id]) == 1:
                yield from _broken_by_a_first_attempt(world, told, action)


def _broken_by_a_first_attempt(world: World, told: Told, action: Action) -> Iterator[str]:
    if not action.auto_execute and action.id not in told.asked:
        yield "its first attempt began, and nobody had asked for it since it was approved"
    overdue = {item.created_by for item in world.actions.values() if _is_overdue(item, world)}
    glass, events = action.requirement.break_glass, told.events[action.id]
    approved_at = [event.at for event in events if event.event is EventName.APPROVED][-1]
    for decision in decisions(world, told, action, overdue):
        if decision.verdict is not Verdict.APPROVED:
            yield f"its first attempt began, and its votes say {decision.verdict}"
        alone = glass is not None and decision.reason == f"break_glass:{glass.role}"
        if glass is not None and alone and world.now >= approved_at + timedelta(seconds=glass.valid_seconds):
            yield "its first attempt began after the time for which one person may approve it alone"


def _is_overdue(item: Action, world: World) -> bool:
    return item.action_type == Internal.RATIFY and item.status in OPEN and item.expires_at <= world.now


def decisions(world: World, told: Told, action: Action, not_ratified: Collection[str] = ()) -> Iterator[Decision]:
    """What an action's votes come to without those of compromised keys; then, where such keys spoke over people, what it
    would be had these only said what they said truly, and had no step begun before its time.

    Glass counts unless a ratification was refused to its breaker since, or they are `not_ratified`.
    """
    voted = [event for event in told.events[action.id] if event.event is EventName.VOTED]
    truly = {event.actor: event for event in voted if event.data["kid"] not in world.compromised}
    last = {event.actor: event for event in voted}
    standing = {person: event for person, event in truly.items() if last[person] is event}
    ends = accumulate((step.timeout_seconds for step in action.requirement.escalation), initial=action.timeout_seconds)
    begun = [end for end in ends if action.created_at + timedelta(seconds=end) <= world.now]
    in_time = replace(action, steps_reached=min(action.steps_reached, len(begun)))
    either = [(action, standing)] if len(standing) == len(last) else [(action, standing), (in_time, truly)]
    for then, said in either:
        votes = [_vote(told, event, event.actor in not_ratified) for event in said.values()]
        yield quorum.decide(then.live_requirement, votes, world.directory, world.now)


def _vote(told: Told, voted: Event, not_ratified: bool) -> CountedVote:
    data = voted.data
    refused = [event for event in told.every(EventName.RATIFICATION_REFUSED, voted.actor) if event.at >= voted.at]
    glass = data["break_glass"] is not None and not refused and not not_ratified
    acts_for = {person: frozenset(roles) for person, roles in data["acts_for"].items()}
    return CountedVote(voted.actor, Choice(data["vote"]), frozenset(data["roles"]), acts_for, glass)


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
