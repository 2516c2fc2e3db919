"""Deciding: what the votes on an action come to, at every vote, at every escalation, and again before anything happens."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from domain import quorum
from domain.directory import Directory, Grant
from domain.lifecycle import Status
from domain.quorum import Choice, CountedVote, Decision, Verdict
from domain.trail import Event, EventName, timestamp
from domain.world import ENGINE, Action, Vote, World

DEADLINE_PASSED = "deadline_passed"
OUT_OF_REACH = "out_of_reach"
"""Why an escalation step began."""


def decide(world: World, action: Action) -> Action:
    """Bring the tally up to date and, if the votes decide, approve or reject the action; escalate it if they no longer can."""
    decision = _decision(world, action)
    still_unreachable = action.unreachable and bool(decision.out_of_reach)
    action = world.tally(replace(action, unreachable=still_unreachable), decision.tally)
    match decision.verdict:
        case Verdict.APPROVED:
            return _approve(world, action, decision)
        case Verdict.REJECTED:
            data = _decided(world, action, decision)
            return world.note(
                action, EventName.REJECTED, ENGINE, data, status=Status.REJECTED, decided_at=world.now, due_at=None
            )
        case Verdict.PENDING if decision.out_of_reach:
            return _out_of_reach(world, action, decision)
        case Verdict.PENDING:
            return action


def _out_of_reach(world: World, action: Action, decision: Decision) -> Action:
    """Nobody waits for what cannot come: the next step begins at once. With none left it is told, and the deadline decides."""
    missing = list(decision.out_of_reach)
    if action.steps_reached < len(action.requirement.escalation):
        return decide(world, escalate(world, action, world.now, OUT_OF_REACH, missing=missing))
    if action.unreachable:
        return action
    return world.note(action, EventName.UNREACHABLE, ENGINE, {"missing": missing}, unreachable=True)


def escalate(world: World, action: Action, since: datetime, reason: str, **more: Any) -> Action:
    """Open the next escalation step; its time runs from `since`."""
    step = action.requirement.escalation[action.steps_reached]
    deadline = since + timedelta(seconds=step.timeout_seconds)
    return world.note(
        action,
        EventName.ESCALATED,
        ENGINE,
        {"role": step.role, "deadline": timestamp(deadline), "reason": reason} | more,
        status=Status.ESCALATED,
        steps_reached=action.steps_reached + 1,
        expires_at=deadline,
        due_at=deadline,
    )


def _approve(world: World, action: Action, decision: Decision) -> Action:
    """Approve; an action that executes by itself is due at once, any other when its approval runs out."""
    changes: dict[str, Any] = {"due_at": world.now + timedelta(seconds=action.execute_within_seconds)}
    if action.auto_execute:
        changes = {"due_at": world.now, "next_attempt_at": world.now, "executed_by": ENGINE}
    data = _decided(world, action, decision)
    return world.note(action, EventName.APPROVED, ENGINE, data, status=Status.APPROVED, decided_at=world.now, **changes)


def decide_again(world: World, action: Action) -> Action:
    """Before the first attempt: an approval that no longer holds goes back to its voters, and its deadline with it.

    Roles may have been lost since, and keys revoked as compromised.
    """
    decision = _decision(world, action)
    if decision.verdict is Verdict.APPROVED:
        return action
    action = world.note(
        action,
        EventName.REOPENED,
        ENGINE,
        _decided(world, action, decision),
        status=Status.PENDING_APPROVAL,
        decided_at=None,
        next_attempt_at=None,
        executed_by=None,
        due_at=action.expires_at,
    )
    return decide(world, action)


def decide_from_record(action: Action, decided: Event, pools: Iterable[Grant], compromised: set[str]) -> Decision:
    """What the snapshot in a decision's event comes to; `pools` are the grants of roles of which a share must agree.

    Of a voter without a role the snapshot does not say whether they were still here; they are taken to have been.
    """
    counted = [vote for vote in decided.data["votes"] if vote["kid"] not in compromised]
    votes = [CountedVote(vote["person"], Choice(vote["vote"]), frozenset(vote["roles"])) for vote in counted]
    people = {vote["person"] for vote in counted}
    held = [Grant(vote["person"], role, decided.at) for vote in counted for role in vote["roles_held"]]
    others = [grant for grant in pools if grant.person not in people]
    requirement = action.requirement.model_copy(update={"steps_reached": decided.data["steps_reached"]})
    return quorum.decide(requirement, votes, Directory.of([*held, *others], people), decided.at)


def _decision(world: World, action: Action) -> Decision:
    votes = [cast.counted for cast in world.votes.get(action.id, {}).values() if cast.kid not in world.compromised]
    return quorum.decide(action.live_requirement, votes, world.directory, world.now)


def _decided(world: World, action: Action, decision: Decision) -> dict[str, Any]:
    """A snapshot of what was decided on, so that it can be decided again from the record alone."""
    return {
        "reason": decision.reason,
        "votes_approve": decision.tally.votes_approve,
        "votes_reject": decision.tally.votes_reject,
        "votes_abstain": decision.tally.votes_abstain,
        "approval_ratio": str(decision.tally.approval_ratio),
        "steps_reached": action.steps_reached,
        "votes": [
            told(cast) | {"roles_held": sorted(world.directory.roles_of(cast.person_id, world.now))}
            for cast in standing(world.votes.get(action.id, {}).values())
        ],
    }


def standing(votes: Iterable[Vote]) -> list[Vote]:
    """The votes that a decision is made on, by person: all but those that were withdrawn."""
    return sorted((cast for cast in votes if cast.choice is not Choice.WITHDRAW), key=lambda cast: cast.person_id)


def told(cast: Vote) -> dict[str, Any]:
    """A vote as the event of a decision tells it."""
    return {"person": cast.person_id, "vote": cast.choice, "roles": list(cast.roles), "kid": cast.kid}
