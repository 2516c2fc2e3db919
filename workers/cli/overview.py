"""Commands that look over many actions: what waits for whom, what a person did, and figures."""

from typing import Annotated, Any

import typer
from rich.text import Text

from db import read
from domain import duration
from workers.cli.console import AsJson, coloured, fail, shown, when
from workers.cli.context import Data, open_reader
from workers.cli.paging import After, Limit, Offset, print_rows, told_of_cursors

votes = typer.Typer(help="Who voted what.", no_args_is_help=True)

Person = Annotated[str, typer.Argument(help="The person, as the directory calls them; or a machine.")]


def pending(
    roles: Annotated[list[str] | None, typer.Option("--role", help="What asks this role; may be repeated.")] = None,
    person: Annotated[str | None, typer.Option("--person", help="What names this person, too.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    after: After = None,
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Actions that wait for the vote of a role, or of a person who is named one by one, the newest first."""
    if not roles and not person:
        fail("Say whose votes are waited for: --role ROLE, or --person PERSON for those who are named one by one.")
    with open_reader(data) as conn, told_of_cursors():
        found = read.get_pending_actions(conn, roles or [], limit, offset, after=after, person=person)
    columns = ("id", "type", "target", "status", "for", "against", "quorum", "by", "expires (UTC)")
    print_rows(found, columns, _pending_row, "No action waits for them.", limit, as_json=as_json)


def action_history(
    person: Person,
    limit: Limit = 50,
    offset: Offset = 0,
    after: After = None,
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Actions that somebody created, triggered through a machine, or had executed, the newest first."""
    with open_reader(data) as conn, told_of_cursors():
        found = read.get_user_action_history(conn, person, limit, offset, after=after)
    columns = ("created (UTC)", "id", "type", "target", "status", "part")
    print_rows(found, columns, _action_row, f"{shown(person)} had no part in any action.", limit, as_json=as_json)


@votes.command("history")
def vote_history(
    person: Person,
    limit: Limit = 50,
    offset: Offset = 0,
    after: After = None,
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """The newest vote of somebody on each action, the last first, and what became of the action."""
    with open_reader(data) as conn, told_of_cursors():
        found = read.get_user_vote_history(conn, person, limit, offset, after=after)
    columns = ("voted (UTC)", "action", "type", "target", "vote", "action is", "comment")
    print_rows(found, columns, _vote_row, f"{shown(person)} has not voted.", limit, as_json=as_json)


def stats(*, as_json: AsJson = False, data: Data = None) -> None:
    """Of each action type how many were asked for, approved, rejected and expired without a decision, and how soon."""
    with open_reader(data) as conn:
        found = read.get_approval_stats(conn)
    columns = ("type", "total", "approved", "rejected", "expired", "to a decision", "approval rate")
    print_rows(found, columns, _stats_row, "No actions.", as_json=as_json)


def summary(*, as_json: AsJson = False, data: Data = None) -> None:
    """How many actions of each type wait for votes, in each state, and since when the oldest does."""
    with open_reader(data) as conn:
        found = read.get_pending_summary(conn)
    columns = ("type", "status", "actions", "oldest (UTC)")
    print_rows(found, columns, _summary_row, "No action waits for votes.", as_json=as_json)


def _target(row: dict[str, Any]) -> str:
    return f"{row['target_tenant_type'] or ''} {row['target_tenant_id'] or ''}".strip()


def _pending_row(row: dict[str, Any]) -> tuple[str | Text, ...]:
    quorum = "filled" if row["quorum_satisfied"] else "open"
    counts = (str(row["votes_approve"]), str(row["votes_reject"]), quorum)
    place = (str(row["id"]), row["action_type"], _target(row), coloured(row["status"]))
    return (*place, *counts, row["created_by"], when(row["expires_at"]))


def _action_row(row: dict[str, Any]) -> tuple[str | Text, ...]:
    place = (when(row["created_at"]), str(row["id"]), row["action_type"], _target(row))
    return (*place, coloured(row["status"]), row["part"])


def _vote_row(row: dict[str, Any]) -> tuple[str | Text, ...]:
    place = (when(row["cast_at"]), str(row["action_id"]), row["action_type"], _target(row))
    return (*place, row["vote"], coloured(row["action_status"]), row["comment"] or "")


def _stats_row(row: dict[str, Any]) -> tuple[str | Text, ...]:
    seconds, rate = row["average_seconds_to_decision"], row["approval_rate"]
    counts = (str(row[name]) for name in ("total", "approved", "rejected", "expired"))
    return (
        row["action_type"],
        *counts,
        "" if seconds is None else duration.in_words(round(seconds)),
        "" if rate is None else str(rate),
    )


def _summary_row(row: dict[str, Any]) -> tuple[str | Text, ...]:
    return (row["action_type"], coloured(row["status"]), str(row["count"]), when(row["oldest"]))
