"""Commands that tell which actions can be asked for, and what each takes."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from db.definitions import load_definitions
from domain.action_type import ActionType
from domain.definitions import Versioned
from workers import definition_files
from workers.cli.console import REFUSED, AsJson, fail, out, print_json, print_table, shown
from workers.cli.context import Data, open_reader

types = typer.Typer(help="Which actions there are, and what each takes.", no_args_is_help=True)


@types.command("list")
def list_types(*, as_json: AsJson = False, data: Data = None) -> None:
    """The action types in force, by name, with the params that each must have; version 0 is the engine's own."""
    found = _in_force(data)
    if as_json:
        print_json([_json(item) for item in found.values()])
        return
    columns = ("action type", "version", "risk", "params", "target", "service")
    print_table(columns, (_row(item) for item in found.values()))


@types.command("show")
def show_type(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The action type, for example FREEZE_MERCHANT.")],
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """One action type in full, every default with its value, as a file of definitions would say it."""
    found = _in_force(data)
    if name not in found:
        fail(f"No action type {shown(name)} is in force. There are {', '.join(map(shown, found))}.", REFUSED)
    if as_json:
        print_json(_json(found[name]))
    else:
        out.print(f"version {found[name].version}", style="dim")
        for line in definition_files.text(definition_files.written(found[name].definition)).splitlines():
            out.print(shown(line))


def _in_force(data: Path | None) -> dict[str, Versioned[ActionType]]:
    with open_reader(data) as conn:
        return dict(sorted(load_definitions(conn).action_types_in_force.items()))


def _json(item: Versioned[ActionType]) -> dict[str, Any]:
    return definition_files.written(item.definition) | {"version": item.version}


def _row(item: Versioned[ActionType]) -> tuple[str, ...]:
    kind = item.definition
    target = f"{kind.target.tenant_type} {kind.target.param}" if kind.target else ""
    return (
        kind.name,
        str(item.version),
        kind.minimum_risk_level,
        _params(kind),
        target,
        kind.service or f"handler {kind.handler}",
    )


def _params(kind: ActionType) -> str:
    """The params that must be there, with what each is; those that may be are marked `?`."""
    if kind.params_schema is None:
        return "any"
    known = kind.params_schema.get("properties", {})
    required = kind.params_schema.get("required", [])
    told = [f"{name}: {_shape(known.get(name, {}))}" for name in required]
    told += [f"{name}?: {_shape(shape)}" for name, shape in known.items() if name not in required]
    return ", ".join(told) or "see `types show`"


def _shape(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "any"
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else kind
