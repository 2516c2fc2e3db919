"""From what is in force to what somebody wants: one action for each difference."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from db.definitions import same
from domain.definition import Kind
from domain.definitions import Definitions
from domain.internal_types import Internal
from workers.definition_files import Defined, written
from workers.wishes import Wish


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to come after version `replaces` of a definition; a `definition` of None removes it."""

    kind: Kind
    name: str
    replaces: int
    definition: dict[str, Any] | None

    @property
    def wish(self) -> Wish:
        """What is to be asked for."""
        return Wish(Internal.CHANGE_DEFINITION, asdict(self))


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


def drafted(definitions: Definitions, wanted: Iterable[Defined]) -> Definitions:
    """What would be in force if all that is wanted came into force now."""
    for kind, item in wanted:
        definitions = definitions.changed(kind, item.name, definitions.newest_version(kind, item.name) + 1, item)
    return definitions
