"""Versions of policies and action types."""

from typing import Any, Literal

from psycopg.types.json import Jsonb

from db.connect import Connection
from domain.action_type import ActionType
from domain.definition import Definition
from domain.policy import Definitions, Policy, Versioned

Kind = Literal["policy", "action_type"]
MODELS: dict[Kind, type[Definition]] = {"policy": Policy, "action_type": ActionType}


def load_definitions(conn: Connection) -> Definitions:
    """Every version of every policy and action type."""
    rows = conn.execute("select kind, version, body from definitions order by id").fetchall()
    return Definitions(
        policies=tuple(
            Versioned(row["version"], Policy.model_validate(row["body"])) for row in rows if row["kind"] == "policy"
        ),
        action_types=tuple(
            Versioned(row["version"], ActionType.model_validate(row["body"]))
            for row in rows
            if row["kind"] == "action_type"
        ),
    )


def apply_definition(conn: Connection, kind: Kind, definition: Definition, by: str) -> int | None:
    """Put a definition in force as the next version of its name; None if it already is, word for word."""
    body: dict[str, Any] = definition.model_dump(mode="json")
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"definition {kind} {definition.name}"])
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
