"""Whether those who must agree have agreed: `decide`.

The ratio is exact (decimals, never floats). Only eligible people count: those whose grants, held at the moment of the
decision, fill a seat of the tree or of an escalation step that was reached.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import Annotated

from pydantic import Field

from domain.directory import Directory
from domain.quorum_tree import ANY_ROLE, Frozen, People, RoleName, Seats, Tree, fills, needs, seatings, unfilled


class EscalationStep(Frozen):
    """A role that may decide too, once the step is reached; `min_votes` None means as many as the base tree needs."""

    role: RoleName
    min_votes: Annotated[int, Field(ge=1, strict=True)] | None = None
    timeout_seconds: Annotated[int, Field(gt=0, strict=True)]


def pools(tree: Tree | None, steps: Iterable[EscalationStep]) -> frozenset[People]:
    """Whose approval a tree and these escalation steps can ask for."""
    return frozenset({*(need.people for need in needs(tree)), *(People(role=step.role) for step in steps)})


VetoRoles = Annotated[tuple[RoleName, ...], Field(max_length=20)]
"""Roles of which each holder may reject alone."""


class Requirement(Frozen):
    """What an action's approval takes. `tree` None means nobody's: it is approved at creation, by an explicit policy.

    `excluded` are the people kept out by separation of duties: the creator, whoever triggered it, and the target.
    Who holds one of `veto_roles` rejects alone, with or without a seat.
    `steps_reached` is how many escalation steps are open; everything else is frozen when the action is created.
    """

    tree: Tree | None
    required_ratio: Annotated[Decimal, Field(ge=Decimal("0.5"), le=1)]
    escalation: tuple[EscalationStep, ...] = ()
    veto_roles: VetoRoles = ()
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
        return any(pool.include(person, roles) for pool in pools(self.tree, self.steps))

    def veto_of(self, person: str, roles: frozenset[str]) -> str | None:
        """The role with which a person with these usable roles may reject alone; None without one."""
        return None if self.excludes(person) else next((role for role in self.veto_roles if role in roles), None)


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


Voters = dict[str, frozenset[str]]
"""People who vote alike, each with the roles that count for them."""


class Verdict(StrEnum):
    """What a decision comes to."""

    APPROVED = "approved"
    REJECTED = "rejected"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, why, the tally, and in `missing` what an approval still lacks, in words.

    `out_of_reach` is what it would lack even if everybody left approved; empty where it can be approved yet.
    """

    verdict: Verdict
    reason: str
    tally: Tally
    missing: tuple[str, ...] = ()
    out_of_reach: tuple[str, ...] = ()


def decide(requirement: Requirement, votes: Iterable[CountedVote], directory: Directory, now: datetime) -> Decision:
    """Approved, rejected or pending, from the current vote of each person; pure, and the same in any order of votes.

    Rejected if somebody with a veto role rejects. Else approved: the approvals fill the tree and
    A / (A + R) ≥ required_ratio. Else rejected: all who approved or rejected, taken as approvers, would fill the tree and
    A / (A + R) < 1 − required_ratio, or the ratio is 1 and someone rejects. Else pending; out of reach if all who have not
    voted could approve and that would still not be enough. An open escalation step decides beside the tree: see
    `_step_approves`. Votes of people who are not eligible now, or excluded, count for nothing.
    """
    if requirement.tree is None:
        return Decision(Verdict.APPROVED, "no_approval_required", Tally(quorum_satisfied=True))
    cast = {vote.person: vote for vote in votes if vote.choice is not Choice.WITHDRAW}
    usable = {person: _usable_roles(vote, directory, now) for person, vote in cast.items()}
    counted = [vote for person, vote in cast.items() if requirement.seats_for(person, usable[person])]
    approving = {vote.person: usable[vote.person] for vote in counted if vote.choice is Choice.APPROVE}
    rejecting = {vote.person: usable[vote.person] for vote in counted if vote.choice is Choice.REJECT}
    ways = list(seatings(requirement.tree, directory, now))
    tally = Tally(
        votes_approve=len(approving),
        votes_reject=len(rejecting),
        votes_abstain=sum(vote.choice is Choice.ABSTAIN for vote in counted),
        quorum_satisfied=fills(ways, approving),
    )
    against = {person: usable[person] for person, vote in cast.items() if vote.choice is Choice.REJECT}
    if (role := _veto(requirement, against)) is not None:
        return Decision(Verdict.REJECTED, f"vetoed:{role}", tally)
    if (reason := _approval(requirement, ways, approving, rejecting)) is not None:
        return Decision(Verdict.APPROVED, reason, tally)
    if (reason := _rejection(requirement, ways, approving, rejecting)) is not None:
        return Decision(Verdict.REJECTED, reason, tally)
    others = _others(requirement, {vote.person for vote in counted}, directory, now)
    return Decision(
        Verdict.PENDING,
        "votes_missing",
        tally,
        missing=_missing(requirement, ways, approving),
        out_of_reach=_out_of_reach(requirement, ways, approving, rejecting, others),
    )


