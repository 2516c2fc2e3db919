"""One action, for people: what it would do, who must agree, who has, and what became of it."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from db import read
from domain import quorum_tree
from domain.executing import EXECUTOR_ROLES
from domain.internal_types import Internal
from domain.lifecycle import OPEN, Status
from domain.requirement import Requirement
from domain.trail import EventName
from workers.cli.console import REFUSED, AsJson, coloured, fail, must_bring, out, print_facts, print_json, shown, when
from workers.cli.context import Data, open_reader
from workers.cli.differences import Compared, compared, print_lines
from workers.cli.reading import RATIFIED, ActionId
from workers.cli.why import why

_WAYS_OUT = {
    Status.OUTCOME_UNKNOWN: "people to find out, and `ops-approval create RESOLVE_OUTCOME` to say so",
    Status.FAILED: "nothing; `ops-approval create RETRY` to have it tried again",
}


def show(action_id: ActionId, *, as_json: AsJson = False, data: Data = None) -> None:
    """One action: what it would do, who must agree, who has, and what became of it."""
    action = get_action(data, action_id)
    if as_json:
        difference = _difference(action)
        print_json(action | {"difference": difference and asdict(difference)})
    else:
        print_action(action)


def get_action(data: Path | None, action_id: UUID) -> dict[str, Any]:
    """An action with its votes; who asks for one that is not there is told so."""
    with open_reader(data) as conn:
        action = read.get_action_with_votes(conn, action_id)
    if action is None:
        fail(
            f"There is no action {action_id}. A message that asked for it may have been refused: see its receipt.",
            REFUSED,
        )
    return action


def print_action(action: dict[str, Any]) -> None:
    """An action for people."""
    out.print(f"{action['action_type']} ", style="bold", end="")
    out.print(coloured(action["status"]))
    difference = _difference(action)
    print_facts(_facts(action, difference))
    if difference is not None:
        print_lines(difference.diff.splitlines(), indent="  ")
    for name, line in _came_along(action):
        out.print(f"  {name:<12}", shown(line))


def _facts(action: dict[str, Any], difference: Compared | None) -> dict[str, Any]:
    """What is said of it in one line each, under its name; what there is nothing to say of is empty."""
    requirement = Requirement.model_validate(action["requirement"])
    must_agree = quorum_tree.in_words(requirement.tree)
    others = "; or so of what caused it" if action["caused_by"] else ""
    kept_out = ", ".join(requirement.excluded)
    return {
        "id": action["id"],
        "params": json.dumps(action["params"], ensure_ascii=False) if difference is None else None,
        "reason": action["params"]["reason"] if difference is not None else None,
        "target": f"{action['target_tenant_type'] or ''} {action['target_tenant_id'] or ''}".strip(),
        "risk": action["risk_level"],
        "asked for": f"by {action['created_by']} through {action['origin']}, {when(action['created_at'])} UTC",
        "caused by": action["caused_by"],
        "policy": f"{action['policy_name']} (version {action['policy_version']})",
        "must agree": f"{must_agree}, ratio {action['required_ratio']}, until {when(action['expires_at'])} UTC",
        "escalates": _escalation(requirement, action) if requirement.escalation and action["status"] in OPEN else None,
        "votes bring": must_bring(requirement),
        "may veto": ", ".join(requirement.veto_roles),
        "may alone": requirement.break_glass,
        "may not": f"{kept_out} (asked for it, or is its target{others})" if kept_out else None,
        "waits for": _waits_for(action),
        "votes": f"{action['votes_approve']} for, {action['votes_reject']} against, {action['votes_abstain']} abstained",
        "content": action["content_hash"],
        "next try": _next_attempt(action, Status.APPROVED),
        "next asked": _next_attempt(action, Status.OUTCOME_UNKNOWN),
        "executed by" if action["executed_at"] else "executor": action["executed_by"],
        "result": json.dumps(action["result"], ensure_ascii=False) if action["result"] is not None else None,
        "error": action["error"],
    }


def _next_attempt(action: dict[str, Any], status: Status) -> str | None:
    """When a worker turns to it next, of an action in this state."""
    waits = action["status"] == status and action["next_attempt_at"] is not None
    return f"{when(action['next_attempt_at'])} UTC" if waits else None


def _came_along(action: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What there can be several of: SIRA's reasons, votes, attempts, and the actions that it led to."""
    for line in why(action["params"]):
        yield "sira", line
    for vote in action["votes"]:
        comment = f": {vote['comment']}" if vote["comment"] else ""
        lost = " (does not count: its key is revoked)" if vote["key_compromised"] else ""
        acting = f" (may act for {', '.join(vote['acts_for'])})" if vote["acts_for"] else ""
        yield "vote", f"{vote['voter_id']}{acting} {vote['vote']}{lost}{comment}"
    for told in action["glass"]:
        yield "glass", _glass(told, is_last=told is action["glass"][-1])
    for attempt in action["attempts"]:
        reason = f": {attempt['reason']}" if attempt["reason"] else ""
        yield "attempt", f"{attempt['number']} {attempt['state']}{reason}"
    for other in action["led_to"]:
        yield "led to", f"{other['action_type']} {other['id']} {other['status']}"


def _glass(told: dict[str, Any], *, is_last: bool) -> str:
    """Who broke glass and why, or what others said of it."""
    if told["event"] != EventName.GLASS_BROKEN:
        agreed = told.get("agreed_in") or f"{told['refused_in']} is {told['reason']}"
        return f"{RATIFIED[told['event']]} ({agreed})"
    so_far = f" ({RATIFIED[EventName.GLASS_BROKEN]})" if is_last else ""
    return f"broken by {told['person']} as {told['role']}{so_far}: {told['reason']}"


def _escalation(requirement: Requirement, action: dict[str, Any]) -> str:
    """Which step is open, until when, and who comes after it."""
    reached, steps = action["steps_reached"], [str(step) for step in requirement.escalation]
    until, later = f"{when(action['expires_at'])} UTC", "; then ".join([*steps[reached:], "it expires"])
    if reached == 0:
        return f"at {until} to {later}"
    return f"step {reached} of {len(steps)} is open to {steps[reached - 1]} until {until}; then {later}"


def _waits_for(action: dict[str, Any]) -> str | None:
    if action["unreachable"] and action["status"] in OPEN:
        return (
            "its deadline, or a changed vote: no approval is in reach, even if everybody left approved (see its trail)"
        )
    if action["status"] == Status.APPROVED and action["next_attempt_at"] is None:
        return f"`ops-approval execute` by one of {' or '.join(sorted(EXECUTOR_ROLES))}, until {when(action['due_at'])} UTC"
    return _WAYS_OUT.get(action["status"]) if action["next_attempt_at"] is None else None


def _difference(action: dict[str, Any]) -> Compared | None:
    """What an action would change of a definition, since the version that it replaces; None if it would change none."""
    if action["action_type"] != Internal.CHANGE_DEFINITION:
        return None
    params = action["params"]
    before, after = (params["replaces"], action["replaced"]), (params["replaces"] + 1, params["definition"])
    return compared(params["kind"], params["name"], before, after)
