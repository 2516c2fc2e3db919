"""Whether those who must agree have agreed: `decide`.

The ratio is exact (decimals, never floats). Only eligible people count: those whose grants, held at the moment of the
decision, fill a seat of the tree or of an escalation step that was reached.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from domain.directory import Directory
from domain.electorate import Electorate
from domain.quorum_tree import People, Seats, seatings
from domain.requirement import EscalationStep, Requirement
from domain.seating import Voice, Voices, fills, people_in, unfilled


class Choice(StrEnum):
    """What a person says; a withdrawn vote is as if it had not been cast."""

    APPROVE = "approve"
    REJECT = "reject"
    ABSTAIN = "abstain"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class CountedVote:
    """One person's current vote; `roles` are those the person held when casting it and its key may speak for.

    `acts_for` are the people whom the voter could act for when casting it, with their roles, of which the same is true.
    `breaks_glass` says that an approval is meant to be enough alone.
    """

    person: str
    choice: Choice
    roles: frozenset[str]
    acts_for: Mapping[str, frozenset[str]] = field(default_factory=dict)
    breaks_glass: bool = False

    @property
    def voice(self) -> Voice:
        """Whom the vote may speak for, the voter first."""
        return {self.person: self.roles} | {**self.acts_for}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many eligible people approve, reject and abstain; `quorum_satisfied` says that the approvals fill the tree.

    Of several who act for one person, and vote alike, one is counted.
    """

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

    Rejected if somebody with a veto role rejects. Else approved: somebody who may breaks glass, or the approvals fill the tree and
    A / (A + R) ≥ required_ratio. Else rejected: all who approved or rejected, taken as approvers, would fill the tree and
    A / (A + R) < 1 − required_ratio, or the ratio is 1 and someone rejects. Else pending; out of reach if all who have not
    voted could approve and that would still not be enough. An open escalation step decides beside the tree: see
    `_step_approves`. Votes of people who are not eligible now, or kept out, count for nothing; who acts for somebody has
    one vote, for themselves or for them: see `Electorate.heard`.
    """
    if requirement.tree is None:
        return Decision(Verdict.APPROVED, "no_approval_required", Tally(quorum_satisfied=True))
    cast = {vote.person: vote for vote in votes if vote.choice is not Choice.WITHDRAW}
    electorate = requirement.electorate(directory, now)
    ways = list(seatings(requirement.tree, directory, now))
    poll = _poll(electorate, cast)
    tally = Tally(
        votes_approve=poll.approvals,
        votes_reject=poll.rejections,
        votes_abstain=people_in(electorate.pools, poll.abstaining),
        quorum_satisfied=fills(ways, poll.approving),
    )
    if (role := _veto(electorate, poll)) is not None:
        return Decision(Verdict.REJECTED, f"vetoed:{role}", tally)
    if any(vote.breaks_glass and electorate.may_break_glass(vote.person, vote.roles) for vote in cast.values()):
        return Decision(Verdict.APPROVED, f"break_glass:{electorate.glass_role}", tally)
    if (reason := _approval(requirement, ways, poll)) is not None:
        return Decision(Verdict.APPROVED, reason, tally)
    if (reason := _rejection(requirement, ways, poll)) is not None:
        return Decision(Verdict.REJECTED, reason, tally)
    return Decision(
        Verdict.PENDING,
        "votes_missing",
        tally,
        missing=_missing(requirement, ways, poll),
        out_of_reach=_out_of_reach(requirement, ways, electorate, cast, poll),
    )


@dataclass(frozen=True, slots=True)
class _Poll:
    """The voices that count, by what they say, and how many different people approve and reject."""

    approving: Voices
    rejecting: Voices
    abstaining: Voices
    approvals: int
    rejections: int

    @property
    def voters(self) -> frozenset[str]:
        return frozenset({*self.approving, *self.rejecting, *self.abstaining})


def _poll(electorate: Electorate, cast: Mapping[str, CountedVote]) -> _Poll:
    heard = electorate.heard({person: vote.voice for person, vote in cast.items()})
    approving, rejecting, abstaining = (
        {person: voice for person, voice in heard.items() if cast[person].choice is choice}
        for choice in (Choice.APPROVE, Choice.REJECT, Choice.ABSTAIN)
    )
    approvals, rejections = (people_in(electorate.pools, voices) for voices in (approving, rejecting))
    return _Poll(approving, rejecting, abstaining, approvals, rejections)


def _veto(electorate: Electorate, poll: _Poll) -> str | None:
    """The first veto role, in the policy's order, of anybody who rejects."""
    voices = poll.rejecting.values()
    return electorate.veto_of(frozenset(role for voice in voices for roles in voice.values() for role in roles))


