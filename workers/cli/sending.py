"""Commands that send messages: create, vote, execute, directory sync. Each signs, enqueues, and can wait for the answer."""

from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from pydantic import BaseModel, ValidationError

from db import read
from domain import mistakes
from domain.exact_json import MAX_BYTES, parse_json
from domain.lifecycle import OPEN, Status
from domain.messages import MAX_SNAPSHOT_BYTES, CancelAction, CastVote, CreateAction, ExecuteAction, SyncDirectory
from domain.quorum import Choice
from workers.cli import reading, showing
from workers.cli.console import REFUSED, AsJson, fail, out, print_json, shown
from workers.cli.context import (
    Data,
    KeyFile,
    TimeoutSeconds,
    Wait,
    action_argument,
    enqueue,
    is_refusal,
    open_producer,
    open_reader,
    poll,
    print_receipt,
    send,
    wait_for_receipt,
)
from workers.definition_files import why_unreadable

directory = typer.Typer(help="The people and roles that decisions look at.", no_args_is_help=True)
directory.command("list")(reading.list_people)
directory.command("who")(reading.list_holders)

_ISSUERS = {"alert": "alerts", "sira": "sira"}
_EXAMPLE = """'{"merchant_id": "m-1"}'"""
_ENDED = frozenset(Status) - {Status.APPROVED, Status.EXECUTING}


B = TypeVar("B", bound=BaseModel)


def body_of(model: type[B], fields: dict[str, Any]) -> B:
    """A message body from options; who writes something else is told which field and why."""
    try:
        return model.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        fail(f"{mistakes.told(error)[0]}.")


