"""Reading policies, action types and remediation rules from YAML (or JSON) files, and putting them in force."""

from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from db.connect import Connection
from db.definitions import put_in_force
from domain import changing
from domain.changing import DefinitionError
from domain.definition import Kind
from domain.definitions import AnyDefinition
from workers.handlers.installed import InstalledHandler

_SECTIONS: dict[str, Kind] = {
    "policies": "policy",
    "action_types": "action_type",
    "remediation_rules": "remediation_rule",
}


Defined = tuple[Kind, AnyDefinition]
"""A definition and of which kind it is."""


class DefinitionFileError(ValueError):
    """A file of definitions that is not fully understood; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Change:
    """What applying a definition did: `version` is the new one, or None if it was in force already."""

    kind: Kind
    name: str
    version: int | None


def shipped() -> list[Defined]:
    """What a new installation starts with."""
    return parse(files("workers").joinpath("shipped.yaml").read_text(), "shipped.yaml")


def read(path: Path) -> list[Defined]:
    """The definitions in a file; raises `DefinitionFileError`, also for a file that cannot be read."""
    try:
        return parse(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionFileError(f"{path} cannot be read: {why_unreadable(error)}") from None


def why_unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Why a file cannot be read, without its name."""
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not text in UTF-8"


def parse(text: str, source: str) -> list[Defined]:
    """The definitions in a document; `source` is how its errors call it."""
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise DefinitionFileError(f"{source} is not YAML: {_yaml_problem(error)}") from None
    if not isinstance(document, dict) or not document or set(document) - set(_SECTIONS):
        found = ""
        if isinstance(document, dict) and document:
            found = f", but found {', '.join(sorted(str(name) for name in set(document) - set(_SECTIONS)))}"
        raise DefinitionFileError(
            f"{source}: expected an object with the list {', '.join(_SECTIONS)}, or several of them{found}"
        )
    return [
        (kind, _definition(kind, item, f"{source}: {section}[{number}]"))
        for section, kind in _SECTIONS.items()
        for number, item in enumerate(_list(document, section, source))
    ]


def _yaml_problem(error: YAMLError) -> str:
    """Where YAML is not understood and why, on one line."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _list(document: dict[str, Any], section: str, source: str) -> list[Any]:
    found = document.get(section, [])
    if not isinstance(found, list):
        raise DefinitionFileError(f"{source}: {section} must be a list")
    return found


def _definition(kind: Kind, item: Any, where: str) -> AnyDefinition:
    try:
        return changing.read(kind, _with_schema(item, where))
    except DefinitionError as error:
        name = f" ({item['name']})" if isinstance(item, dict) and isinstance(item.get("name"), str) else ""
        raise DefinitionFileError(f"{where}{name} {error}") from None


def _with_schema(item: Any, where: str) -> Any:
    """An action type that has a handler takes, unless it says so itself, the params that its handler takes."""
    if not isinstance(item, dict) or not isinstance(item.get("handler"), str) or "params_schema" in item:
        return item
    try:
        return item | {"params_schema": InstalledHandler(item["handler"]).params_schema()}
    except ValueError as error:
        raise DefinitionFileError(f"{where}: {error} Or write down its params_schema.") from None


def apply(conn: Connection, definitions: list[Defined], by: str) -> list[Change]:
    """Put definitions in force, all of them or none; needs the rights of the database's owner."""
    with conn.transaction():
        return [
            Change(kind, item.name, put_in_force(conn, kind, item.name, written(item), by))
            for kind, item in definitions
        ]


def written(definition: AnyDefinition) -> dict[str, Any]:
    """A definition as it is stored and agreed to: in full, every default with its value."""
    return definition.model_dump(mode="json")


def text(body: dict[str, Any] | None) -> str:
    """A definition as text in which versions can be compared line by line: YAML with its fields in the order of their names."""
    if body is None:
        return ""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    lines = StringIO()
    yaml.dump(body, lines)
    return lines.getvalue()
