"""Deciding: what the votes on an action come to, at every vote, at every escalation, and again before anything happens."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from domain import breaking, quorum, quorum_tree
from domain.action import Action, Vote
from domain.directory import Directory, Grant
from domain.internal_types import Internal
from domain.lifecycle import Status
from domain.quorum import Choice, CountedVote, Decision, Verdict
from domain.quorum_tree import ANY_ROLE
from domain.trail import Event, EventName, timestamp
from domain.world import ENGINE, World

DEADLINE_PASSED = "deadline_passed"
OUT_OF_REACH = "out_of_reach"
"""Why an escalation step began."""


def decide(world: World, action: Action, since: datetime | None = None) -> Action:
    """Bring the tally up to date and, if the votes decide, approve or reject the action; escalate it if they no longer can.

    `since` is the deadline that passed, where one did: what begins because of it begins then, whoever noticed when.
    """
    decision = judge(world, action)
    still_unreachable = action.unreachable and bool(decision.out_of_reach)
    action = world.tally(replace(action, unreachable=still_unreachable), decision.tally)
    match decision.verdict:
        case Verdict.APPROVED:
            return _approve(world, action, decision)
        case Verdict.REJECTED:
            data = _decided(world, action, decision)
            return end(world, action, EventName.REJECTED, data, status=Status.REJECTED, decided_at=world.now)
        case Verdict.PENDING if decision.out_of_reach:
            return _out_of_reach(world, action, decision, since or world.now)
        case Verdict.PENDING:
            return action


def _out_of_reach(world: World, action: Action, decision: Decision, since: datetime) -> Action:
    """Nobody waits for what cannot come: the next step begins at once. Where none may, it is told, and the deadline decides."""
    missing = list(decision.out_of_reach)
    if _may_begin_early(world, action):
        return decide(world, escalate(world, action, since, OUT_OF_REACH, missing=missing), since)
    if action.unreachable:
        return action
    return world.note(action, EventName.UNREACHABLE, ENGINE, {"missing": missing}, unreachable=True)


def _may_begin_early(world: World, action: Action) -> bool:
    """Whether there are steps to come, and all of them ask for as many people as the tree does.

    Fewer are asked only of who has waited: else whoever rejects, or asks for an action in a way that nobody can approve,
    would have few people decide at once.
    """
    tree, ahead = action.requirement.tree, action.requirement.escalation[action.steps_reached :]
    if tree is None or not ahead:
        return False
    fewest = quorum_tree.fewest(tree, world.directory, world.now)
    return not any(step.is_easier(fewest) for step in ahead)


def unreachable_warning(action: Action) -> str:
    """What to add to the receipt of an action that cannot be approved as things are; nothing to that of others."""
    if not action.unreachable:
        return ""
    return " Nobody can approve it as things are, even if everybody left did: `ops-approval actions who` says what is missing."


def end(world: World, action: Action, name: EventName, data: dict[str, Any], **changes: Any) -> Action:
    """End an action without what it asked for; where that was to ratify something, it is refused by that."""
    action = world.note(action, name, ENGINE, data, due_at=None, **changes)
    if action.action_type == Internal.RATIFY:
        reconsider(world, breaking.not_ratified(world, action))
    return action


def escalate(world: World, action: Action, since: datetime, reason: str, **more: Any) -> Action:
    """Open the next escalation step; its time runs from `since`."""
    step = action.requirement.escalation[action.steps_reached]
    deadline = since + timedelta(seconds=step.timeout_seconds)
    return world.note(
        action,
        EventName.ESCALATED,
        ENGINE,
        {"step": action.steps_reached + 1, "role": step.role, "deadline": timestamp(deadline), "reason": reason} | more,
        status=Status.ESCALATED,
        steps_reached=action.steps_reached + 1,
        expires_at=deadline,
        due_at=deadline,
    )


def _approve(world: World, action: Action, decision: Decision) -> Action:
    """Approve; an action that executes by itself is due at once, any other when its approval runs out."""
    changes: dict[str, Any] = {"due_at": good_until(world, action, world.now)}
    if action.auto_execute:
        changes = {"due_at": world.now, "next_attempt_at": world.now, "executed_by": ENGINE}
    data = _decided(world, action, decision)
    return world.note(action, EventName.APPROVED, ENGINE, data, status=Status.APPROVED, decided_at=world.now, **changes)


def good_until(world: World, action: Action, decided_at: datetime) -> datetime:
    """When an approval lapses that nobody used; the sooner where somebody's vote for it breaks glass and may do so."""
    seconds, glass = action.execute_within_seconds, action.requirement.break_glass
    if glass is not None and any(_breaks_glass(world, cast) for cast in world.votes.get(action.id, {}).values()):
        seconds = min(seconds, glass.valid_seconds)
    return decided_at + timedelta(seconds=seconds)


