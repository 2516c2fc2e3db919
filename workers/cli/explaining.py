"""The command that tells which policy an action would fall under, and why under no other."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from db import look
from domain import duration, explaining, quorum_tree
from domain.action import Action
from domain.conditions import Finding
from domain.exact_json import parse_json
from domain.explaining import Explanation, State, Verdict
from domain.internal_types import subject_of
from domain.messages import CreateAction, parse_body
from domain.refusals import Refusal
from workers import definition_changes
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
    steps_in_words,
)
from workers.cli.context import Data, open_reader
from workers.cli.policies import read_definitions
from workers.definition_files import why_unreadable

ActionFile = Annotated[Path, typer.Argument(help="The body of a CreateAction, as JSON.")]
Draft = Annotated[Path | None, typer.Option("--policies", help="Definitions to try, on top of what is in force.")]


def explain(file: ActionFile, draft: Draft = None, *, as_json: AsJson = False, data: Data = None) -> None:
    """Which policy an action would fall under that came now, what it asks for, and what every other policy lacks.

    Nothing is sent or changed. Exit code 1 if the action would be refused.
    """
    body = _read(file)
    with open_reader(data) as conn:
        world = look.world(conn, subject_of(body.action_type, body.params))
    if draft is not None:
        world.definitions = definition_changes.drafted(world.definitions, read_definitions(draft))
    found = explaining.explain(world, body)
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    if isinstance(found.answer, Refusal):
        raise typer.Exit(REFUSED)


def _read(file: Path) -> CreateAction:
    try:
        document = parse_json(file.read_bytes())
    except OSError as error:
        fail(f"{file} cannot be read: {why_unreadable(error)}.")
    except ValueError as error:
        fail(f"{file} is not the JSON of a CreateAction: {error}. See docs/wire-format.md.")
    body = parse_body(CreateAction.__name__, document)
    if isinstance(body, Refusal):
        fail(f"{file}: {body.sentence.removesuffix('.')}. See docs/wire-format.md.")
    assert isinstance(body, CreateAction)  # noqa: S101 - that is what was asked for
    return body


def _as_json(found: Explanation) -> dict[str, Any]:
    if isinstance(found.answer, Refusal):
        answer: dict[str, Any] = {
            "action": None,
            "refusal": {"code": found.answer.code.value, "sentence": found.answer.sentence},
        }
    else:
        answer = {"action": _action_json(found.answer), "refusal": None}
    verdicts = [
        {
            "name": verdict.policy.definition.name,
            "version": verdict.policy.version,
            "priority": verdict.policy.definition.priority if verdict.policy.version else None,  # the default has none
            "state": verdict.state.value,
            "because": _finding_json(verdict.because) if verdict.because else None,
        }
        for verdict in found.verdicts
    ]
    return answer | {"facts": found.facts, "policies": verdicts}


def _action_json(action: Action) -> dict[str, Any]:
    names = ("policy_name", "policy_version", "risk_level", "target_tenant_type", "target_tenant_id", "required_quorum")
    more = ("required_ratio", "timeout_seconds", "auto_execute", "execute_within_seconds")
    requirement = action.requirement.model_dump(mode="json", exclude={"steps_reached"})
    told = {"status": action.status.value, "needed": quorum_tree.in_words(action.requirement.tree)}
    return told | {name: getattr(action, name) for name in (*names, *more)} | {"requirement": requirement}


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "criterion": finding.words,
        "path": finding.path,
        "operator": finding.operator,
        "operand": finding.operand,
        "seen": finding.seen,
        "within": [_finding_json(part) for part in finding.within],
    }


def _print(found: Explanation) -> None:
    if isinstance(found.answer, Refusal):
        out.print(coloured("refused"), shown(f"({found.answer.code}) {found.answer.sentence}"))
    else:
        _print_action(found.answer)
    if found.facts is not None:
        out.print("  facts       ", shown(json.dumps(found.facts, ensure_ascii=False)))
    columns = ("priority", "policy", "version", "", "because")
    if found.verdicts:
        print_table(columns, (_verdict_row(verdict) for verdict in found.verdicts))


def _print_action(action: Action) -> None:
    requirement = action.requirement
    automatically = "by itself, once approved" if action.auto_execute else "when somebody asks for it, once approved"
    facts = {
        "policy": f"{action.policy_name} (version {action.policy_version})",
        "must agree": f"{quorum_tree.in_words(requirement.tree)}, ratio {requirement.required_ratio}",
        "within": duration.in_words(action.timeout_seconds),
        "escalates": steps_in_words(requirement.escalation),
        "votes bring": must_bring(requirement),
        "may veto": ", ".join(requirement.veto_roles),
        "may not": ", ".join(requirement.excluded),
        "executes": automatically,
    }
    out.print(f"{action.action_type} ", style="bold", end="")
    out.print(coloured(action.status))
    print_facts(facts)


_SAYS = {
    State.APPLIES: "applies",
    State.UNMET: "no",
    State.TYPE_MISMATCH: "cannot tell",
    State.DISABLED: "disabled",
    State.ALSO_MATCHES: "not asked",
    State.PASSED_OVER: "passed over",
}
_WHY = {
    State.ALSO_MATCHES: "its criteria hold, and another one is asked before",
    State.PASSED_OVER: "its criteria hold, and one person could agree alone to what the engine carries out itself",
}


def _verdict_row(verdict: Verdict) -> tuple[str, ...]:
    policy, version = verdict.policy.definition, verdict.policy.version
    because = _in_words(verdict.because) if verdict.because else _WHY.get(verdict.state, "")
    numbers = (str(policy.priority), str(version)) if version else ("", "")  # the default has neither
    return numbers[0], policy.name, numbers[1], _SAYS[verdict.state], because


def _in_words(finding: Finding) -> str:
    """A criterion and what was seen of it: `params.amount gte 1000000: it is 500`."""
    seen = list(_seen(finding))
    if len(seen) == 1:
        return f"{finding.words}: it is {seen[0][1]}"
    return f"{finding.words}: " + ", ".join(f"{path} is {value}" for path, value in seen)


def _seen(finding: Finding) -> list[tuple[str, str]]:
    if finding.within:
        return list(dict.fromkeys(found for part in finding.within for found in _seen(part)))
    values = ", ".join(json.dumps(value, ensure_ascii=False, default=str) for value in finding.seen)
    return [(finding.path, values or "missing")]
