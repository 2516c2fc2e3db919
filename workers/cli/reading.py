"""Commands that read: actions, their trails, receipts."""

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from db import read
from db.connect import Connection
from db.invariants import snapshot
from domain import trail as trails
from domain.lifecycle import OPEN, Status
from domain.trail import Event, EventName
from workers.cli.console import REFUSED, AsJson, coloured, fail, out, print_json, print_table, shown, when
from workers.cli.context import Data, action_argument, open_reader
from workers.invariants import trail_problems

actions = typer.Typer(help="What was asked for, and what became of it.", no_args_is_help=True)
receipts = typer.Typer(help="The engine's answers to messages.", no_args_is_help=True)

ActionId = Annotated[UUID, action_argument("The action.")]
_UNFINISHED = OPEN | {Status.APPROVED, Status.EXECUTING, Status.OUTCOME_UNKNOWN}

RATIFIED = {
    EventName.GLASS_BROKEN: "not ratified yet",
    EventName.RATIFIED: "ratified",
    EventName.RATIFICATION_REFUSED: "ratification refused",
}
"""What others have said so far of what one person approved alone."""


@actions.command("list")
def list_actions(
    status: Annotated[list[Status] | None, typer.Option(help="Only these states; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    *,
    every: Annotated[bool, typer.Option("--all", help="Finished ones too.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Unfinished actions: unknown outcomes first, then the newest first."""
    with open_reader(data) as conn:
        found = read.list_actions(conn, status or (list(Status) if every else sorted(_UNFINISHED)), limit)
    if as_json:
        print_json(found)
    elif not found:
        out.print("No actions." if every or status else "No unfinished actions. See finished ones with --all.")
    else:
        columns = ("id", "type", "target", "status", "for", "against", "by", "expires (UTC)")
        print_table(columns, (_list_row(row) for row in found))


def _list_row(row: dict[str, Any]) -> tuple[str | Text, ...]:
    target = f"{row['target_tenant_type'] or ''} {row['target_tenant_id'] or ''}".strip()
    votes = (str(row["votes_approve"]), str(row["votes_reject"]))
    status = coloured(row["status"])
    if row["unreachable"]:
        status.append(", unreachable")
    if row["glass"] is not None:
        status.append(f", {RATIFIED[row['glass']]}", style=coloured(row["glass"]).style)
    until = when(_expires_at(row))
    return (str(row["id"]), row["action_type"], target, status, *votes, row["created_by"], until)


def _expires_at(row: dict[str, Any]) -> datetime | None:
    """When an action expires if nobody does anything: what was approved has a deadline of its own, what is over has none."""
    waits_to_be_executed = row["status"] == Status.APPROVED and row["next_attempt_at"] is None
    expires_at: datetime | None = row["due_at"] if waits_to_be_executed else row["expires_at"]
    return expires_at if waits_to_be_executed or row["status"] in OPEN else None


@actions.command("trail")
def trail(action_id: ActionId, *, as_json: AsJson = False, data: Data = None) -> None:
    """Everything that happened to an action; says so if the trail is not what was written."""
    with open_reader(data) as conn, snapshot(conn):
        events = read.get_audit_trail(conn, action_id)
        problems = trail_problems(conn, action_id)
    if not events:
        fail(f"There is no action {action_id}.", REFUSED)
    if as_json:
        print_json([event_json(event) for event in events])
    else:
        print_table(("at (UTC)", "event", "by", "of it"), (_event_row(event) for event in events))
    if problems:
        fail(
            f"The trail is broken: {'; '.join(problems)}. Somebody changed the database by hand; keep it as it is and find out who.",
            REFUSED,
        )


def event_json(event: Event) -> dict[str, Any]:
    """An event as callers read it."""
    return {
        "seq": event.seq,
        "event": event.event.value,
        "actor": event.actor,
        "at": trails.timestamp(event.at),
        "data": event.data,
        "hash": event.hash.hex(),
    }


def _event_row(event: Event) -> tuple[str | Text, ...]:
    names = ("vote", "comment", "reason", "step", "role", "attempt", "agreed_in", "policy_name")
    told = ", ".join(f"{name} {event.data[name]}" for name in names if event.data.get(name) is not None)
    if lacking := event.data.get("missing"):
        told += f"{', ' if told else ''}missing {' and '.join(lacking)}"
    return when(event.at), coloured(event.event.value), event.actor, told


@receipts.command("show")
def show_receipts(
    name: Annotated[
        str,
        typer.Argument(
            metavar="JTI|SHA256|ACTION", help="A message's jti, its token's SHA-256, or an action's id for all of its."
        ),
    ],
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """What became of a message, or of all messages that concerned an action."""
    with open_reader(data) as conn:
        found = _find_receipts(conn, name)
    if not found:
        fail(
            f"No message {name} was received yet. If it was sent, is a worker running? Sending it again is safe.",
            REFUSED,
        )
    if as_json:
        print_json(found)
        return
    rows = (
        (when(row["received_at"]), row["type"] or "", coloured(row["outcome"]), row["code"] or "", row["sentence"])
        for row in found
    )
    print_table(("received (UTC)", "type", "outcome", "code", ""), rows)


def _find_receipts(conn: Connection, name: str) -> list[dict[str, Any]]:
    if found := read.find_receipts(conn, name):
        return found
    if re.fullmatch(r"[0-9a-f]{64}", name):
        receipt = read.get_receipt(conn, bytes.fromhex(name))
        return [receipt] if receipt else []
    try:
        return read.get_receipts_of_action(conn, UUID(name))
    except ValueError:
        return []


def list_people(*, as_json: AsJson = False, data: Data = None) -> None:
    """Everybody in the newest snapshot, with the roles they hold and whom they may act for now."""
    with open_reader(data) as conn:
        found = read.list_people(conn)
    if as_json:
        print_json(found)
    elif not found:
        out.print("The directory is empty. Send it with `ops-approval directory sync FILE`.")
    else:
        told = ((row["id"], row["name"] or "", " ".join(row["roles"]), " ".join(row["acts_for"])) for row in found)
        print_table(("person", "name", "roles", "acts for"), told)


def list_holders(
    role: Annotated[str, typer.Argument(help="The role, for example finance_ops.")],
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Who holds a role now, and who may act for them."""
    with open_reader(data) as conn:
        found = read.list_holders(conn, role)
    if as_json:
        print_json(found)
    elif not found:
        out.print(f"Nobody holds {shown(role)}. See `ops-approval directory list`.")
    else:
        columns = ("person", "acts for", "since (UTC)", "until (UTC)")
        told = ((row["id"], row["acts_for"] or "", when(row["starts_at"]), when(row["ends_at"])) for row in found)
        print_table(columns, told)
