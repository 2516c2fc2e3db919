"""Lists that are read in pages: what the commands ask for, and how a page is shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.text import Text

from db.read.pages import FURTHEST_OFFSET, MOST_ROWS
from workers.cli.console import fail, out, print_json, print_table

Limit = Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="At most so many.")]
Offset = Annotated[int, typer.Option(min=0, max=FURTHEST_OFFSET, help="Pass over so many first.")]
After = Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on after the row with this cursor.")]


@contextmanager
def told_of_cursors() -> Iterator[None]:
    """Whoever asks for a page that there cannot be is told why."""
    try:
        yield
    except ValueError as error:
        fail(f"{str(error)[0].upper()}{str(error)[1:]}.")


def print_rows(
    found: list[dict[str, Any]],
    columns: tuple[str, ...],
    row_of: Callable[[dict[str, Any]], tuple[str | Text, ...]],
    nothing: str,
    limit: int | None = None,
    *,
    as_json: bool,
) -> None:
    """A list for people or for programs; where a page is full, with the cursor from which the next one goes on."""
    if as_json:
        print_json(found)
    elif not found:
        out.print(nothing)
    else:
        print_table(columns, map(row_of, found))
        if len(found) == limit:
            out.print(f"There may be more: --after {found[-1]['cursor']}", style="dim")
