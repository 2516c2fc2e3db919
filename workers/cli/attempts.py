"""Commands about attempts: the calls to the other side, and what each came to."""

from typing import Annotated

import typer

from db import read
from domain.action import AttemptState
from workers.cli.console import REFUSED, AsJson, coloured, fail, out, print_json, print_table, when
from workers.cli.context import Data, open_reader
from workers.cli.reading import ActionId

attempts = typer.Typer(help="Calls to the services, one by one.", no_args_is_help=True)


@attempts.command("list")
def list_attempts(
    states: Annotated[
        list[AttemptState] | None, typer.Option("--state", help="Only these states; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Attempts: those of which nobody knows first, then those under way, then the newest first."""
    with open_reader(data) as conn:
        found = read.list_attempts(conn, states or list(AttemptState), limit)
    if as_json:
        print_json(found)
    elif not found:
        out.print("No attempts.")
    else:
        columns = ("action", "type", "number", "state", "action is", "started (UTC)", "finished (UTC)", "reason")
        rows = (
            (
                str(row["action_id"]),
                row["action_type"],
                str(row["number"]),
                coloured(row["state"]),
                coloured(row["status"]),
                when(row["started_at"]),
                when(row["finished_at"]),
                row["reason"] or "",
            )
            for row in found
        )
        print_table(columns, rows)


@attempts.command("show")
def show_attempts(action_id: ActionId, *, as_json: AsJson = False, data: Data = None) -> None:
    """Every attempt at an action: who made it, how long its lease holds, what it came to."""
    with open_reader(data) as conn:
        found = read.get_attempts(conn, action_id)
        if not found and read.get_action_with_votes(conn, action_id) is None:
            fail(f"There is no action {action_id}.", REFUSED)
    if as_json:
        print_json(found)
    elif not found:
        out.print("No attempt was made yet.")
    else:
        columns = ("number", "state", "token", "by", "started (UTC)", "lease until (UTC)", "finished (UTC)", "reason")
        rows = (
            (
                str(row["number"]),
                coloured(row["state"]),
                str(row["token"]),
                row["worker"],
                when(row["started_at"]),
                when(row["lease_until"]),
                when(row["finished_at"]),
                row["reason"] or "",
            )
            for row in found
        )
        print_table(columns, rows)
