"""Who must agree, and whether they have: the quorum tree and `decide`.

Every quorum is a tree of two nodes. `Need(count, people)` asks for that many distinct people out of a role or a list;
`KOf(k, children)` asks for that many of its children, filled by different people. One person fills one seat.

The ratio is exact (decimals, never floats). Only eligible people count: those whose grants, held at the moment of the
decision, fill a seat of the tree or of an escalation step that was reached.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import combinations, product
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.directory import Directory

_DEEPEST = 4
MOST_WAYS = 64

ANY_ROLE = "*"
"""In `CountedVote.roles`: the key that carried the vote may speak for any role, and so for people named one by one."""


def _one_spelling(name: str) -> str:
    """Refuse what looks like another name and is not: two spellings of one person must not be two people."""
    if name != name.strip() or not name.isprintable() or not unicodedata.is_normalized("NFKC", name):
        raise ValueError("a name has no spaces around it, no control characters, and the composed form (Unicode NFKC)")
    return name


Name = Annotated[str, Field(min_length=1, max_length=200, strict=True), AfterValidator(_one_spelling)]

RoleName = Annotated[Name, Field(pattern=r"^[^*]+$")]
"""A role; no name has a star, so that nobody can hold what `ANY_ROLE` says of a key."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class People(_Frozen):
    """The holders of a role, or people named one by one; exactly one of the two."""

    role: RoleName | None = None
    ids: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.role is None) == (not self.ids):
            raise ValueError("people are either the holders of a role or a list of at least one id")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("a person is named twice; each can fill one seat only")
        return self

    def include(self, person: str, roles: Iterable[str]) -> bool:
        """Whether a person with these usable roles may take a seat here."""
        usable = frozenset(roles)
        return self.role in usable if self.role else person in self.ids and ANY_ROLE in usable

    def __str__(self) -> str:
        return self.role or " or ".join(self.ids)


class Need(_Frozen):
    """`count` distinct people; with `share`, at least that part of the pool as it was at creation and as it is now."""

    node: Literal["need"] = "need"
    count: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    people: People
    share: Annotated[Decimal, Field(gt=0, le=1)] | None = None

    def count_now(self, directory: Directory, now: datetime) -> int:
        """The number of people needed now; never fewer than at creation."""
        if self.share is None or self.people.role is None:
            return self.count
        return max(self.count, share_of(self.share, len(directory.holders(self.people.role, now))))


