"""Commands that tell which policies are in force, and what each says."""

from typing import Annotated, Any

import typer

from db import read
from domain import duration, quorum_tree
from domain.conditions import in_words
from domain.policy import Policy
from workers.cli.console import (
    REFUSED,
    AsJson,
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


def list_policies(*, as_json: AsJson = False, data: Data = None) -> None:
    """The policies in the order in which they are asked; the first match counts, then the default: two ops_admin.

    `policies show` tells one of them in full.
    """
    with open_reader(data) as conn:
        found = read.list_policies(conn)
    if as_json:
        print_json([_as_json(row) for row in found])
        return
    columns = ("priority", "policy", "for", "must agree", "within")
    print_table(columns, (_row(Policy.model_validate(row["body"])) for row in found), shorten=("for", "must agree"))


def show_policy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The policy's name.")],
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """One policy in force: for which actions, who must agree and within which time, and what else it asks for."""
    with open_reader(data) as conn:
        found = read.get_policy(conn, name)
    if found is None:
        fail(f"There is no policy {shown(name)} in force. See `ops-approval policies list`.", REFUSED)
    if as_json:
        print_json(_as_json(found))
    else:
        _print(Policy.model_validate(found["body"]), found["version"])


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {**row["body"], "version": row["version"]}


def _for(policy: Policy) -> str:
    return in_words(policy.parsed_criteria.conditions) or "every action"


def _row(policy: Policy) -> tuple[str, ...]:
    priority = str(policy.priority) if policy.enabled else "disabled"
    within = duration.in_words(policy.policy.timeout_seconds)
    return priority, policy.name, _for(policy), quorum_tree.in_words(policy.policy.tree), within


_EXECUTES = {
    True: "by itself, once approved, unless its message forbids it",
    False: "when somebody asks for it, once approved",
    None: "by itself, once approved, if its message says so; else when somebody asks for it",
}


def _print(policy: Policy, version: int) -> None:
    rules = policy.policy
    good_for = duration.in_words(rules.execute_within_seconds)
    out.print(shown(policy.name), style="bold", end="")
    out.print("" if policy.enabled else " disabled")
    print_facts(
        {
            "says": policy.description,
            "version": version,
            "priority": str(policy.priority),
            "for": _for(policy),
            "must agree": f"{quorum_tree.in_words(rules.tree)}, ratio {rules.required_ratio}",
            "within": duration.in_words(rules.timeout_seconds),
            "escalates": steps_in_words(rules.steps(rules.timeout_seconds)),
            "votes bring": must_bring(rules),
            "may veto": ", ".join(rules.veto_roles),
            "may alone": rules.break_glass,
            "creators": "may approve what they asked for" if rules.allow_self_approval else "",
            "executes": f"{_EXECUTES[rules.auto_execute]}; the approval is good for {good_for}",
        }
    )
