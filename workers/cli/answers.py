"""Commands that answer about votes: who may still cast one, who not and why, what is missing."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from db import look
from domain import answers, deadlines, quorum_tree
from domain.action import Action
from domain.answers import Electors, StepAhead, Voter
from domain.lifecycle import OPEN
from domain.quorum import Choice
from domain.refusals import Refusal
from domain.requirement import Requirement
from domain.world import World
from workers.cli.console import (
    REFUSED,
    AsJson,
    coloured,
    fail,
    must_bring,
    out,
    print_facts,
    print_json,
    print_table,
    shown,
    when,
)
from workers.cli.context import Data, open_reader
from workers.cli.reading import ActionId

Person = Annotated[str, typer.Argument(help="The person, as the directory calls them.")]


def why_not(action_id: ActionId, person: Person, *, as_json: AsJson = False, data: Data = None) -> None:
    """Whether somebody may vote on an action now; if not, every reason, first the one that their vote would get.

    Exit code 1 if they may not.
    """
    world, action = _now(data, action_id)
    voter = answers.voter(world, action, person)
    ahead = None if Choice.APPROVE in voter.may else answers.opens_to(world, action, person)
    if as_json:
        roles = sorted(world.directory.roles_of(person, world.now))
        print_json(_voter_json(voter) | {"roles": roles, "asks": _asks(action), "from": ahead and _ahead_json(ahead)})
    else:
        _print_voter(world, action, voter, ahead)
    if not voter.may:
        raise typer.Exit(REFUSED)


def who(action_id: ActionId, *, as_json: AsJson = False, data: Data = None) -> None:
    """Who may vote on an action, who has and who is kept out, what is missing, and what decides next."""
    world, action = _now(data, action_id)
    found = answers.electors(world, action)
    if as_json:
        print_json(_electors_json(action, found))
    else:
        _print_electors(action, found)


def _now(data: Path | None, action_id: UUID) -> tuple[World, Action]:
    """The action as a vote would find it that came now, be it swept already or not."""
    with open_reader(data) as conn:
        world = look.world(conn, action_id)
    if action_id not in world.actions:
        fail(f"There is no action {action_id}. Votes on it wait until it is created, or until their exp.", REFUSED)
    return world, deadlines.enforce(world, world.actions[action_id])


def _asks(action: Action) -> dict[str, Any]:
    return {
        "needed": _needed(action.live_requirement),
        "require_content_hash": action.requirement.require_content_hash,
        "require_personal_key": action.requirement.require_personal_key,
        "content_hash": action.content_hash,
    }


def _needed(requirement: Requirement) -> str:
    steps = "".join(f"; or {step}" for step in requirement.steps)
    return f"{quorum_tree.in_words(requirement.tree)}{steps}"


def _refusal_json(refusal: Refusal) -> dict[str, str]:
    return {"code": refusal.code.value, "sentence": refusal.sentence}


def _voter_json(voter: Voter) -> dict[str, Any]:
    return {
        "person": voter.person,
        "may": [choice.value for choice in voter.may],
        "refusals": [_refusal_json(refusal) for refusal in voter.refusals],
        "speaks_for": {person: sorted(roles) for person, roles in voter.voice.items()},
        "voted": voter.cast.choice.value if voter.cast else None,
        "counts": voter.counts,
    }


def _ahead_json(ahead: StepAhead) -> dict[str, Any]:
    return ahead.step.model_dump(mode="json") | {"opens_at": ahead.opens_at, "people": ahead.people}


def _electors_json(action: Action, found: Electors) -> dict[str, Any]:
    is_open = action.status in OPEN
    return _asks(action) | {
        "action_id": action.id,
        "status": action.status.value,
        "expires_at": action.expires_at if is_open else None,
        "missing": found.decision.missing if is_open else (),
        "out_of_reach": found.decision.out_of_reach if is_open else (),
        "voters": [_voter_json(voter) for voter in found.voters],
        "excluded": action.requirement.excluded,
        "absent": found.absent,
        "next_steps": [_ahead_json(ahead) for ahead in found.ahead],
    }


def _print_voter(world: World, action: Action, voter: Voter, ahead: StepAhead | None) -> None:
    out.print(shown(_verdict(voter)), style="bold")
    for refusal in voter.refusals:
        out.print(f"  {refusal.code.value:<24}", shown(refusal.sentence))
    facts = {
        "voted": _has_voted(voter),
        "holds": ", ".join(sorted(world.directory.roles_of(voter.person, world.now))) or _no_role(world, voter.person),
        "speaks for": _speaks_for(voter),
        "must agree": _needed(action.live_requirement),
        "votes bring": must_bring(action.requirement),
        "may approve": f"from {when(ahead.opens_at)} UTC on, as a step opens to {ahead.step.role}" if ahead else "",
    }
    print_facts(facts)


def _no_role(world: World, person: str) -> str:
    return "no role" if world.directory.has(person, world.now) else "no role: the directory knows nobody of that name"


def _verdict(voter: Voter) -> str:
    if not voter.may:
        return f"{voter.person} may not vote on it now."
    if voter.refusals:
        return f"{voter.person} may {', '.join(voter.may)} now, and not approve."
    return f"{voter.person} may vote on it now."


def _has_voted(voter: Voter) -> str:
    if voter.cast is None:
        return ""
    lost = "" if voter.counts or voter.cast.choice == "withdraw" else " (does not count now)"
    again = "; a new vote takes its place" if voter.may else ""
    return f"{voter.cast.choice}, {when(voter.cast.cast_at)} UTC{lost}{again}"


def _speaks_for(voter: Voter) -> str:
    told = {
        person if person != voter.person else "themselves": ", ".join(sorted(roles))
        for person, roles in voter.voice.items()
    }
    return "; ".join(f"{person} ({roles or 'by name'})" for person, roles in told.items())


def _print_electors(action: Action, found: Electors) -> None:
    requirement, is_open = action.live_requirement, action.status in OPEN
    out.print(f"{action.action_type} ", style="bold", end="")
    out.print(coloured(action.status))
    step = "then " + (str(found.ahead[0].step) + " may approve too" if found.ahead else "it expires")
    facts = {
        "must agree": f"{_needed(requirement)}, ratio {requirement.required_ratio}",
        "votes bring": must_bring(requirement),
        "may veto": ", ".join(requirement.veto_roles),
        "missing": " and ".join(found.decision.missing) if is_open else "",
        "out of reach": "even if everybody left approved" if is_open and found.decision.out_of_reach else "",
        "until": f"{when(action.expires_at)} UTC, {step}" if is_open else "",
        "may not": ", ".join(requirement.excluded),
        "not here": ", ".join(found.absent),
    }
    print_facts(facts)
    if found.voters:
        print_table(("person", "may", "speaks for", "voted"), (_voter_row(voter) for voter in found.voters))
    for ahead in found.ahead:
        people = ", ".join(ahead.people) or "nobody else"
        out.print(shown(f"From {when(ahead.opens_at)} UTC on, {ahead.step} too: {people}."))


def _voter_row(voter: Voter) -> tuple[str, ...]:
    refused = voter.refusals[0].code.value if voter.refusals and not voter.may else ""
    return (voter.person, ", ".join(voter.may) or refused, _speaks_for(voter), _has_voted(voter))
