"""Commands of whoever owns the installation: the schema, policies and action types."""

from pathlib import Path
from typing import Annotated, Any

import typer

from db import read, schema
from db.schema import SchemaError
from domain import quorum_tree
from domain.conditions import in_words
from domain.policy import Policy
from workers import definition_files
from workers.cli.console import REFUSED, AsJson, fail, me, must_bring, out, print_json, print_table
from workers.cli.context import Data, open_owner, open_reader

database = typer.Typer(help="The database's schema.", no_args_is_help=True)
policies = typer.Typer(help="Who must agree to what.", no_args_is_help=True)


@database.command("init")
def init(*, data: Data = None) -> None:
    """Apply the schema and the shipped policies to an empty database; does nothing to one that has them."""
    with open_owner(data) as conn:
        try:
            applied = schema.init(conn)
            schema.check(conn)
        except SchemaError as error:
            fail(str(error))
        if applied:
            changes = definition_files.apply(conn, definition_files.shipped(), by=me())
            out.print(f"The schema is applied, with {len(changes)} shipped policies and action types.")
            out.print(
                "Next: `ops-approval keys create` for each producer, then `ops-approval directory sync`.", style="dim"
            )
        else:
            out.print("The schema is there already; nothing was changed.")


@database.command("check")
def check(*, data: Data = None) -> None:
    """Say whether the database has the schema that this release needs."""
    with open_owner(data) as conn:
        try:
            schema.check(conn)
        except SchemaError as error:
            fail(str(error), REFUSED)
    out.print(f"The schema is version {schema.VERSION}, as this release needs it.")


@policies.command("apply")
def apply_policies(
    file: Annotated[Path, typer.Argument(help="YAML or JSON with the lists policies and action_types.")],
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Put the definitions of a file in force, all or none; open actions keep the ones they were created under."""
    try:
        definitions = definition_files.read(file)
    except definition_files.DefinitionFileError as error:
        fail(f"{error}. Nothing was changed.")
    with open_owner(data) as conn:
        changes = definition_files.apply(conn, definitions, by=me())
    if as_json:
        print_json([{"kind": change.kind, "name": change.name, "version": change.version} for change in changes])
        return
    for change in changes:
        what = f"is now version {change.version}" if change.version else "was in force already"
        out.print(f"{change.kind.replace('_', ' ')} {change.name} {what}.")


@policies.command("list")
def list_policies(*, as_json: AsJson = False, data: Data = None) -> None:
    """The policies in the order in which they are asked; the first match counts, then the default: two ops_admin."""
    with open_reader(data) as conn:
        found = read.list_policies(conn)
    if as_json:
        print_json([row["body"] | {"version": row["version"]} for row in found])
        return
    columns = (
        "priority",
        "name",
        "version",
        "enabled",
        "for",
        "must agree",
        "ratio",
        "within",
        "escalates to",
        "votes bring",
    )
    print_table(columns, (_policy_row(row) for row in found))


def _policy_row(row: dict[str, Any]) -> tuple[str, ...]:
    policy = Policy.model_validate(row["body"])
    rules = policy.policy
    return (
        str(policy.priority),
        policy.name,
        str(row["version"]),
        "yes" if policy.enabled else "no",
        in_words(policy.parsed_criteria.conditions) or "every action",
        quorum_tree.in_words(rules.tree),
        str(rules.required_ratio),
        f"{rules.timeout_seconds} s",
        "; then ".join(f"{step} for {step.timeout_seconds} s" for step in rules.steps(rules.timeout_seconds)),
        must_bring(rules),
    )
