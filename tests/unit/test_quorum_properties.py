"""What must hold of every decision: a plain reading of the rules, by trying everything, agrees with `decide`.

Small companies, with roles, people who act for others, people kept out, keys that may speak for some roles only, and
quorums in any shape. The reading below shares no code with the engine but the data.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, permutations, product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import quorum
from domain.directory import Directory, Grant
from domain.quorum import Choice, CountedVote, Decision
from domain.quorum_tree import ANY_ROLE, KOf, Need, People, Tree
from domain.requirement import EscalationStep, Requirement

NOW = datetime(2025, 11, 12, 10, tzinfo=UTC)
PEOPLE = ("p0", "p1", "p2", "p3", "p4")
ROLES = ("a", "b", "cfo")
Voices = Mapping[str, Mapping[str, frozenset[str]]]

_pools = st.sampled_from(ROLES).map(lambda role: People(role=role)) | st.lists(
    st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True
).map(lambda ids: People(ids=tuple(ids)))
_needs = st.builds(Need, count=st.integers(1, 2), people=_pools)


def _k_of(children: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    listed = st.lists(children, min_size=1, max_size=3)
    return listed.flatmap(lambda of: st.builds(KOf, k=st.integers(1, len(of)), children=st.just(tuple(of))))


_trees: st.SearchStrategy[Tree] = st.one_of(_needs, _k_of(_needs), _k_of(_needs | _k_of(_needs)))


@dataclass(frozen=True)
class Company:
    """Who holds what, who may act for whom, who is kept out, and the roles that each person's key may speak for."""

    roles: Mapping[str, frozenset[str]]
    acting: frozenset[tuple[str, str]]
    excluded: frozenset[str]
    keys: Mapping[str, frozenset[str]]
    requirement: Requirement

    def held(self, person: str) -> frozenset[str]:
        return self.roles.get(person, frozenset())

    def delegators(self, person: str) -> list[str]:
        return sorted(whom for who, whom in self.acting if who == person)

    def usable(self, person: str, key_of: str) -> frozenset[str]:
        key = self.keys.get(key_of)
        return self.held(person) | {ANY_ROLE} if key is None else self.held(person) & key

    def vote(self, person: str, choice: str) -> CountedVote:
        acts_for = {whom: self.usable(whom, person) for whom in self.delegators(person)}
        return CountedVote(person, Choice(choice), self.usable(person, person), acts_for)

    def decide(self, choices: Mapping[str, str]) -> Decision:
        grants = [Grant(person, role, NOW) for person in PEOPLE for role in self.held(person)]
        grants += [Grant(who, None, NOW, None, whom) for who, whom in self.acting]
        cast = [self.vote(person, choice) for person, choice in choices.items()]
        return quorum.decide(self.requirement, cast, Directory.of(grants, PEOPLE), NOW)


@st.composite
def companies(draw: st.DrawFn, *, bound_keys: bool = False, steps: int | None = None) -> Company:
    excluded = draw(st.frozensets(st.sampled_from(PEOPLE), max_size=1))
    pairs = [(who, whom) for who, whom in permutations(PEOPLE, 2)]
    requirement = Requirement(
        tree=draw(_trees),
        required_ratio=draw(st.sampled_from(["0.5", "0.6", "0.66", "0.75", "1"]).map(Decimal)),
        escalation=(EscalationStep(role="cfo", timeout_seconds=60),),
        veto_roles=draw(st.sampled_from([(), (), ("b",)])),
        excluded=tuple(excluded),
        steps_reached=draw(st.integers(0, 1)) if steps is None else steps,
    )
    some_keys = st.dictionaries(st.sampled_from(PEOPLE), st.frozensets(st.sampled_from(ROLES)), max_size=2)
    return Company(
        roles=draw(st.dictionaries(st.sampled_from(PEOPLE), st.frozensets(st.sampled_from(ROLES), max_size=2))),
        acting=draw(st.frozensets(st.sampled_from(pairs), max_size=4)),
        excluded=excluded,
        keys=draw(some_keys) if bound_keys else {},
        requirement=requirement,
    )


unhurried = settings(deadline=None)
"""Trying everything takes what it takes."""

CHOICES = st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from([choice.value for choice in Choice]))