def reconsider(world: World, action: Action) -> Action:
    """Decide again what is approved and not begun, once a vote that broke glass for it does so no more.

    At once, and not only before the first attempt: nobody else can vote until then, and the approval soon lapses.
    """
    if action.status is not Status.APPROVED or world.attempts.get(action.id):
        return action
    alone = [cast for cast in world.votes.get(action.id, {}).values() if cast.break_glass is not None]
    return action if all(_breaks_glass(world, cast) for cast in alone) else decide_again(world, action)


def decide_again(world: World, action: Action) -> Action:
    """Before the first attempt: an approval that no longer holds goes back to its voters, and its deadline with it.

    Roles may have been lost since, and keys revoked as compromised. A step that begins as it is out of reach by now begins
    at its deadline, if that has passed: nobody has more time because it was looked at late.
    """
    decision = judge(world, action)
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
    return decide(world, action, min(action.expires_at, world.now))


def decide_from_record(action: Action, decided: Event, pools: Iterable[Grant], compromised: set[str]) -> Decision:
    """What the snapshot in a decision's event comes to; `pools` are the grants of roles of which a share must agree.

    Of a voter without a role the snapshot does not say whether they were still here; they are taken to have been, but where
    a compromised key spoke for them.
    """
    told = decided.data["votes"]
    votes = [
        CountedVote(
            vote["person"],
            Choice(vote["vote"]),
            frozenset(vote["roles"]),
            _frozen(vote["acts_for"]),
            vote["breaks_glass"],
        )
        for vote in told
        if vote["kid"] not in compromised
    ]
    held = {person: roles for vote in told for person, roles in vote["acted_for"].items()}
    held |= {vote["person"]: vote["roles_held"] for vote in told}
    grants = [Grant(person, role, decided.at) for person, roles in held.items() for role in roles]
    grants += [Grant(vote["person"], None, decided.at, None, person) for vote in told for person in vote["acted_for"]]
    grants += [grant for grant in pools if grant.person not in held]
    refused_at = {vote["person"]: decided.at for vote in told if not vote["may_break_glass"]}
    forged = [vote["person"] for vote in told if vote["kid"] in compromised and vote["roles_held"]]
    then = replace(action, steps_reached=decided.data["steps_reached"])
    return _decision(then, votes, forged, Directory.of(grants, held, refused_at), decided.at)


