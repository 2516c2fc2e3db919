"""The command that says what is doubtful about definitions."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from db import look
from domain.definitions import Definitions
from domain.lint import Doubt, Severity, lint
from domain.world import World
from workers import definition_changes
from workers.cli.console import REFUSED, AsJson, coloured, err, out, print_json, print_table
from workers.cli.context import NO_SCHEMA, Data, open_reader
from workers.cli.policies import read_definitions

File = Annotated[
    Path | None,
    typer.Argument(
        help="A file of definitions, on top of what is in force, or by itself if no installation answers; else what is in force."
    ),
]


def lint_policies(file: File = None, *, as_json: AsJson = False, data: Data = None) -> None:
    """What is doubtful about policies and remediation rules, and what to do: those in force, or those of a file.

    Exit code 1 if there is an error or a warning; notes are no reason to stop.
    """
    found = _of_what_is_in_force(data) if file is None else _of_a_file(file, data)
    if as_json:
        print_json([asdict(doubt) for doubt in found])
    elif not found:
        out.print("Nothing is doubtful.")
    else:
        told = ((coloured(doubt.severity), _named(doubt), doubt.code, doubt.sentence) for doubt in found)
        print_table(("", "definition", "code", ""), told)
    if any(doubt.severity is not Severity.NOTE for doubt in found):
        raise typer.Exit(REFUSED)


def _of_what_is_in_force(data: Path | None) -> list[Doubt]:
    world = _world(data)
    return lint(world.definitions, world)


def _of_a_file(file: Path, data: Path | None) -> list[Doubt]:
    """Doubts about the definitions of a file, and those about others that it is the reason for."""
    wanted = read_definitions(file)
    try:
        world = _world(data)
    except (psycopg.OperationalError, *NO_SCHEMA):
        _say(
            "No installation answers, so people, keys, and what is in force there were not looked at. Name its --data."
        )
        return lint(definition_changes.drafted(Definitions(), wanted), None)
    named, before = {(kind, item.name) for kind, item in wanted}, lint(world.definitions, world)
    after = lint(definition_changes.drafted(world.definitions, wanted), world)
    return [doubt for doubt in after if (doubt.kind, doubt.name) in named or doubt not in before]


def _world(data: Path | None) -> World:
    with open_reader(data) as conn:
        world = look.world(conn, None)
    if not world.directory.people and not world.directory.grants:
        _say("Nobody is in the directory yet, so people were not looked at.")
    return world


def _say(sentence: str) -> None:
    """What was not looked at; beside the findings, which programs read."""
    err.print(sentence, style="dim")


def _named(doubt: Doubt) -> str:
    return f"{doubt.kind.replace('_', ' ')} {doubt.name}"
