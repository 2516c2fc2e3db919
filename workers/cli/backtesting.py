"""The command that holds past actions against a draft of policies."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from db.definitions import load_definitions
from domain import quorum_tree
from domain.action import Action
from domain.refusals import Refusal
from workers import backtest, definition_changes
from workers.backtest import Compared
from workers.cli.console import AsJson, out, print_json, print_table
from workers.cli.context import Data, open_reader
from workers.cli.policies import read_definitions

DraftFile = Annotated[
    Path, typer.Argument(help="A file of definitions; policies that it does not name are as in force.")
]


def backtest_policies(
    draft: DraftFile,
    limit: Annotated[int, typer.Option(min=1, help="How many actions at most, the newest first.")] = 1000,
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """What past actions would have come to under a draft: who would have been needed, and which decisions change.

    Nothing is changed.
    """
    wanted = read_definitions(draft)
    with open_reader(data) as conn:
        definitions = load_definitions(conn)
        drafted = definition_changes.drafted(definitions, wanted)
        found = list(backtest.compare(conn, definitions, drafted, limit))
    if as_json:
        summary = [
            {"was": was, "draft": by_draft, "actions": count}
            for (was, by_draft), count in sorted(_summary(found).items())
        ]
        print_json({"looked_at": len(found), "summary": summary, "actions": [_as_json(item) for item in found]})
    else:
        _print(found)


def _summary(found: list[Compared]) -> Counter[tuple[str, str]]:
    return Counter((item.past.came_to, _came_to(item)) for item in found)


def _came_to(item: Compared) -> str:
    return "refused" if isinstance(item.draft, Refusal) else item.draft.came_to


def _needed(action: Action) -> str:
    requirement = action.requirement
    steps = "".join(f"; later {step}" for step in requirement.escalation)
    return f"{quorum_tree.in_words(requirement.tree)}, ratio {requirement.required_ratio}{steps}"


def _told(action: Action, came_to: str) -> dict[str, Any]:
    return {
        "policy_name": action.policy_name,
        "needed": _needed(action),
        "timeout_seconds": action.timeout_seconds,
        "auto_execute": action.auto_execute,
        "came_to": came_to,
    }


def _as_json(item: Compared) -> dict[str, Any]:
    action = item.past.action
    if isinstance(item.draft, Refusal):
        by_draft: dict[str, Any] = {
            "refusal": {"code": item.draft.code.value, "sentence": item.draft.sentence},
            "came_to": "refused",
        }
    else:
        by_draft = _told(item.draft.action, item.draft.came_to)
    return {
        "action_id": action.id,
        "action_type": action.action_type,
        "created_at": action.created_at,
        "changed": item.changed,
        "was": _told(action, item.past.came_to),
        "draft": by_draft,
    }


def _print(found: list[Compared]) -> None:
    if not found:
        out.print("There are no actions yet.")
        return
    rows = ((was, by_draft, str(count)) for (was, by_draft), count in sorted(_summary(found).items()))
    print_table(("was", "by the draft", "actions"), rows)
    out.print()
    changed = [item for item in found if item.changed]
    others = sum(not item.changed and _row(item)[3] != _row(item)[4] for item in found)
    if changed:
        print_table(("action", "type", "was", "needed", "by the draft needed", "by the draft"), map(_row, changed))
    out.print(
        f"{len(changed)} of {len(found)} decisions change; of {others} others only who was needed (see --json). "
        "Votes that were refused are not known, and who would have voted otherwise is not either."
    )


def _row(item: Compared) -> tuple[str, ...]:
    action = item.past.action
    needed = item.draft.sentence if isinstance(item.draft, Refusal) else _needed(item.draft.action)
    return str(action.id), action.action_type, item.past.came_to, _needed(action), needed, _came_to(item)
