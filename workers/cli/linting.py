"""The command that says what is doubtful about definitions."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from db import look
from domain.definitions import Definitions
from domain.lint import Doubt, Severity, lint
from workers import definition_changes
from workers.cli.console import REFUSED, AsJson, coloured, out, print_json, print_table
from workers.cli.context import Data, open_reader
from workers.cli.policies import read_definitions

File = Annotated[
    Path | None, typer.Argument(help="A file of definitions, for itself and without a database; else what is in force.")
]


def lint_policies(file: File = None, *, as_json: AsJson = False, data: Data = None) -> None:
    """What is doubtful about policies and remediation rules, and what to do: those in force, or those of a file.

    Exit code 1 if there is an error or a warning; notes are no reason to stop.
    """
    if file is not None:
        found = lint(definition_changes.drafted(Definitions(), read_definitions(file)), None)
    else:
        with open_reader(data) as conn:
            world = look.world(conn, None)
        found = lint(world.definitions, world)
    if as_json:
        print_json([asdict(doubt) for doubt in found])
    elif not found:
        out.print("Nothing is doubtful.")
    else:
        told = ((coloured(doubt.severity), _named(doubt), doubt.code, doubt.sentence) for doubt in found)
        print_table(("", "definition", "code", ""), told)
    if any(doubt.severity is not Severity.NOTE for doubt in found):
        raise typer.Exit(REFUSED)


def _named(doubt: Doubt) -> str:
    return f"{doubt.kind.replace('_', ' ')} {doubt.name}"