def _out_of_reach(
    requirement: Requirement,
    ways: Sequence[Seats],
    approving: Voters,
    rejecting: Voters,
    others: Iterator[tuple[str, frozenset[str]]],
) -> tuple[str, ...]:
    """What is missing even if all others approve; nothing, as soon as some of them would do.

    One more approval never undoes one, so what they cannot approve all together is approved by no part of them.
    """
    everybody = dict(approving)
    while some := dict(islice(others, max(8, len(everybody)))):
        everybody |= some
        if _approval(requirement, ways, everybody, rejecting) is not None:
            return ()
    return _missing(requirement, ways, everybody)


def _others(
    requirement: Requirement, voted: set[str], directory: Directory, now: datetime
) -> Iterator[tuple[str, frozenset[str]]]:
    """Everybody else whose approval would count, with all their roles."""
    seen = set(voted)
    for pool in pools(requirement.tree, requirement.steps):
        for person in directory.holders(pool.role, now) if pool.role else pool.ids:
            if person in seen or requirement.excludes(person) or not directory.has(person, now):
                continue
            seen.add(person)
            yield person, directory.roles_of(person, now) | {ANY_ROLE}


def _veto(requirement: Requirement, rejecting: Voters) -> str | None:
    """The first veto role, in the policy's order, of anybody who rejects."""
    vetoing = {requirement.veto_of(person, roles) for person, roles in rejecting.items()}
    return next((role for role in requirement.veto_roles if role in vetoing), None)


def _approval(requirement: Requirement, ways: Sequence[Seats], approving: Voters, rejecting: Voters) -> str | None:
    """Why it is approved, if it is: by the tree, or by an open step."""
    ratio = requirement.required_ratio
    if fills(ways, approving) and _reaches(len(approving), len(rejecting), ratio):
        return "quorum_and_ratio_reached"
    fewest = min(sum(seats.values()) for seats in ways)
    approved = (step for step in requirement.steps if _step_approves(step, fewest, approving, rejecting, ratio))
    return next((f"escalation_approved:{step.role}" for step in approved), None)


def _rejection(requirement: Requirement, ways: Sequence[Seats], approving: Voters, rejecting: Voters) -> str | None:
    """Why it is rejected, if it is: with one voice, by the tree, or by an open step."""
    ratio = requirement.required_ratio
    if rejecting and ratio == 1:
        return "unanimity_required"
    if fills(ways, approving | rejecting) and _falls_below(len(approving), len(rejecting), 1 - ratio):
        return "quorum_voted_against"
    held_for, held_against = (frozenset().union(*votes.values()) for votes in (approving, rejecting))
    rejected = (step for step in requirement.steps if step.role in held_against - held_for)
    return next((f"escalation_rejected:{step.role}" for step in rejected), None)


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
    approving: Voters,
    rejecting: Voters,
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


def _missing(requirement: Requirement, ways: Sequence[Seats], approving: Voters) -> tuple[str, ...]:
    """What the tree lacks, on the way to fill it that lacks the fewest people."""
    lacking = min((unfilled(seats, approving) for seats in ways), key=lambda seats: sum(seats.values()))
    if not lacking:
        return (f"an approval ratio of {requirement.required_ratio}",)
    return tuple(f"{count} more of {people}" for people, count in lacking.items())
