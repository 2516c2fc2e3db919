"""How two versions of a definition differ, line by line."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import unified_diff
from typing import Any

from rich.text import Text

from domain.definition import Kind
from workers.cli.console import out, print_json, shown
from workers.definition_files import text

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class Compared:
    """Two versions of a definition, by their numbers, and a unified diff of them; empty if they are the same."""

    kind: Kind
    name: str
    before: int
    after: int
    diff: str


def compared(
    kind: Kind, name: str, before: tuple[int, dict[str, Any] | None], after: tuple[int, dict[str, Any] | None]
) -> Compared:
    """Compare two versions, each its number and body; a body of None is nothing in force."""
    old_name, new_name = (f"{kind} {name} version {number}" if body else "nothing" for number, body in (before, after))
    old, new = (text(body).splitlines() for _, body in (before, after))
    lines = unified_diff(old, new, old_name, new_name, lineterm="")
    return Compared(kind, name, before[0], after[0], "\n".join(lines))


def print_differences(found: Sequence[Compared], *, as_json: bool) -> None:
    """Differences for people, in colour, or for programs."""
    if as_json:
        print_json([asdict(each) for each in found])
        return
    print_lines([line for each in found for line in each.diff.splitlines()])


def print_lines(diff: Sequence[str], indent: str = "") -> None:
    """The lines of differences for people, in colour."""
    for line in diff or ["Nothing differs."]:
        out.print(Text(f"{indent}{shown(line)}", _STYLES.get(line[:1], "")))