class KOf(_Frozen):
    """`k` of the children must be filled, each by different people."""

    node: Literal["k_of"] = "k_of"
    k: Annotated[int, Field(ge=1, strict=True)]
    children: Annotated[tuple["Tree", ...], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.k > len(self.children):
            raise ValueError(f"{self.k} of {len(self.children)} can never be filled")
        return self


Tree = Annotated[Need | KOf, Field(discriminator="node")]


class EscalationStep(_Frozen):
    """A role that may decide too, once the step is reached; `min_votes` None means as many as the base tree needs."""

    role: RoleName
    min_votes: Annotated[int, Field(ge=1, strict=True)] | None = None
    timeout_seconds: Annotated[int, Field(gt=0, strict=True)]


class Requirement(_Frozen):
    """What an action's approval takes. `tree` None means nobody's: it is approved at creation, by an explicit policy.

    `excluded` are the people kept out by separation of duties: the creator, whoever triggered it, and the target.
    `steps_reached` is how many escalation steps are open; everything else is frozen when the action is created.
    """

    tree: Tree | None
    required_ratio: Annotated[Decimal, Field(ge=Decimal("0.5"), le=1)]
    escalation: tuple[EscalationStep, ...] = ()
    excluded: tuple[str, ...] = ()
    steps_reached: Annotated[int, Field(ge=0)] = 0

    @property
    def steps(self) -> tuple[EscalationStep, ...]:
        """The escalation steps that are open."""
        return self.escalation[: self.steps_reached]

    def excludes(self, person: str) -> bool:
        """Whether separation of duties keeps a person out, in whatever case the name is written."""
        return person.casefold() in {name.casefold() for name in self.excluded}

    def seats_for(self, person: str, roles: frozenset[str]) -> bool:
        """Whether a person with these usable roles could fill a seat of the tree or of an open step."""
        if self.excludes(person):
            return False
        pools = [*(need.people for need in _needs(self.tree)), *(People(role=step.role) for step in self.steps)]
        return any(pool.include(person, roles) for pool in pools)


class Choice(StrEnum):
    """What a person says; a withdrawn vote is as if it had not been cast."""

    APPROVE = "approve"
    REJECT = "reject"
    ABSTAIN = "abstain"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class CountedVote:
    """One person's current vote; `roles` are those the person held when casting it and its key may speak for."""

    person: str
    choice: Choice
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tally:
    """The count of eligible votes; `quorum_satisfied` says that the approvals fill the tree."""

    votes_approve: int = 0
    votes_reject: int = 0
    votes_abstain: int = 0
    quorum_satisfied: bool = False

    @property
    def votes_total(self) -> int:
        """All eligible votes, abstentions included."""
        return self.votes_approve + self.votes_reject + self.votes_abstain

    @property
    def approval_ratio(self) -> Decimal:
        """Approvals of approvals and rejections, to four places for people; 0 with none."""
        decided = self.votes_approve + self.votes_reject
        return (Decimal(self.votes_approve) / decided).quantize(Decimal("0.0001")) if decided else Decimal(0)


class Verdict(StrEnum):
    """What a decision comes to."""

    APPROVED = "approved"
    REJECTED = "rejected"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, why, the tally, and in `missing` what an approval still lacks, in words."""

    verdict: Verdict
    reason: str
    tally: Tally
    missing: tuple[str, ...] = ()


def parse(document: Any) -> Tree | None:
    """The tree for a `required_quorum` as the spec writes it; `{"type": "none"}` gives None.

    Shapes: role, percentage (of a list or a role), specific_users, and all_of, any_of and k_of of other shapes, filled by
    different people. Raises ValueError (pydantic's ValidationError is
    one) for anything else, for zero counts and for empty lists: an omitted threshold must never fail open.
    """
    if document == {"type": "none"}:
        return None
    tree = _parse(document, depth=1)
    if (ways := _ways(tree)) > MOST_WAYS:
        raise ValueError(f"the quorum could be filled in {ways} ways; at most {MOST_WAYS} are weighed")
    return tree


def both(tree: Tree | None, other: Tree | None) -> Tree | None:
    """A tree that is filled when both are, by different people; None asks for nothing."""
    if tree is None or other is None:
        return tree or other
    return KOf(k=2, children=(tree, other))


def _ways(tree: Tree) -> int:
    """How many lists of seats fill the tree: each of them is tried at a decision."""
    if isinstance(tree, Need):
        return 1
    ways = [1] + [0] * tree.k  # by the number of children chosen so far
    for child in tree.children:
        of_child = _ways(child)
        for chosen in range(tree.k, 0, -1):
            ways[chosen] += ways[chosen - 1] * of_child
    return ways[tree.k]


def _parse(document: Any, depth: int) -> Tree:
    if depth > _DEEPEST:
        raise ValueError(f"a quorum is nested at most {_DEEPEST} deep")
    match document:
        case {"type": "all_of" | "any_of" | "k_of" as shape, "value": {"of": [*parts], **k}, **rest} if not rest:
            children = tuple(_parse(part, depth + 1) for part in parts)
            return KOf(k=_how_many(shape, k, len(children)), children=children)
        case {"type": "role", "value": {"role": role, "min_votes": count, **extra}, **rest} if not rest and not extra:
            return Need(count=count, people=People(role=role))
        case {"type": "specific_users", "value": {"users": [*users], **extra}, **rest} if not rest and not extra:
            return Need(count=len(users), people=People(ids=tuple(users)))
        case {"type": "percentage", "value": {"percentage": share, "pool": pool, **extra}, **rest} if (
            not rest and not extra
        ):
            return _share_of_pool(share, pool)
    raise ValueError(
        "required_quorum must be a role, percentage, specific_users, all_of, any_of or k_of quorum with all its fields, "
        "or {'type': 'none'}"
    )


def _how_many(shape: str, given: dict[Any, Any], parts: int) -> int:
    match shape, given:
        case "all_of", {} if not given:
            return parts
        case "any_of", {} if not given:
            return 1
        case "k_of", {"k": int(k)} if len(given) == 1 and not isinstance(k, bool):
            return k
    raise ValueError(f"{shape} has the fields of{' and k' if shape == 'k_of' else ''}, and nothing else")


def _share_of_pool(share: Any, pool: Any) -> Need:
    if isinstance(share, bool) or not isinstance(share, int | float | Decimal):
        raise ValueError("percentage must be a number above 0 and at most 1")  # noqa: TRY004 - pydantic reads ValueError
    exact = Decimal(str(share))
    if isinstance(pool, str):
        return Need(count=1, people=People(role=pool), share=exact)
    if not isinstance(pool, list):
        raise ValueError("pool must be a list of ids or the name of a role")  # noqa: TRY004 - as above
    people = People(ids=tuple(pool))
    return Need(count=share_of(Need(count=1, people=people, share=exact).share or exact, len(pool)), people=people)


def in_words(tree: Tree | None) -> str:
    """The tree as a person says it: `2 of finance_ops`."""
    match tree:
        case Need(share=None):
            return f"{tree.count} of {tree.people}"
        case Need():
            return f"{tree.share} of all {tree.people}"
        case KOf():
            return f"{tree.k} of ({'; '.join(in_words(child) for child in tree.children)})"
    return "nobody"


def pool_roles(tree: Tree | None) -> frozenset[str]:
    """Roles whose number of holders the tree depends on."""
    return frozenset(need.people.role for need in _needs(tree) if need.share is not None and need.people.role)


def share_of(share: Decimal, pool_size: int) -> int:
    """How many people a share of a pool is: rounded up, at least one."""
    return max(1, ceil(share * pool_size))


def freeze(tree: Tree | None, directory: Directory, now: datetime) -> Tree | None:
    """The tree with the size of its pools as they are now: what an action keeps from its creation on."""
    match tree:
        case Need():
            return tree.model_copy(update={"count": tree.count_now(directory, now)})
        case KOf():
            frozen = (freeze(child, directory, now) for child in tree.children)
            return tree.model_copy(update={"children": tuple(child for child in frozen if child is not None)})
    return None


def decide(requirement: Requirement, votes: Iterable[CountedVote], directory: Directory, now: datetime) -> Decision:
    """Approved, rejected or pending, from the current vote of each person; pure, and the same in any order of votes.

    Approved: the approvals fill the tree and A / (A + R) ≥ required_ratio. Else rejected: all who approved or rejected,
    taken as approvers, would fill the tree and A / (A + R) < 1 − required_ratio, or the ratio is 1 and someone rejects.
    Else pending. An open escalation step decides beside the tree: see `_step_approves`. Votes of people who are not
    eligible now, or excluded, count for nothing.
    """
    if requirement.tree is None:
        return Decision(Verdict.APPROVED, "no_approval_required", Tally(quorum_satisfied=True))
    current = {vote.person: vote for vote in votes}
    usable = {person: _usable_roles(vote, directory, now) for person, vote in current.items()}
    counted = [vote for person, vote in current.items() if requirement.seats_for(person, usable[person])]
    approving = {vote.person: usable[vote.person] for vote in counted if vote.choice is Choice.APPROVE}
    rejecting = {vote.person: usable[vote.person] for vote in counted if vote.choice is Choice.REJECT}
    seatings = list(_seatings(requirement.tree, directory, now))
    tally = Tally(
        votes_approve=len(approving),
        votes_reject=len(rejecting),
        votes_abstain=sum(vote.choice is Choice.ABSTAIN for vote in counted),
        quorum_satisfied=_fills(seatings, approving),
    )
    ratio = requirement.required_ratio
    if tally.quorum_satisfied and _reaches(len(approving), len(rejecting), ratio):
        return Decision(Verdict.APPROVED, "quorum_and_ratio_reached", tally)
    fewest = min(sum(seats.values()) for seats in seatings)
    for step in requirement.steps:
        if _step_approves(step, fewest, approving, rejecting, ratio):
            return Decision(Verdict.APPROVED, f"escalation_approved:{step.role}", tally)
    if rejecting and ratio == 1:
        return Decision(Verdict.REJECTED, "unanimity_required", tally)
    if _fills(seatings, approving | rejecting) and _falls_below(len(approving), len(rejecting), 1 - ratio):
        return Decision(Verdict.REJECTED, "quorum_voted_against", tally)
    for step in requirement.steps:
        if any(step.role in roles for roles in rejecting.values()) and not any(
            step.role in roles for roles in approving.values()
        ):
            return Decision(Verdict.REJECTED, f"escalation_rejected:{step.role}", tally)
    return Decision(Verdict.PENDING, "votes_missing", tally, tuple(_missing(requirement, approving, tally)))


def _usable_roles(vote: CountedVote, directory: Directory, now: datetime) -> frozenset[str]:
    """Roles that count for this vote: those it was cast with that are still held; `ANY_ROLE` is the key's.

    That one stays for as long as the person works here, with or without a role.
    """
    if not directory.has(vote.person, now):
        return frozenset()
    return vote.roles & (directory.roles_of(vote.person, now) | {ANY_ROLE})


def _step_approves(
    step: EscalationStep,
    fewest: int,
    approving: dict[str, frozenset[str]],
    rejecting: dict[str, frozenset[str]],
    ratio: Decimal,
) -> bool:
    """`min_votes` people approve, one of them at least from the step's role, with the ratio among that role's votes.

    Approvals already given count, so that waiting costs nobody a second vote; the default of `min_votes`, the fewest that
    fill the base tree, sees to it that waiting never makes it easier.
    """
    of_role = sum(step.role in roles for roles in approving.values())
    against = sum(step.role in roles for roles in rejecting.values())
    enough = len(approving) >= (step.min_votes or fewest)
    return enough and of_role >= 1 and _reaches(of_role, against, ratio)


def _reaches(approvals: int, rejections: int, ratio: Decimal) -> bool:
    return approvals >= ratio * (approvals + rejections)


def _falls_below(approvals: int, rejections: int, ratio: Decimal) -> bool:
    return approvals < ratio * (approvals + rejections)


def _needs(tree: Tree | None) -> Iterator[Need]:
    match tree:
        case Need():
            yield tree
        case KOf():
            for child in tree.children:
                yield from _needs(child)


Seats = dict[People, int]
"""How many seats there are for which people."""


def _seatings(tree: Tree, directory: Directory, now: datetime) -> Iterator[Seats]:
    """Every way to fill the tree, as the seats it takes."""
    match tree:
        case Need():
            yield {tree.people: tree.count_now(directory, now)}
        case KOf():
            for chosen in combinations(tree.children, tree.k):
                for parts in product(*(tuple(_seatings(child, directory, now)) for child in chosen)):
                    seats: Counter[People] = Counter()
                    for part in parts:
                        seats.update(part)
                    yield dict(seats)


def _fills(seatings: Sequence[Seats], people: dict[str, frozenset[str]]) -> bool:
    return any(_all_seated(seats, people) for seats in seatings)


def _all_seated(seats: Seats, people: dict[str, frozenset[str]]) -> bool:
    """Whether every seat can be given to another person: augmenting paths between people and kinds of seats.

    Everybody is seated in turn. Where all the seats that would do are taken, one who sits there moves to another kind of
    seat, if that frees one. A set of people that can be seated so is as large as any (Berge's theorem).
    """
    wanted = sum(seats.values())
    if wanted > len(people):
        return False
    sitting: dict[People, list[str]] = {kind: [] for kind in seats}

    def seat(person: str, tried: set[People]) -> bool:
        for kind, count in seats.items():
            if kind in tried or not kind.include(person, people[person]):
                continue
            tried.add(kind)
            if len(sitting[kind]) < count:
                sitting[kind].append(person)
                return True
            for other in sitting[kind]:
                if seat(other, tried):
                    sitting[kind].remove(other)
                    sitting[kind].append(person)
                    return True
        return False

    return sum(seat(person, set()) for person in people) >= wanted


def _missing(requirement: Requirement, approving: dict[str, frozenset[str]], tally: Tally) -> Iterator[str]:
    if tally.quorum_satisfied:
        yield f"an approval ratio of {requirement.required_ratio}"
        return
    for need in _needs(requirement.tree):
        given = sum(need.people.include(person, roles) for person, roles in approving.items())
        if given < need.count:
            yield f"{need.count - given} more of {need.people}"
