"""Commands for messages that were not applied: looking into them, trying them again, giving them up."""

import json
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from db import inbox
from db.connect import Connection
from db.load import Loader
from domain.engine import Drop
from domain.messages import UNSETTLED, Outcome
from domain.refusals import Code
from workers.apply import Applier
from workers.cli.console import REFUSED, AsJson, coloured, fail, me, out, print_json, print_table, shown, when
from workers.cli.context import Data, open_queue, open_reader, settings_for
from workers.envelope import claimed
from workers.queue import enqueue

messages = typer.Typer(help="Messages that were not applied: dead letters and the quarantine.", no_args_is_help=True)

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Messages, by the id that `list` shows.")]
States = Annotated[list[Outcome] | None, typer.Option("--state", help="All in this state; may be repeated.")]
OnlyCode = Annotated[Code | None, typer.Option("--code", help="Of these only those with this code.")]


@messages.command("list")
def list_messages(
    states: States = None,
    code: OnlyCode = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Dead and quarantined messages, the newest first; with --state those in other states."""
    with open_reader(data) as conn:
        found = inbox.find_messages(conn, states or sorted(UNSETTLED), code, limit)
    if as_json:
        print_json(found)
    elif not found:
        out.print("No messages." if states or code else "No dead or quarantined messages.")
    else:
        columns = ("id", "received (UTC)", "state", "code", "type", "issuer", "")
        print_table(
            columns,
            (
                (
                    str(row["id"]),
                    when(row["received_at"]),
                    coloured(row["outcome"]),
                    row["code"] or "",
                    row["type"] or "",
                    row["issuer"] or "",
                    row["sentence"],
                )
                for row in found
            ),
        )


@messages.command("show")
def show_message(
    message_id: Annotated[int, typer.Argument(metavar="ID", help="The message, by the id that `list` shows.")],
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Everything that is kept of a message; what it says too, though nobody may have signed it."""
    with open_reader(data) as conn:
        (message,) = _by_ids(conn, [message_id])
    told = claimed(message["token"]) if message["token"] else None
    if as_json:
        print_json({name: value for name, value in message.items() if name != "token"} | {"claims": told})
        return
    out.print(coloured(message["outcome"]), shown(message["sentence"]))
    names = (
        "code",
        "type",
        "issuer",
        "jti",
        "kid",
        "action_id",
        "issued_at",
        "expires_at",
        "received_at",
        "answered_at",
    )
    for name in names:
        if message[name] is not None:
            out.print(f"  {name:<14}", shown(message[name]))
    out.print(f"  {'content_sha256':<14}", message["content_sha256"].hex())
    if told is not None:
        signed = "says" if message["issuer"] else "claims to say"
        out.print(f"  {signed:<14}", shown(json.dumps(told, ensure_ascii=False)))
    elif message["excerpt"]:
        out.print(f"  {'begins with':<14}", shown(message["excerpt"]))


@messages.command("requeue")
def requeue(ids: Ids = None, states: States = None, code: OnlyCode = None, *, data: Data = None) -> None:
    """Try messages again, once what kept them from being applied is mended. However often: each is applied once."""
    with open_reader(data) as conn:
        chosen = _chosen(conn, ids, states, code)
    tokens = [row["token"] for row in chosen if row["outcome"] in UNSETTLED and row["token"]]
    enqueue(open_queue(settings_for(data)), tokens)
    out.print(f"{len(tokens)} of {len(chosen)} requeued.")
    for row in chosen:
        if row["outcome"] not in UNSETTLED:
            out.print(f"  {row['id']}: it has its answer, {row['outcome']}.")
        elif not row["token"]:
            out.print(f"  {row['id']}: its content was not kept; have its sender send it again.")
    if len(tokens) < len(chosen):
        raise typer.Exit(REFUSED)


@messages.command("drop")
def drop(
    why: Annotated[str, typer.Option(help="The reason; it stands in the receipt.")],
    ids: Ids = None,
    states: States = None,
    code: OnlyCode = None,
    *,
    data: Data = None,
) -> None:
    """Give messages up: they are refused as dropped, for good, whoever sends them again."""
    with open_reader(data) as conn:
        chosen = _chosen(conn, ids, states, code)
        applier = Applier(lambda: nullcontext(conn), Loader(settings_for(data).audience))
        drops = [Drop(row["content_sha256"], me(), why) for row in chosen]
        receipts = applier.apply(drops).receipts
    kept = [(row, receipt) for row, receipt in zip(chosen, receipts, strict=True) if receipt.code is not Code.DROPPED]
    out.print(f"{len(chosen) - len(kept)} of {len(chosen)} dropped.")
    for row, receipt in kept:
        out.print(f"  {row['id']}: it has its answer, {receipt.outcome}.")
    if kept:
        raise typer.Exit(REFUSED)


def _chosen(
    conn: Connection, ids: list[int] | None, states: list[Outcome] | None, code: Code | None
) -> list[dict[str, Any]]:
    """The messages that somebody named one by one, or all in a state."""
    if bool(ids) == bool(states):
        fail("Name messages by their ids, or all of a state with --state dead or --state quarantined.")
    if states:
        ids = [row["id"] for row in inbox.find_messages(conn, states, code)]
    return [row for row in _by_ids(conn, ids or []) if code is None or row["code"] == code]


def _by_ids(conn: Connection, ids: list[int]) -> list[dict[str, Any]]:
    found = inbox.get_messages(conn, ids)
    if missing := sorted(set(ids) - {row["id"] for row in found}):
        fail(f"There is no message {', '.join(map(str, missing))}. See `ops-approval messages list`.", REFUSED)
    return found
