"""From what is in force to what somebody wants: one action for each difference, asked for once however often somebody asks."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from db import read
from db.connect import Connection
from db.definitions import same
from domain.definition import Kind
from domain.exact_json import canonical
from domain.internal_types import Internal
from domain.lifecycle import OPEN, Status
from domain.messages import CreateAction
from domain.policy import Definitions
from workers.definition_files import Defined, written
from workers.producer import Producer, Ticket

_UNDER_WAY = OPEN | {Status.APPROVED, Status.EXECUTING, Status.OUTCOME_UNKNOWN}


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to come after version `replaces` of a definition; a `definition` of None removes it."""

    kind: Kind
    name: str
    replaces: int
    definition: dict[str, Any] | None

    def body(self, person: str, reason: str, nth: int) -> CreateAction:
        """The nth message that asks for it; its key says what it is about, so that the same is not asked for twice."""
        content = sha256(canonical([*asdict(self).values(), nth])).hexdigest()
        return CreateAction(
            idempotency_key=f"change-definition-{content}",
            origin="ops_ui",
            action_type=Internal.CHANGE_DEFINITION,
            params=asdict(self) | {"reason": reason},
            created_by=person,
        )


def differences(definitions: Definitions, wanted: Iterable[Defined]) -> list[Difference]:
    """What differs from what is in force, in the order in which it is wanted."""
    found = []
    for kind, definition in wanted:
        in_force = definitions.in_force(kind, definition.name)
        if in_force is None or not same(written(in_force), written(definition)):
            replaces = definitions.newest_version(kind, definition.name)
            found.append(Difference(kind, definition.name, replaces, written(definition)))
    return found


def removal(definitions: Definitions, kind: Kind, name: str) -> Difference | None:
    """What takes a definition out of force; None if there is none."""
    if definitions.in_force(kind, name) is None:
        return None
    return Difference(kind, name, definitions.newest_version(kind, name), None)


def request(conn: Connection, producer: Producer, difference: Difference, person: str, reason: str) -> UUID | Ticket:
    """The message that asks for a change, not sent yet; or the action in which it was asked for already.

    What was rejected, taken back, too late or failed can be asked for again. Raises ValueError if the engine would not take it.
    """
    nth = 0
    while True:
        nth += 1
        ticket = producer.sign(difference.body(person, reason, nth))
        assert ticket.action_id is not None  # noqa: S101 - it creates one
        action = read.get_action_with_votes(conn, ticket.action_id)
        if action is None:
            return ticket
        if action["status"] in _UNDER_WAY:
            return ticket.action_id