def _approval(requirement: Requirement, ways: Sequence[Seats], poll: _Poll) -> str | None:
    """Why it is approved, if it is: by the tree, or by an open step."""
    if _reaches(poll.approvals, poll.rejections, requirement.required_ratio) and fills(ways, poll.approving):
        return "quorum_and_ratio_reached"
    fewest = min(sum(seats.values()) for seats in ways)
    approved = (step for step in requirement.steps if _step_approves(step, fewest, poll, requirement.required_ratio))
    return next((f"escalation_approved:{step.role}" for step in approved), None)


def _rejection(requirement: Requirement, ways: Sequence[Seats], poll: _Poll) -> str | None:
    """Why it is rejected, if it is: with one voice, by the tree, or by an open step."""
    ratio = requirement.required_ratio
    if poll.rejections and ratio == 1:
        return "unanimity_required"
    if not _reaches(poll.approvals, poll.rejections, 1 - ratio) and fills(ways, {**poll.approving, **poll.rejecting}):
        return "quorum_voted_against"
    rejected = (
        step for step in requirement.steps if _of_role(step, poll.rejecting) and not _of_role(step, poll.approving)
    )
    return next((f"escalation_rejected:{step.role}" for step in rejected), None)


def _step_approves(step: EscalationStep, fewest: int, poll: _Poll, ratio: Decimal) -> bool:
    """`min_votes` people approve, one of them at least from the step's role, with the ratio among that role's votes.

    Approvals already given count, so that waiting costs nobody a second vote; the default of `min_votes`, the fewest that
    fill the base tree, sees to it that waiting never makes it easier.
    """
    if poll.approvals < (step.min_votes or fewest):
        return False
    of_role = _of_role(step, poll.approving)
    return of_role >= 1 and _reaches(of_role, _of_role(step, poll.rejecting), ratio)


def _of_role(step: EscalationStep, voices: Voices) -> int:
    return people_in([People(role=step.role)], voices)


def _reaches(approvals: int, rejections: int, ratio: Decimal) -> bool:
    return approvals >= ratio * (approvals + rejections)


def _missing(requirement: Requirement, ways: Sequence[Seats], poll: _Poll) -> tuple[str, ...]:
    """What the tree lacks, on the way to fill it that lacks the fewest people."""
    lacking = min((unfilled(seats, poll.approving) for seats in ways), key=lambda seats: sum(seats.values()))
    if not lacking:
        return (f"an approval ratio of {requirement.required_ratio}",)
    return tuple(f"{count} more of {people}" for people, count in lacking.items())


def _out_of_reach(
    requirement: Requirement,
    ways: Sequence[Seats],
    electorate: Electorate,
    cast: Mapping[str, CountedVote],
    poll: _Poll,
) -> tuple[str, ...]:
    """What is missing even if all others approve; nothing, as soon as some of them would do.

    One more approval never undoes one, so what they cannot approve all together is approved by no part of them. Nobody
    need act for anybody then, as everybody speaks for themselves.
    """
    everybody = dict(cast)
    others = electorate.others(poll.voters)
    while some := list(islice(others, max(2, len(everybody)))):
        everybody |= {person: CountedVote(person, Choice.APPROVE, roles) for person, roles in some}
        poll = _poll(electorate, everybody)
        if _approval(requirement, ways, poll) is not None:
            return ()
    return _missing(requirement, ways, poll)