class Reading:
    """The rules, read plainly: every assignment of voters to people and of people to seats is tried."""

    def __init__(self, company: Company, choices: Mapping[str, str]) -> None:
        self.company, self.asked = company, company.requirement
        self.steps = self.asked.escalation[: self.asked.steps_reached]
        self.voices = self._voices({person for person, choice in choices.items() if choice != "withdraw"})
        self.by_choice = {
            choice: {person: voice for person, voice in self.voices.items() if choices[person] == choice}
            for choice in ("approve", "reject", "abstain")
        }

    def kept_out(self, person: str) -> bool:
        return not self.company.excluded.isdisjoint({person, *self.company.delegators(person)})

    def has_a_seat(self, person: str, roles: frozenset[str]) -> bool:
        in_tree = any(_may_sit(person, roles, seat) for way in _ways(self.asked.tree) for seat in way)
        return in_tree or any(step.role in roles for step in self.steps)

    def matters(self, person: str, roles: frozenset[str]) -> bool:
        return self.has_a_seat(person, roles) or not roles.isdisjoint(self.asked.veto_roles)

    def _voices(self, voters: set[str]) -> Voices:
        heard = {voter for voter in voters if not self.kept_out(voter)}
        themselves = {voter for voter in heard if self.matters(voter, self.company.usable(voter, voter))}
        voices = {}
        for voter in heard:
            people = [voter, *self.company.delegators(voter)]
            people = [one for one in people if one == voter or (one not in themselves and not self.kept_out(one))]
            usable = {one: self.company.usable(one, voter) for one in people}
            voices[voter] = {one: roles for one, roles in usable.items() if self.matters(one, roles)}
        return {voter: voice for voter, voice in voices.items() if voice}

    def people_spoken_for(self, voices: Voices) -> Iterator[dict[str, frozenset[str]]]:
        """Every set of people for whom these voters can speak, one each and nobody twice, with the roles of all who may."""
        for chosen in product(*([None, *voice] for voice in voices.values())):
            people = [person for person in chosen if person is not None]
            if len(set(people)) == len(people):
                yield {
                    person: frozenset.intersection(*(voice[person] for voice in voices.values() if person in voice))
                    for person in people
                }

    def fills(self, voices: Voices) -> bool:
        sets = list(self.people_spoken_for(voices))
        return any(
            all(_may_sit(person, people[person], seat) for person, seat in zip(seated, way, strict=True))
            for way in _ways(self.asked.tree)
            for people in sets
            for seated in permutations(people, len(way))
        )

    def count(self, voices: Voices, role: str | None = None) -> int:
        return max(
            sum(role in roles if role else self.has_a_seat(person, roles) for person, roles in people.items())
            for people in self.people_spoken_for(voices)
        )

    def verdict(self) -> str:
        approving, rejecting = self.by_choice["approve"], self.by_choice["reject"]
        if any(
            role in roles for role in self.asked.veto_roles for voice in rejecting.values() for roles in voice.values()
        ):
            return "rejected"
        ratio, yes, no = Fraction(self.asked.required_ratio), self.count(approving), self.count(rejecting)
        share = Fraction(yes, yes + no) if yes + no else Fraction(0)
        if self.fills(approving) and share >= ratio:
            return "approved"
        fewest = min(len(way) for way in _ways(self.asked.tree))
        for step in self.steps:
            for_it, against = self.count(approving, step.role), self.count(rejecting, step.role)
            if for_it and yes >= fewest and Fraction(for_it, for_it + against) >= ratio:
                return "approved"
        if no and ratio == 1:
            return "rejected"
        if self.fills({**approving, **rejecting}) and yes + no and share < 1 - ratio:
            return "rejected"
        if any(self.count(rejecting, step.role) and not self.count(approving, step.role) for step in self.steps):
            return "rejected"
        return "pending"


def _may_sit(person: str, roles: frozenset[str], seat: People) -> bool:
    return seat.role in roles if seat.role else person in seat.ids and ANY_ROLE in roles


def _ways(tree: Tree | None) -> list[list[People]]:
    """Every list of seats that fills a tree."""
    assert tree is not None
    if isinstance(tree, Need):
        return [[tree.people] * tree.count]
    return [
        [seat for way in ways for seat in way]
        for chosen in combinations(tree.children, tree.k)
        for ways in product(*(_ways(child) for child in chosen))
    ]


