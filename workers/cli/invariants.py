"""The command that holds an installation against its invariants."""

from typing import Any

import typer
from rich.text import Text

from db.invariants import Broken, Invariant
from workers import invariants as rules
from workers.cli.console import REFUSED, AsJson, coloured, err, fail, out, print_json, shown
from workers.cli.context import Data, open_reader
from workers.invariants import Progress

invariants = typer.Typer(help="What holds on every installation at every moment.", no_args_is_help=True)


@invariants.command("check")
def check(*, as_json: AsJson = False, data: Data = None) -> None:
    """Look for anything that breaks an invariant; changes nothing, and may run beside the workers."""
    found: list[tuple[Invariant, Broken | None]] = []
    with open_reader(data) as conn, err.status("") as status:

        def told(progress: Progress) -> None:
            counted = f" {progress.actions} actions so far." if progress.actions else ""
            status.update(Text(progress.sentence + counted))

        for invariant, broken in rules.check(conn, told):
            found.append((invariant, broken))
            if not as_json:
                _print(invariant, broken)
    if as_json:
        print_json([_as_json(invariant, broken) for invariant, broken in found])
    if count := sum(broken is not None for _, broken in found):
        fail(
            f"{count} of {len(found)} invariants are broken. Keep the database as it is, and find out what happened.",
            REFUSED,
        )


def _print(invariant: Invariant, broken: Broken | None) -> None:
    out.print(coloured("ok" if broken is None else "broken"), f" {invariant.number:>2}. {invariant.sentence}")
    if broken is not None:
        for violation in broken.violations:
            out.print("           ", shown(f"{violation.id} {violation.what}"))
        if (more := broken.count - len(broken.violations)) > 0:
            out.print("           ", f"and {more} more")


def _as_json(invariant: Invariant, broken: Broken | None) -> dict[str, Any]:
    violations = broken.violations if broken is not None else ()
    return {
        "number": invariant.number,
        "name": invariant.name,
        "sentence": invariant.sentence,
        "holds": broken is None,
        "count": broken.count if broken is not None else 0,
        "violations": [{"id": violation.id, "what": violation.what} for violation in violations],
    }
