"""Commands for messages that were not applied: looking into them, trying them again, giving them up."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated, Any, NoReturn

import typer

from db import inbox
from db.connect import Connection
from db.load import Loader
from domain.engine import Drop
from domain.messages import UNSETTLED, Outcome, Receipt
from domain.refusals import Code
from workers.apply import Applier
from workers.cli.console import REFUSED, AsJson, coloured, fail, me, out, print_json, print_table, shown, when
from workers.cli.context import Data, open_queue, open_reader, settings_for
from workers.envelope import claimed
from workers.queue import enqueue

messages = typer.Typer(help="Messages that were not applied: dead letters and the quarantine.", no_args_is_help=True)

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Messages, by the id that `list` shows.")]
States = Annotated[list[Outcome] | None, typer.Option("--state", help="All in this state; may be repeated.")]
OnlyCode = Annotated[
    Code | None,
    typer.Option("--code", metavar="CODE", help="Of these only those with this code; see docs/refusals.md."),
]

_PAGE = 500
"""How many are worked on at once: each takes a lock."""


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
        message = inbox.get_message(conn, message_id)
    if message is None:
        _fail_unknown([message_id])
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
            told_at = f"{when(message[name])} UTC" if name.endswith("_at") else message[name]
            out.print(f"  {name:<14}", shown(told_at))
    out.print(f"  {'content_sha256':<14}", message["content_sha256"].hex())
    if told is not None:
        signed = "says" if message["issuer"] else "claims to say"
        out.print(f"  {signed:<14}", shown(json.dumps(told, ensure_ascii=False)))
    elif message["excerpt"]:
        out.print(f"  {'begins with':<14}", shown(message["excerpt"]))


@messages.command("requeue")
def requeue(ids: Ids = None, states: States = None, code: OnlyCode = None, *, data: Data = None) -> None:
    """Try messages again, once what kept them from being applied is mended. However often: each is applied once."""
    queue = open_queue(settings_for(data))
    requeued = 0
    kept: dict[int, str] = {}
    with open_reader(data) as conn:
        chosen = _chosen(conn, ids, states, code)
        for page in _pages(chosen):
            tokens = inbox.get_tokens(conn, [row["id"] for row in page if row["outcome"] in UNSETTLED])
            enqueue(queue, list(tokens.values()))
            requeued += len(tokens)
            kept |= {row["id"]: _why_not(row) for row in page if row["id"] not in tokens}
    _report("requeued", requeued, chosen, kept)


def _why_not(row: dict[str, Any]) -> str:
    if row["outcome"] in UNSETTLED:
        return "its content was not kept; have its sender send it again"
    return f"it has its answer, {row['outcome']}"


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
    if not why.isprintable():
        fail("--why: write one line of printable text.")
    kept: dict[int, str] = {}
    with open_reader(data) as conn:
        chosen = _chosen(conn, ids, states, code)
        settings = settings_for(data)
        loader = Loader(settings.audience, settings.limits, settings.recommendation_threshold)
        applier = Applier(lambda: nullcontext(conn), loader)
        for page in _pages(chosen):
            receipts = applier.apply([Drop(row["content_sha256"], me(), why) for row in page]).receipts
            answers = zip(page, receipts, strict=True)
            kept |= {row["id"]: _told(receipt) for row, receipt in answers if receipt.code is not Code.DROPPED}
    _report("dropped", len(chosen) - len(kept), chosen, kept)


def _told(receipt: Receipt) -> str:
    if receipt.code is Code.DEAD_LETTER and not receipt.content_sha256:
        return "it could not be changed; the log above says why"
    return f"it has its answer, {receipt.outcome}"


def _pages(chosen: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(chosen), _PAGE):
        yield chosen[start : start + _PAGE]


def _report(done: str, count: int, chosen: list[dict[str, Any]], kept: dict[int, str]) -> None:
    """How many it was done with, why not with the others, and exit code 1 if there were any."""
    out.print(f"{count} of {len(chosen)} {done}.")
    for message_id, reason in kept.items():
        out.print(f"  {message_id}: {reason}.")
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
        _fail_unknown(missing)
    return found


def _fail_unknown(ids: list[int]) -> NoReturn:
    fail(f"There is no message {', '.join(map(str, ids))}. See `ops-approval messages list`.", REFUSED)
