"""What the engine is to carry out itself, looked at before anything is locked: what an action is about never changes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from db import locks
from db.connect import Connection
from domain.engine import Input
from domain.executing import Perform
from domain.internal_types import CHANGES, KEY_TYPES

Row = Mapping[str, Any]


def load(conn: Connection, inputs: Sequence[Input]) -> list[Row]:
    """Each internal action that is to be carried out, with its subject where it has one."""
    performed = [item.action_id for item in inputs if isinstance(item, Perform)]
    if not performed:
        return []
    return [
        *conn.execute(
            """
            select a.action_type, a.params, s.action_type as subject_type, s.action_type_version as subject_version,
                   s.params as subject_params, s.exclusive_key as subject_key
              from actions a left join actions s on s.id = a.caused_by where a.id = any(%s)
            """,
            [performed],
        ).fetchall()
    ]


def locks_of_changes(performed: Iterable[Row]) -> set[str]:
    """The locks of definitions and keys that are to be changed."""
    return {
        locks.KEYS
        if row["action_type"] in KEY_TYPES
        else locks.of_definition(row["params"]["kind"], row["params"]["name"])
        for row in performed
        if row["action_type"] in CHANGES
    }