def _frozen(roles: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {person: frozenset(held) for person, held in roles.items()}


def judge(world: World, action: Action) -> Decision:
    """What the votes on an action come to now.

    A vote that came with a compromised key counts for nothing. But it stands in the place of what its voter may have said
    before, and a step may have begun because of it: until they vote anew, nothing is approved that would not be if they
    rejected it, and no such step had begun before its time.
    """
    forged = [person for person, cast in world.votes.get(action.id, {}).items() if cast.kid in world.compromised]
    return _decision(action, _counted(world, action), forged, world.directory, world.now)


def _decision(
    action: Action, votes: list[CountedVote], forged: Iterable[str], directory: Directory, now: datetime
) -> Decision:
    """What these votes come to, for all that those may have said in whose name a compromised key spoke last."""
    decision = quorum.decide(action.live_requirement, votes, directory, now)
    against = [_rejection_of(person, directory, now) for person in sorted(forged)]
    if decision.verdict is not Verdict.APPROVED or not against:
        return decision
    in_time = min(action.steps_reached, _steps_in_time(action, now))
    requirement = action.requirement.model_copy(update={"steps_reached": in_time})
    if quorum.decide(requirement, [*votes, *against], directory, now).verdict is Verdict.APPROVED:
        return decision
    missing = tuple(f"the vote of {vote.person} anew, as the last one came with a compromised key" for vote in against)
    return replace(decision, verdict=Verdict.PENDING, reason="votes_missing", missing=missing)


def _steps_in_time(action: Action, now: datetime) -> int:
    """How many escalation steps would have begun by now had none begun before a deadline."""
    begins_at, count = action.created_at + timedelta(seconds=action.timeout_seconds), 0
    for step in action.requirement.escalation:
        if begins_at > now:
            break
        begins_at, count = begins_at + timedelta(seconds=step.timeout_seconds), count + 1
    return count


def _rejection_of(person: str, directory: Directory, now: datetime) -> CountedVote:
    """The most that a person can have said against it, for themselves and for whom they may act."""
    acts_for = {name: directory.roles_of(name, now) | {ANY_ROLE} for name in directory.delegators(person, now)}
    return CountedVote(person, Choice.REJECT, directory.roles_of(person, now) | {ANY_ROLE}, acts_for)


def heard(world: World, action: Action) -> frozenset[str]:
    """The voters whose votes on an action count for something now."""
    voices = {vote.person: vote.voice for vote in _counted(world, action) if vote.choice is not Choice.WITHDRAW}
    return frozenset(action.live_requirement.electorate(world.directory, world.now).heard(voices))


def _counted(world: World, action: Action) -> list[CountedVote]:
    votes = [cast for cast in world.votes.get(action.id, {}).values() if cast.kid not in world.compromised]
    return [replace(cast.counted, breaks_glass=_breaks_glass(world, cast)) for cast in votes]


def _breaks_glass(world: World, cast: Vote) -> bool:
    """Whether a vote was to be enough alone, and neither a stolen key nor a refused ratification speaks against it by now."""
    return cast.break_glass is not None and cast.kid not in world.compromised and _is_trusted(world, cast)


def _is_trusted(world: World, cast: Vote) -> bool:
    """Whether no ratification was refused to the voter since: a role granted anew is for what they say from then on."""
    refused_at = world.directory.refused_at.get(cast.person_id)
    return refused_at is None or cast.recorded_at > refused_at


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
            told(cast)
            | {
                "roles_held": sorted(world.directory.roles_of(cast.person_id, world.now)),
                "acted_for": _acted_for(world, action, cast),
                "may_break_glass": _may_break_glass(world, action, cast),
            }
            for cast in standing(world.votes.get(action.id, {}).values())
        ],
    }


def _acted_for(world: World, action: Action, cast: Vote) -> dict[str, list[str]]:
    """Whom the voter may act for now, with the roles these hold, but for those kept out because of somebody else again."""
    directory, now = world.directory, world.now
    electorate = action.live_requirement.electorate(directory, now)
    people = (person for person in directory.delegators(cast.person_id, now) if directory.has(person, now))
    return {
        person: sorted(directory.roles_of(person, now))
        for person in sorted(people)
        if electorate.kept_out_by(person) in (None, person)
    }


def _may_break_glass(world: World, action: Action, cast: Vote) -> bool:
    """Told of who did, and of nobody else: what was refused to others elsewhere is not read for this action."""
    if cast.break_glass is None:
        return False
    electorate = action.live_requirement.electorate(world.directory, world.now)
    return _is_trusted(world, cast) and electorate.may_break_glass(cast.person_id, frozenset(cast.roles))


def standing(votes: Iterable[Vote]) -> list[Vote]:
    """The votes that a decision is made on, by person: all but those that were withdrawn."""
    return sorted((cast for cast in votes if cast.choice is not Choice.WITHDRAW), key=lambda cast: cast.person_id)


def told(cast: Vote) -> dict[str, Any]:
    """A vote as the event of a decision tells it."""
    return {
        "person": cast.person_id,
        "vote": cast.choice,
        "roles": list(cast.roles),
        "acts_for": cast.acts_for,
        "kid": cast.kid,
        "breaks_glass": cast.break_glass is not None,
    }
