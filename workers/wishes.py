"""Asking people to agree to what only the engine can do then: once, however often somebody asks."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from db import read
from db.connect import Connection
from domain.exact_json import canonical
from domain.internal_types import Internal
from domain.lifecycle import OPEN, Status
from domain.messages import CreateAction
from workers.producer import Producer, Ticket

_UNDER_WAY = OPEN | {Status.APPROVED, Status.EXECUTING, Status.OUTCOME_UNKNOWN}


@dataclass(frozen=True, slots=True)
class Wish:
    """An action type of the engine's own and its params, all but the reason."""

    action_type: Internal
    params: dict[str, Any]

    def body(self, person: str, reason: str, nth: int) -> CreateAction:
        """The nth message that asks for it; its key says what it is about, so that the same is not asked for twice."""
        content = sha256(canonical([self.action_type, self.params, nth])).hexdigest()
        return CreateAction(
            idempotency_key=f"wish-{content}",
            origin="ops_ui",
            action_type=self.action_type,
            params=self.params | {"reason": reason},
            created_by=person,
        )


def ask_for(conn: Connection, producer: Producer, wish: Wish, person: str, reason: str) -> UUID | Ticket:
    """The message that asks for it, not sent yet; or the action in which it was asked for already.

    What was rejected, taken back, too late or failed can be asked for again. Raises ValueError if the engine would not take it.
    """
    nth = 0
    while True:
        nth += 1
        ticket = producer.sign(wish.body(person, reason, nth))
        assert ticket.action_id is not None  # noqa: S101 - it creates one
        action = read.get_action_with_votes(conn, ticket.action_id)
        if action is None:
            return ticket
        if action["status"] in _UNDER_WAY:
            return ticket.action_id
