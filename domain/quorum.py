"""Whether those who must agree have agreed: `decide`.

The ratio is exact (decimals, never floats). Only eligible people count: those whose grants, held at the moment of the
decision, fill a seat of the tree or of an escalation step that was reached.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from domain.definition import Seconds
from domain.directory import Directory
from domain.quorum_tree import ANY_ROLE, Frozen, People, RoleName, Tree, fills, needs, seatings


class EscalationStep(Frozen):
    """A role that may decide too, once the step is reached; `min_votes` None means as many as the base tree needs."""

    role: RoleName
    min_votes: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    timeout_seconds: Seconds

    def __str__(self) -> str:
        return self.role if self.min_votes is None else f"{self.role} (votes in all: {self.min_votes})"


class Requirement(Frozen):
    """What an action's approval takes. `tree` None means nobody's: it is approved at creation, by an explicit policy.

    `excluded` are the people kept out by separation of duties: the creator, whoever triggered it, and the target.
    `require_content_hash` and `require_personal_key` are what a vote must bring to be counted. `steps_reached` is how
    many escalation steps are open; everything else is frozen when the action is created.
    """

    tree: Tree | None
    required_ratio: Annotated[Decimal, Field(ge=Decimal("0.5"), le=1)]
    escalation: tuple[EscalationStep, ...] = ()
    excluded: tuple[str, ...] = ()
    require_content_hash: bool = False
    require_personal_key: bool = False
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
        pools = [*(need.people for need in needs(self.tree)), *(People(role=step.role) for step in self.steps)]
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
    ways = list(seatings(requirement.tree, directory, now))
    tally = Tally(
        votes_approve=len(approving),
        votes_reject=len(rejecting),
        votes_abstain=sum(vote.choice is Choice.ABSTAIN for vote in counted),
        quorum_satisfied=fills(ways, approving),
    )
    ratio = requirement.required_ratio
    if tally.quorum_satisfied and _reaches(len(approving), len(rejecting), ratio):
        return Decision(Verdict.APPROVED, "quorum_and_ratio_reached", tally)
    fewest = min(sum(seats.values()) for seats in ways)
    for step in requirement.steps:
        if _step_approves(step, fewest, approving, rejecting, ratio):
            return Decision(Verdict.APPROVED, f"escalation_approved:{step.role}", tally)
    if rejecting and ratio == 1:
        return Decision(Verdict.REJECTED, "unanimity_required", tally)
    if fills(ways, approving | rejecting) and _falls_below(len(approving), len(rejecting), 1 - ratio):
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


def _missing(requirement: Requirement, approving: dict[str, frozenset[str]], tally: Tally) -> Iterator[str]:
    if tally.quorum_satisfied:
        yield f"an approval ratio of {requirement.required_ratio}"
        return
    for need in needs(requirement.tree):
        given = sum(need.people.include(person, roles) for person, roles in approving.items())
        if given < need.count:
            yield f"{need.count - given} more of {need.people}"
