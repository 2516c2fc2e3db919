"""What most commands need: where the installation is, a connection, a producer, and waiting for an answer."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import psycopg
import redis
import typer

from db import connect, read
from domain.messages import AnyBody
from workers.brokers import make_broker
from workers.cli.console import REFUSED, UNAVAILABLE, coloured, fail, out, print_json, shown
from workers.envelope import SigningKey
from workers.producer import Producer, Ticket
from workers.queue import Queue
from workers.settings import Settings

NO_SCHEMA = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedObject)
"""What is raised where `ops-approval db init` was not run yet."""

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="OPS_APPROVAL_DATA",
        help="Data directory of `ops-approval up`; its servers and keys are used unless DATABASE_URL and REDIS_URL are set.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key", envvar="OPS_APPROVAL_KEY", help="Key file to sign with; by default one of the data directory's."
    ),
]
_MAKE_ACTIONS = frozenset({"CreateAction", "RemediateAlert", "RecommendAction"})
"""Messages whose action is there only if they were not refused."""

Wait = Annotated[bool, typer.Option("--wait", help="Wait for the receipt and print it.")]
TimeoutSeconds = Annotated[int, typer.Option(min=1, help="How long to wait at most.")]


def action_argument(sentence: str) -> Any:
    """An argument that takes the id of an action; who types something else is told where ids are found."""
    return typer.Argument(metavar="ACTION", parser=_action_id, help=sentence)


def _action_id(typed: str) -> UUID:
    try:
        return UUID(typed)
    except ValueError:
        raise typer.BadParameter(
            f"{shown(typed)!r} is no action's id. Type the id that `ops-approval create` printed, or one of "
            "`ops-approval actions list --all`."
        ) from None


def settings_for(data: Path | None) -> Settings:
    """The settings of the environment, with the data directory of the command line."""
    settings = Settings(data=data) if data is not None else Settings()
    if bool(settings.database_url) != bool(settings.redis_url or settings.broker_url):
        fail(
            "Set DATABASE_URL and one of REDIS_URL and BROKER_URL, or none of them to use the servers of `ops-approval up`."
        )
    return settings


def open_reader(data: Path | None) -> connect.Connection:
    """A connection for reading."""
    return connect.connect(settings_for(data).servers.database_url, "ops-approval cli")


def open_owner(data: Path | None) -> connect.Connection:
    """A connection with the rights of whoever DATABASE_URL logs in as."""
    return connect.connect(settings_for(data).servers.database_url, "ops-approval cli", role=None)


def open_producer(data: Path | None, key_file: Path | None, issuer: str) -> Producer:
    """A producer that signs with the key file, or with the data directory's key of this issuer."""
    settings = settings_for(data)
    path = key_file or settings.data / "keys" / f"{issuer}.json"
    try:
        key = SigningKey.read(path)
    except OSError:
        fail(f"There is no key to sign with at {path}. Name a key file with --key, or the --data of `ops-approval up`.")
    except ValueError as error:
        fail(f"{error}. Name another one with --key.")
    return Producer(open_queue(settings), key, audience=settings.audience)


def open_queue(settings: Settings) -> Queue:
    """Where messages are put."""
    if not settings.broker_url:
        return redis.Redis.from_url(settings.broker)
    try:
        return make_broker(settings.broker_url)
    except ValueError:  # its text may quote the address, and with it a password
        fail("BROKER_URL is not an address that can be understood. Correct it.")
    except ModuleNotFoundError as error:
        fail(f"BROKER_URL needs the Python package {error.name}. Install `ops-approval[rabbitmq]`.")


def send(
    producer: Producer, body: AnyBody, data: Path | None, *, wait: bool, as_json: bool, timeout_seconds: int
) -> None:
    """Send a message; with `wait` print its receipt and end with exit code 1 if it was refused."""
    ticket = enqueue(producer, body)
    if not wait:
        queued = {"jti": ticket.jti, "action_id": ticket.action_id, "queued": True}
        if as_json:
            print_json(queued)
        else:
            out.print(f"Queued as {ticket.jti}." + (f" Action {ticket.action_id}." if ticket.action_id else ""))
            out.print(f"Its receipt: ops-approval receipts show {ticket.jti}", style="dim")
        return
    receipt = wait_for_receipt(data, ticket, timeout_seconds)
    print_receipt(receipt, as_json=as_json)
    if is_refusal(receipt):
        raise typer.Exit(REFUSED)


def enqueue(producer: Producer, body: AnyBody) -> Ticket:
    """Sign and send a message; one that the engine would not take is not sent."""
    try:
        return producer.send(body)
    except ValueError as error:
        fail(str(error))


def is_refusal(receipt: dict[str, Any]) -> bool:
    """Whether a receipt says no."""
    return receipt["outcome"] in {"refused", "quarantined", "dead"}


def wait_for_receipt(data: Path | None, ticket: Ticket, timeout_seconds: int) -> dict[str, Any]:
    """The receipt of a message, as soon as there is one."""
    with open_reader(data) as conn:
        receipt = poll(lambda: read.get_receipt(conn, ticket.content_sha256), timeout_seconds)
    if receipt is None:
        fail(
            f"No receipt after {timeout_seconds} s. The message is queued; is a worker running? "
            f"Look again with `ops-approval receipts show {ticket.jti}`.",
            UNAVAILABLE,
        )
    return receipt


def poll(look: Callable[[], dict[str, Any] | None], timeout_seconds: float) -> dict[str, Any] | None:
    """What `look` finds, as soon as it finds something; None when the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def print_receipt(receipt: dict[str, Any], *, as_json: bool) -> None:
    """A receipt, for people or programs."""
    if as_json:
        print_json(receipt)
        return
    code = f" ({receipt['code']})" if receipt["code"] else ""
    out.print(coloured(receipt["outcome"]), shown(f"{code} {receipt['sentence']}").strip())
    if receipt["action_id"] and not (is_refusal(receipt) and receipt["type"] in _MAKE_ACTIONS):
        out.print(f"action {receipt['action_id']}", style="dim")
    if receipt["outcome"] == "parked":
        out.print("If that id is a mistake: `ops-approval actions list` shows the actions that there are.", style="dim")
