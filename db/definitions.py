"""Versions of policies and action types."""

from typing import Any

from psycopg.types.json import Jsonb

from db import locks
from db.connect import Connection
from domain.action_type import ActionType
from domain.definition import Definition, Kind
from domain.policy import Definitions, Policy, Removal, Versioned


def load_definitions(conn: Connection) -> Definitions:
    """Every version of every policy and action type."""
    rows = conn.execute("select kind, name, version, body from definitions order by id").fetchall()
    defined = [row for row in rows if row["body"] is not None]
    return Definitions(
        policies=tuple(
            Versioned(row["version"], Policy.model_validate(row["body"])) for row in defined if row["kind"] == "policy"
        ),
        action_types=tuple(
            Versioned(row["version"], ActionType.model_validate(row["body"]))
            for row in defined
            if row["kind"] == "action_type"
        ),
        removals=tuple(Removal(row["kind"], row["name"], row["version"]) for row in rows if row["body"] is None),
    )


def needs_agreement(conn: Connection) -> bool:
    """Whether changes need agreement by now: something is defined, and people are known who can agree."""
    row = conn.execute("select exists(select from definitions) and exists(select from people) as agreed").fetchone()
    assert row is not None  # noqa: S101 - a select without from has one row
    return bool(row["agreed"])


def apply_definition(conn: Connection, kind: Kind, definition: Definition, by: str) -> int | None:
    """Put a definition in force as the next version of its name; None if it already is, word for word.

    For the beginning of an installation, when nobody could agree to it; needs the rights of the database's owner.
    """
    body: dict[str, Any] = definition.model_dump(mode="json")
    with conn.transaction():
        locks.lock(conn, [locks.of_definition(kind, definition.name)])
        newest = conn.execute(
            "select version, body from definitions where kind = %s and name = %s order by version desc limit 1",
            [kind, definition.name],
        ).fetchone()
        if newest is not None and newest["body"] == body:
            return None
        version: int = newest["version"] + 1 if newest else 1
        conn.execute(
            "insert into definitions (kind, name, version, body, created_by) values (%s, %s, %s, %s, %s)",
            [kind, definition.name, version, Jsonb(body), by],
        )
    return version
