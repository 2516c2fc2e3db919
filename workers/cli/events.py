"""`ops-approval events`: what happens, as the stream tells it to other systems."""

import json
import re
from typing import Annotated, Any, cast

import redis
import typer

from workers.cli.console import AsJson, coloured, fail, out, print_json, shown
from workers.cli.context import Data, settings_for
from workers.relay import STREAM

_TURN_MILLISECONDS = 1000

events = typer.Typer(no_args_is_help=True, help="What happens, as the stream tells it to other systems.")


@events.callback()
def _group() -> None:
    """Keep `tail` the command of a group."""


@events.command("tail")
def tail(
    *,
    after: Annotated[
        str | None,
        typer.Option("--from", metavar="ID", help="Begin after this entry instead of now; 0 is before the oldest."),
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Follow the stream of events until interrupted; with --json one object a line."""
    url = settings_for(data).stream
    if url is None:
        fail("The stream of events is in Redis. Set REDIS_URL here, and at the workers and the scheduler.")
    if after is not None and not re.fullmatch(r"[0-9]+(-[0-9]+)?", after):
        fail(f"{after!r} is not the id of an entry. Name one that was printed before, or 0.")
    with redis.Redis.from_url(url, decode_responses=True) as client:
        position = after or _newest(client)
        while True:
            found = client.xread({STREAM: position}, block=_TURN_MILLISECONDS)
            for _, entries in cast("list[tuple[str, list[tuple[str, dict[str, Any]]]]]", found):
                for entry_id, fields in entries:
                    told = {"id": entry_id, **fields, "seq": int(fields["seq"]), "data": json.loads(fields["data"])}
                    _print(told, as_json=as_json)
                    position = entry_id


def _newest(client: redis.Redis) -> str:
    """The id of the newest entry."""
    found = cast("list[tuple[str, Any]]", client.xrevrange(STREAM, count=1))
    return found[0][0] if found else "0"


def _print(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told, indent=None)
        return
    at = told["at"][:19].replace("T", " ")
    out.print(shown(f"{told['id']}  {at}  {told['action_id']}  {told['action_type']}  "), end="")
    reason = f": {told['data']['reason']}" if "reason" in told["data"] else ""
    out.print(coloured(told["event"]), shown(f"by {told['actor']}; it is {told['status']}{reason}"))
