"""Who may vote on an action, who not and why, and what is missing: answered by the code that counts votes and decides."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from domain import deciding, messages, voting
from domain.action import Action, Vote
from domain.electorate import Electorate
from domain.keys import PERSONAL_SCOPE, with_own_keys
from domain.lifecycle import OPEN
from domain.messages import CastVote, Message
from domain.quorum import Choice, Decision
from domain.quorum_tree import ANY_ROLE
from domain.refusals import Code, Refusal
from domain.requirement import EscalationStep
from domain.seating import Voice
from domain.world import World


@dataclass(frozen=True, slots=True)
class Voter:
    """What a person could say about an action now, with the best vote they could send.

    `may` are the choices that would be counted; `refusals` say why an approval would not be, first the one that it would
    get. `voice` is whom they could speak for, themselves among them, with the roles by which. `cast` is their vote so far,
    and `counts` whether it is among those that a decision is made on now.
    """

    person: str
    may: tuple[Choice, ...]
    refusals: tuple[Refusal, ...]
    voice: Voice
    cast: Vote | None
    counts: bool

    @property
    def kept_out(self) -> bool:
        """Whether only their part in the action keeps them from voting."""
        return [refusal.code for refusal in self.refusals] == [Code.SEPARATION_OF_DUTIES]


@dataclass(frozen=True, slots=True)
class StepAhead:
    """An escalation step that is not open yet, when it opens at the latest, and who could approve only from then on."""

    step: EscalationStep
    opens_at: datetime
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Electors:
    """Everybody whose word matters to an action, and what its votes come to now.

    `absent` are people whom it names and who do not work here.
    """

    decision: Decision
    voters: tuple[Voter, ...]
    absent: tuple[str, ...]
    ahead: tuple[StepAhead, ...]


def voter(world: World, action: Action, person: str) -> Voter:
    """What this person could say about the action now, and why not."""
    return _Moment(world, action).voter(person)


def electors(world: World, action: Action) -> Electors:
    """Who may vote on an action now or at a later step, who has, who is kept out, and what is missing."""
    directory, named = world.directory, action.requirement.people_asked
    moment = _Moment(world, action)
    voters = [moment.voter(person) for person in sorted(_concerned(world, action))]
    return Electors(
        decision=deciding.judge(world, action),
        voters=tuple(item for item in voters if item.may or item.kept_out or item.cast),
        absent=tuple(sorted(person for person in named if not directory.has(person, world.now))),
        ahead=tuple(_steps_ahead(world, action, [item.person for item in voters if Choice.APPROVE not in item.may])),
    )


def _concerned(world: World, action: Action) -> set[str]:
    """Everybody whom the action can ask, be it at a later step, whoever may act for one of these, and who has voted."""
    requirement, directory = action.requirement, world.directory
    at_last = requirement.model_copy(update={"steps_reached": len(requirement.escalation)})
    asked = {person for role in at_last.roles_asked for person in directory.holders(role, world.now)}
    asked |= requirement.people_asked
    acting = {grant.person for grant in directory.grants if grant.acts_for in asked}
    return asked | acting | world.votes.get(action.id, {}).keys()


@dataclass(frozen=True)
class _Moment:
    """An action as it is now; what is the same for everybody is looked at once."""

    world: World
    action: Action

    @cached_property
    def _with_own_keys(self) -> frozenset[str]:
        return with_own_keys(self.world.keys.values(), self.world.now)

    @cached_property
    def _heard(self) -> frozenset[str]:
        return deciding.heard(self.world, self.action)

    @cached_property
    def _electorate(self) -> Electorate:
        return self.action.live_requirement.electorate(self.world.directory, self.world.now)

    def voter(self, person: str) -> Voter:
        """What this person could say, and why not."""
        world, action = self.world, self.action
        said = {choice: self._best_vote(person, choice) for choice in Choice}
        voice = voting.voice_of(world, said[Choice.APPROVE][0], person)
        refusals = {choice: tuple(voting.refusals(world, action, *best, voice)) for choice, best in said.items()}
        heard = self._electorate.heard({person: voice}).get(person, {})
        return Voter(
            person=person,
            may=tuple(choice for choice in Choice if not refusals[choice]),
            refusals=refusals[Choice.APPROVE],
            voice={name: roles - {ANY_ROLE} for name, roles in heard.items()},
            cast=world.votes.get(action.id, {}).get(person),
            counts=person in self._heard,
        )

    def _best_vote(self, person: str, choice: Choice) -> tuple[Message, CastVote]:
        """A vote that would come just now: it names the content, and its key may speak for every role.

        The key is the voter's own one if they have one.
        """
        world, action = self.world, self.action
        body = CastVote(action_id=action.id, voter_id=person, vote=choice, content_hash=action.content_hash.hex())
        own = person if person in self._with_own_keys else None
        return messages.as_if_sent(body, world.audience, world.now, PERSONAL_SCOPE, own), body


def _steps_ahead(world: World, action: Action, others: list[str]) -> Iterator[StepAhead]:
    """The steps to come, each with those of these people who could approve from then on, as things are."""
    opens_at, reached = action.expires_at, action.steps_reached
    for number, step in enumerate(
        action.requirement.escalation[reached:] if action.status in OPEN else (), reached + 1
    ):
        then = _Moment(world, replace(action, steps_reached=number))
        people = tuple(person for person in others if Choice.APPROVE in then.voter(person).may)
        yield StepAhead(step, opens_at, people)
        opens_at, others = opens_at + timedelta(seconds=step.timeout_seconds), [p for p in others if p not in people]


def opens_to(world: World, action: Action, person: str) -> StepAhead | None:
    """The first step to come from which on this person could approve, if there is one."""
    return next((ahead for ahead in _steps_ahead(world, action, [person]) if ahead.people), None)