def _json_object(text: str, source: str, such_as: str, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    try:
        value = parse_json(text.encode(), max_bytes)
    except ValueError as error:
        fail(f"{source}: {error}. Write one JSON object, such as {such_as}.")
    if not isinstance(value, dict):
        fail(f"{source}: expected one JSON object, such as {such_as}.")
    return value


def json_in(file: Path, such_as: str, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The JSON object in a file; who names one without is told why, and where there is an example."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {why_unreadable(error)}.")
    return _json_object(text, str(file), such_as, max_bytes)


def create(
    action_type: Annotated[str, typer.Argument(help="What to do, for example FREEZE_MERCHANT; see `types list`.")],
    created_by: Annotated[str, typer.Option("--as", help="Who asks for it: a person of the directory, or a machine.")],
    params: Annotated[str, typer.Option(help="The action's params, a JSON object.")] = "{}",
    origin: Annotated[str, typer.Option(help="sira, system, ops_ui, module or alert.")] = "ops_ui",
    idempotency_key: Annotated[str | None, typer.Option(help="The same key makes the same action, once.")] = None,
    triggered_by: Annotated[str | None, typer.Option(help="The person who made a machine ask.")] = None,
    risk_level: Annotated[
        str | None, typer.Option(help="low, medium, high or critical; can only raise the type's.")
    ] = None,
    auto_execute: Annotated[
        bool | None,
        typer.Option("--auto-execute/--no-auto-execute", help="Execute once approved, if the policy lets it."),
    ] = None,
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Ask for a dangerous operation; the policies say who must agree."""
    fields = {
        "action_type": action_type,
        "created_by": created_by,
        "params": _json_object(params, "--params", _EXAMPLE),
        "origin": origin,
        "idempotency_key": idempotency_key,
        "triggered_by": triggered_by,
        "risk_level": risk_level,
        "auto_execute": auto_execute,
    }
    body = body_of(CreateAction, fields)
    producer = open_producer(data, key, _ISSUERS.get(origin, "ops-tooling"))
    send(producer, body, data, wait=wait, as_json=as_json, timeout_seconds=timeout_seconds)


def vote(
    action_id: Annotated[UUID, action_argument("The action.")],
    choice: Annotated[Choice, typer.Argument(help="What you say.")],
    voter: Annotated[
        str | None, typer.Option("--as", help="The person who votes; by default the one whose own key --key is.")
    ] = None,
    comment: Annotated[str | None, typer.Option(help="Why; it stands in the trail.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="A role the voter claims; refused if the directory disagrees.")
    ] = None,
    content_hash: Annotated[
        str | None, typer.Option(help="The content_hash that was looked at; refused if it differs.")
    ] = None,
    break_glass: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="In an emergency: approve alone, if the policy lets you; others are told why."
        ),
    ] = None,
    *,
    review: Annotated[
        bool, typer.Option("--review", help="Show the action and ask first; the vote names the content that was shown.")
    ] = False,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Vote on an action; voting again replaces the vote while the action is undecided."""
    if review and (as_json or content_hash):
        fail("--review shows the action to people: leave --json and --content-hash away, or --review.")
    producer = open_producer(data, key, "ops-tooling")
    if (voter := voter or producer.person) is None:
        fail("Name who votes with --as, or sign with the voter's own key: --key.")
    fields = {
        "action_id": action_id,
        "vote": choice,
        "voter_id": voter,
        "comment": comment,
        "voter_roles": role or None,
        "break_glass": break_glass,
        "content_hash": _reviewed(data, action_id, voter, choice) if review else content_hash,
    }
    body = body_of(CastVote, fields)
    send(producer, body, data, wait=wait, as_json=as_json, timeout_seconds=timeout_seconds)


def _reviewed(data: Path | None, action_id: UUID, voter: str, choice: Choice) -> str:
    """Show an action and ask whether this is to be voted on it; the hash of what was shown."""
    action = showing.get_action(data, action_id)
    showing.print_action(action)
    if not typer.confirm(f"Vote {choice.value} on this as {voter}?", err=True):
        fail("Nothing was sent.", REFUSED)
    return str(action["content_hash"])


def execute(
    action_id: Annotated[UUID, action_argument("The action; it must be approved.")],
    executor: Annotated[str, typer.Option("--as", help="The person who has it executed.")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the outcome: {success, result, error}.")] = False,
    timeout_seconds: TimeoutSeconds = 60,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Have an approved action executed now."""
    body = body_of(ExecuteAction, {"action_id": action_id, "executed_by": executor})
    producer = open_producer(data, key, "ops-tooling")
    if not wait:
        send(producer, body, data, wait=False, as_json=as_json, timeout_seconds=timeout_seconds)
        return
    receipt = wait_for_receipt(data, enqueue(producer, body), timeout_seconds)
    if is_refusal(receipt):
        _print_outcome(
            {"success": False, "result": None, "error": receipt["sentence"]}, as_json=as_json, receipt=receipt
        )
    else:
        _print_outcome(_outcome(data, action_id, timeout_seconds), as_json=as_json)


def cancel(
    action_id: Annotated[UUID, action_argument("The action; nothing may have been done about it yet.")],
    person: Annotated[str, typer.Option("--as", help="Who created it, or an ops_admin.")],
    reason: Annotated[str | None, typer.Option(help="Why; it stands in the trail.")] = None,
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Take an action back before its execution has started."""
    body = body_of(CancelAction, {"action_id": action_id, "cancelled_by": person, "reason": reason})
    producer = open_producer(data, key, "ops-tooling")
    send(producer, body, data, wait=wait, as_json=as_json, timeout_seconds=timeout_seconds)


def _outcome(data: Path | None, action_id: UUID, timeout_seconds: int) -> dict[str, Any]:
    """What the execution came to, in the form of the spec: {success, result, error}."""
    with open_reader(data) as conn:

        def ended() -> dict[str, Any] | None:
            action = read.get_action_with_votes(conn, action_id)
            return action if action is not None and action["status"] in _ENDED else None

        action = poll(ended, timeout_seconds)
        if action is None:
            late = _not_finished(read.get_action_with_votes(conn, action_id), timeout_seconds)
            return {"success": False, "result": None, "error": late}
    success = action["status"] == Status.EXECUTED
    reopened = "its approval fell away, as a vote does not count any more" if action["status"] in OPEN else None
    error = None if success else f"{action['status']}: {action['error'] or reopened or 'see its trail'}"
    return {"success": success, "result": action["result"], "error": error}


def _not_finished(action: dict[str, Any] | None, timeout_seconds: int) -> str:
    reason = f" The last attempt: {action['error']}" if action and action["error"] else ""
    return f"Not finished after {timeout_seconds} s; it is tried again, see `ops-approval actions show`.{reason}"


def _print_outcome(outcome: dict[str, Any], *, as_json: bool, receipt: dict[str, Any] | None = None) -> None:
    if as_json:
        print_json(outcome)
    elif receipt is not None:
        print_receipt(receipt, as_json=False)
    elif outcome["success"]:
        out.print("Executed.", style="green")
        out.print_json(data=outcome["result"])
    else:
        out.print("Not executed.", style="red", end=" ")
        out.print(shown(outcome["error"]))
    if not outcome["success"]:
        raise typer.Exit(REFUSED)


@directory.command("sync")
def sync(
    file: Annotated[
        Path, typer.Argument(help="JSON: {snapshot, people: [{id, name?, grants: [{role} or {acts_for}]}]}.")
    ],
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Send the whole directory as it is now; who is not in it any more loses every role."""
    body = body_of(SyncDirectory, json_in(file, "examples/directory.json", MAX_SNAPSHOT_BYTES))
    producer = open_producer(data, key, "directory")
    send(producer, body, data, wait=wait, as_json=as_json, timeout_seconds=timeout_seconds)
