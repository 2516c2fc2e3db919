"""How the command line speaks: to people in plain sentences and colour, to programs in JSON, and with its exit code."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, NoReturn
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from domain import duration
from domain.policy import Rules
from domain.refusals import printable
from domain.requirement import EscalationStep, Requirement

REFUSED, WRONG_USE, UNAVAILABLE = 1, 2, 3
"""Exit codes beside 0. 3 is for servers that do not answer: nothing is known to have been done or refused."""

_WIDEST, _NARROWEST = 120, 20
"""How wide a table is where it can be kept to that, and a column that is cut short at least."""

out = Console(highlight=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]

COLOURS = {
    "applied": "green",
    "approved": "green",
    "executed": "green",
    "duplicate": "yellow",
    "parked": "yellow",
    "executing": "cyan",
    "refused": "red",
    "rejected": "red",
    "failed": "red",
    "expired": "red",
    "quarantined": "red",
    "dead": "red",
    "outcome_unknown": "bold red",
    "unknown": "bold red",
    "glass_broken": "yellow",
    "ratified": "green",
    "ratification_refused": "bold red",
    "succeeded": "green",
    "started": "cyan",
    "retry": "yellow",
    "ok": "green",
    "warning": "yellow",
    "problem": "bold red",
    "broken": "bold red",
    "error": "bold red",
}


def fail(sentence: str, code: int = WRONG_USE) -> NoReturn:
    """End with a sentence that says what is wrong and what to do next."""
    err.print(Text.assemble(("Error: ", "bold red"), shown(sentence)))
    raise typer.Exit(code)


def plain(value: Any) -> Any:
    """A value from the database as JSON knows it."""
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return float(value)
        case UUID():
            return str(value)
        case bytes():
            return value.hex()
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """One JSON document on standard output, and nothing else; what could rewrite a terminal is escaped.

    Without an indent it is one line.
    """
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False)
    typer.echo("".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text))


def coloured(word: str) -> Text:
    """A status or outcome in its colour, without the terminal's escapes where there is no terminal."""
    return Text(shown(word), style=COLOURS.get(word, ""))


def shown(value: Any) -> str:
    """Somebody's words on a terminal."""
    return printable(str(value))


def me() -> str:
    """Who types, as the system knows them: for the record of what was done here."""
    return os.environ.get("USER") or f"uid {os.getuid()}"


def when(moment: datetime | None) -> str:
    """A moment for people, in UTC to the second."""
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def must_bring(asks: Rules | Requirement) -> str:
    """What a vote must bring to be counted, with the options of `ops-approval vote` that see to it."""
    wanted = {
        "the content hash (--review)": asks.require_content_hash,
        "the voter's own key (--key)": asks.require_personal_key,
    }
    return " and ".join(words for words, asked in wanted.items() if asked)


def steps_in_words(steps: Iterable[EscalationStep]) -> str:
    """Escalation steps for people, each with its time."""
    return "; then ".join(f"{step} for {duration.in_words(step.timeout_seconds)}" for step in steps)


def print_facts(facts: Mapping[str, Any]) -> None:
    """What there is to say of one thing, a line for each fact that there is."""
    for name, value in facts.items():
        if value:
            out.print(f"  {name:<12}", shown(value))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], shorten: Sequence[str] = ()) -> None:
    """Rows under their column names, each on one line however narrow the terminal: ids are there to be copied.

    Of a table wider than 120 columns those named in `shorten` are cut short, the first one first.
    """
    heading = [Text(column, style="bold") for column in columns]
    lines = [heading, *([cell if isinstance(cell, Text) else Text(shown(cell)) for cell in row] for row in rows)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*lines, strict=True)]
    for number in map(columns.index, shorten):
        too_wide = sum(widths) + 2 * (len(widths) - 1) - _WIDEST
        widths[number] = min(widths[number], max(_NARROWEST, widths[number] - too_wide))
    for line in lines:
        for cell, width in zip(line, widths, strict=True):
            cell.truncate(width, overflow="ellipsis")
            cell.pad_right(width - cell.cell_len + 2)
        text = Text.assemble(*line)
        text.rstrip()
        out.print(text)
