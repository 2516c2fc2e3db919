"""Asking for approval from the command line: one signed message for each change, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError

from workers import definition_changes
from workers.cli.console import fail
from workers.cli.context import is_refusal, open_producer, open_reader, wait_for_receipt
from workers.definition_changes import Difference

By = Annotated[
    str | None, typer.Option("--as", help="Who asks for approval: a person of the directory, who will not vote on it.")
]
Reason = Annotated[str | None, typer.Option(help="Why; whoever votes reads it.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of asking for a change: `asked`, `waiting` since it was asked for before, or `refused`."""

    difference: Difference
    state: str
    action_id: UUID | None
    sentence: str | None = None


def ask(
    differences: Sequence[Difference],
    person: str | None,
    reason: str,
    key: Path | None,
    data: Path | None,
    *,
    wait_seconds: int,
) -> list[Asked]:
    """Ask for approval of each of these, unless that was done already; with `wait_seconds` wait for the receipts."""
    if not differences:
        return []
    if person is None:
        fail("There is a directory, so changes need approval: say who asks for it with --as PERSON.")
    producer = open_producer(data, key, "definitions")
    try:
        with open_reader(data) as conn:
            found = [definition_changes.request(conn, producer, each, person, reason) for each in differences]
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        fail(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}.")
    except ValueError as error:
        fail(str(error))
    producer.resend(ticket for ticket in found if not isinstance(ticket, UUID))
    asked = []
    for difference, ticket in zip(differences, found, strict=True):
        if isinstance(ticket, UUID):
            asked.append(Asked(difference, "waiting", ticket))
            continue
        receipt = wait_for_receipt(data, ticket, wait_seconds) if wait_seconds else None
        if receipt is not None and is_refusal(receipt):
            asked.append(Asked(difference, "refused", None, receipt["sentence"]))
        else:
            asked.append(Asked(difference, "asked", ticket.action_id))
    return asked
