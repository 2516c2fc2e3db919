"""What an action would have come to under other policies: its life is lived again, in memory, with the votes that came."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import creation, deadlines, deciding
from domain.action import Action, Vote
from domain.action_type import ActionType
from domain.definitions import Definitions, Versioned
from domain.directory import Directory
from domain.facts import facts_with
from domain.lifecycle import OPEN
from domain.messages import CreateAction
from domain.quorum import Choice
from domain.refusals import Refusal
from domain.trail import Event, EventName
from domain.world import World

PENDING = "pending"
"""What an action has come to that nothing has decided."""

_DECISIONS = frozenset({EventName.APPROVED, EventName.REJECTED, EventName.EXPIRED})


@dataclass(frozen=True, slots=True)
class Past:
    """An action as it was: what was asked for, under which action type, because of what, and all that happened to it.

    `directory` has the grants of its time, `compromised` since when the keys of its votes are.
    """

    action: Action
    body: CreateAction
    action_type: Versioned[ActionType]
    caused_by: Action | None
    events: tuple[Event, ...]
    directory: Directory
    compromised: Mapping[str, datetime]

    @property
    def came_to(self) -> str:
        """Its first decision: approved, rejected or expired, or pending where there was none."""
        return _came_to(self.events)


@dataclass(frozen=True, slots=True)
class Replayed:
    """The action under other policies, and what it had come to when the real one was decided."""

    action: Action
    came_to: str


def replay(past: Past, definitions: Definitions, now: datetime) -> Replayed | Refusal:
    """The same action under these policies, to the moment of its first decision, or to `now` where there was none.

    Each vote counts from its time on as the directory and the draft have it then, and each deadline passes at its time.
    Votes are taken to bring whatever the policies ask of them. A refusal where no policy can be chosen.
    """
    action = past.action
    world = World(now=action.created_at, audience="", directory=past.directory, definitions=definitions)
    facts = facts_with(action, (action.target_tenant_type, action.target_tenant_id), action.risk_level)
    made = creation.begin(world, action.issuer, action.id, past.body, past.action_type, facts, past.caused_by)
    if isinstance(made, Refusal):
        return made
    for event in _until_decided(past.events):
        _live(world, made.id, event.at, past.compromised)
        if event.event is EventName.VOTED and world.actions[made.id].status in OPEN:
            world.put_vote(_vote(event))
            deciding.decide(world, world.actions[made.id])
    if not _decided(past.events):
        _live(world, made.id, now, past.compromised)
    return Replayed(world.actions[made.id], _came_to(world.changes.events))


def _live(world: World, action_id: UUID, until: datetime, compromised: Mapping[str, datetime]) -> None:
    """Let the time pass, and with it the deadlines before this moment."""
    world.now = until
    world.compromised = {kid for kid, since in compromised.items() if since <= until}
    if world.actions[action_id].status in OPEN:
        deadlines.enforce(world, world.actions[action_id])


def _until_decided(events: Iterable[Event]) -> list[Event]:
    """The events up to the first decision, or to its being taken back."""
    found = []
    for event in events:
        found.append(event)
        if event.event in _DECISIONS or event.event is EventName.CANCELLED:
            break
    return found


def _decided(events: Iterable[Event]) -> bool:
    return any(event.event in _DECISIONS or event.event is EventName.CANCELLED for event in events)


def _came_to(events: Iterable[Event]) -> str:
    return next((event.event.value for event in events if event.event in _DECISIONS), PENDING)


def _vote(event: Event) -> Vote:
    told = event.data
    return Vote(
        action_id=event.action_id,
        person_id=event.actor,
        choice=Choice(told["vote"]),
        comment=told["comment"],
        roles=tuple(told["roles"]),
        acts_for=told["acts_for"],
        cast_at=datetime.fromisoformat(told["cast_at"]),
        issuer=told["issuer"],
        jti=told["jti"],
        kid=told["kid"],
        content_hash=told["content_hash"],
        break_glass=told["break_glass"],
        metadata={},
        recorded_at=event.at,
    )
