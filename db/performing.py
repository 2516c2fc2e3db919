"""What the engine is to carry out itself, looked at before anything is locked: what an action is about never changes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from db import locks
from db.connect import Connection
from domain.engine import Input
from domain.executing import Perform
from domain.internal_types import CHANGES, INTERNAL_TYPES, KEY_TYPES, Internal
from domain.proposal import ALERT_ID, named

Row = Mapping[str, Any]


def load(conn: Connection, inputs: Sequence[Input]) -> list[Row]:
    """Each internal action that is to be carried out, with its subject where it has one."""
    performed = [item.action_id for item in inputs if isinstance(item, Perform)]
    if not performed:
        return []
    return [
        *conn.execute(
            """
            select a.action_type, a.params, s.id as subject_id, s.action_type as subject_type, s.action_type_version as subject_version,
                   s.params as subject_params, s.exclusive_key as subject_key
              from actions a left join actions s on s.id = a.caused_by where a.id = any(%s)
            """,
            [performed],
        ).fetchall()
    ]


def lock_names(performed: Sequence[Row]) -> set[str]:
    """The locks of definitions and keys that are to be changed, of what is rolled back, and of alerts that are remedied again."""
    subjects = {f"action {subject}" for subject in _rolled_back(performed)}
    subjects |= {f"alert {name}" for name in alerts(performed)}
    return subjects | {
        locks.KEYS
        if row["action_type"] in KEY_TYPES
        else locks.of_definition(row["params"]["kind"], row["params"]["name"])
        for row in performed
        if row["action_type"] in CHANGES
    }


def inverses(conn: Connection, performed: Iterable[Row]) -> set[UUID]:
    """What was made to roll these subjects back; only who holds a subject's lock adds to it. It asks nothing where none is."""
    subjects = sorted(_rolled_back(performed))
    if not subjects:
        return set()
    statement = "select id from actions where caused_by = any(%s) and not action_type = any(%s)"
    return {row["id"] for row in conn.execute(statement, [subjects, list(INTERNAL_TYPES)]).fetchall()}


def alerts(performed: Iterable[Row]) -> set[str]:
    """The alerts for which something that failed is to be tried again."""
    retried = (row["subject_params"] or {} for row in performed if row["action_type"] == Internal.RETRY)
    return {name for params in retried if (name := named(params, ALERT_ID)) is not None}


def _rolled_back(performed: Iterable[Row]) -> set[UUID]:
    return {row["subject_id"] for row in performed if row["action_type"] == Internal.ROLL_BACK}