@unhurried
@given(company=companies(bound_keys=True), choices=CHOICES)
def test_trying_everything_comes_to_the_same_decision(company: Company, choices: dict[str, str]) -> None:
    reading, decision = Reading(company, choices), company.decide(choices)
    assert decision.verdict == reading.verdict()
    counts = [reading.count(reading.by_choice[choice]) for choice in ("approve", "reject", "abstain")]
    tally = decision.tally
    assert [tally.votes_approve, tally.votes_reject, tally.votes_abstain] == counts
    assert tally.votes_total == sum(counts)
    assert tally.quorum_satisfied is reading.fills(reading.by_choice["approve"])


@unhurried
@given(company=companies(), choices=CHOICES)
def test_one_more_approval_never_undoes_approved_whoever_acts_for_whom(
    company: Company, choices: dict[str, str]
) -> None:
    if company.decide(choices).verdict != "approved":
        return
    for person in PEOPLE:
        assert company.decide(choices | {person: "approve"}).verdict == "approved"


@unhurried
@given(company=companies(bound_keys=True), choices=CHOICES)
def test_no_vote_of_one_who_is_not_eligible_changes_anything(company: Company, choices: dict[str, str]) -> None:
    heard = Reading(company, choices).voices
    counted = {person: choice for person, choice in choices.items() if person in heard}
    assert company.decide(choices) == company.decide(counted)


@unhurried
@given(company=companies(bound_keys=True), choices=CHOICES, data=st.data())
def test_neither_order_nor_repetition_of_votes_changes_anything(
    company: Company, choices: dict[str, str], data: st.DataObject
) -> None:
    order: Iterable[str] = data.draw(st.permutations(list(choices)))
    assert company.decide({person: choices[person] for person in order}) == company.decide(choices)
    directory = Directory.of((), PEOPLE)
    cast = [company.vote(person, choice) for person, choice in choices.items()]
    once, twice = (quorum.decide(company.requirement, votes, directory, NOW) for votes in (cast, cast + cast[::-1]))
    assert once == twice


@unhurried
@given(company=companies(bound_keys=True), choices=CHOICES)
def test_nobody_fills_two_seats_nor_is_sat_for_twice(company: Company, choices: dict[str, str]) -> None:
    tally = company.decide(choices).tally
    approving = {person for person, choice in choices.items() if choice == "approve"}
    spoken_for = approving | {whom for who, whom in company.acting if who in approving}
    assert tally.votes_approve <= min(len(approving), len(spoken_for))
    if tally.quorum_satisfied:
        assert min(len(way) for way in _ways(company.requirement.tree)) <= tally.votes_approve


@unhurried
@given(company=companies(), choices=CHOICES)
def test_out_of_reach_means_that_no_completion_approves(company: Company, choices: dict[str, str]) -> None:
    decision = company.decide(choices)
    if decision.verdict != "pending":
        assert decision.out_of_reach == ()
        return
    heard = Reading(company, choices).voices
    silent = [person for person in PEOPLE if person not in heard]
    completions = (
        choices | {person: choice for person, choice in zip(silent, chosen, strict=True) if choice}
        for chosen in product(["approve", None, "reject", "abstain"], repeat=len(silent))
    )
    reachable = any(company.decide(completion).verdict == "approved" for completion in completions)
    assert (decision.out_of_reach == ()) is reachable
    assert decision.missing != ()


@unhurried
@given(company=companies(steps=1), choices=CHOICES)
def test_waiting_never_lowers_the_number_of_people_needed(company: Company, choices: dict[str, str]) -> None:
    decision = company.decide(choices)
    if decision.verdict == "approved":
        assert decision.tally.votes_approve >= min(len(way) for way in _ways(company.requirement.tree))


@unhurried
@given(company=companies(bound_keys=True), choices=CHOICES)
def test_a_key_that_speaks_for_fewer_roles_never_approves_more(company: Company, choices: dict[str, str]) -> None:
    only = {person: choice for person, choice in choices.items() if choice == "approve"}
    if company.decide(only).verdict == "approved":
        unbound: dict[str, Any] = vars(company) | {"keys": {}}
        assert Company(**unbound).decide(only).verdict == "approved"
