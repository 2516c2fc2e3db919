"""Asking for approval from the command line: one signed message for each wish, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError

from domain import mistakes
from workers.cli.console import fail, out
from workers.cli.context import is_refusal, open_producer, open_reader, wait_for_receipt
from workers.producer import Producer, Ticket
from workers.wishes import Wish, ask_for

By = Annotated[
    str | None,
    typer.Option(
        "--as", help="Who asks for approval, once there is a directory: a person of it, who will not vote on it."
    ),
]
Reason = Annotated[str | None, typer.Option(help="Why; whoever votes reads it.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of asking: `asked`, `waiting` since it was asked for before, or `refused`."""

    state: str
    action_id: UUID | None
    sentence: str | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """How somebody asks: with which key, as whom, why, and how long to wait for receipts, 0 for not at all."""

    person: str | None
    reason: str
    key: Path | None
    data: Path | None
    wait_seconds: int

    def producer(self) -> Producer:
        """What signs and sends it; ends with a sentence if nobody was named, or there is no key to sign with."""
        if self.person is None:
            fail("There is a directory, so this needs approval: say who asks for it with --as PERSON.")
        return open_producer(self.data, self.key, "definitions")

    def ask(self, wishes: Sequence[Wish]) -> list[Asked]:
        """Ask for approval of each of these, unless that was done already."""
        if not wishes:
            return []
        producer = self.producer()
        try:
            with open_reader(self.data) as conn:
                found = [ask_for(conn, producer, wish, self.person or "", self.reason) for wish in wishes]
        except ValidationError as error:
            fail(f"{mistakes.told(error)[0]}.")
        except ValueError as error:
            fail(str(error))
        producer.resend(ticket for ticket in found if not isinstance(ticket, UUID))
        return [Asked("waiting", item) if isinstance(item, UUID) else self._receipt(item) for item in found]

    def _receipt(self, ticket: Ticket) -> Asked:
        receipt = wait_for_receipt(self.data, ticket, self.wait_seconds) if self.wait_seconds else None
        if receipt is not None and is_refusal(receipt):
            return Asked("refused", None, receipt["sentence"])
        return Asked("asked", ticket.action_id)


def print_next() -> None:
    """What to do about what was asked for."""
    out.print(
        "Next, with the id of the action: `ops-approval actions show ACTION` says who must agree; they "
        "`ops-approval vote ACTION approve --as PERSON`; then `ops-approval execute ACTION --as PERSON`.",
        style="dim",
    )
