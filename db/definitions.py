"""Versions of policies, action types and remediation rules."""

import json
from typing import Any

from psycopg.types.json import Jsonb

from db import locks
from db.connect import Connection
from domain.definition import Kind
from domain.definitions import MODELS, Definitions, Removal, Versioned


def load_definitions(conn: Connection) -> Definitions:
    """Every version of every definition."""
    rows = conn.execute("select kind, name, version, body from definitions order by id").fetchall()
    found: dict[Kind, list[Versioned[Any]]] = {kind: [] for kind in MODELS}
    for row in rows:
        if row["body"] is not None:
            found[row["kind"]].append(Versioned(row["version"], MODELS[row["kind"]].model_validate(row["body"])))
    return Definitions(
        policies=tuple(found["policy"]),
        action_types=tuple(found["action_type"]),
        remediation_rules=tuple(found["remediation_rule"]),
        removals=tuple(Removal(row["kind"], row["name"], row["version"]) for row in rows if row["body"] is None),
    )


def needs_agreement(conn: Connection) -> bool:
    """Whether changes need agreement by now: something is defined, and people are known who can agree."""
    row = conn.execute("select exists(select from definitions) and exists(select from people) as agreed").fetchone()
    assert row is not None  # noqa: S101 - a select without from has one row
    return bool(row["agreed"])


def put_in_force(conn: Connection, kind: Kind, name: str, body: dict[str, Any] | None, by: str) -> int | None:
    """Make this the next version of a definition, None of it to remove it; None if it already is so, word for word.

    For the beginning of an installation, when nobody could agree to it; needs the rights of the database's owner.
    """
    with conn.transaction():
        locks.lock(conn, [locks.of_definition(kind, name)])
        versions = list_versions(conn, kind, name)
        if same(body, versions[-1]["body"] if versions else None):
            return None
        conn.execute(
            "insert into definitions (kind, name, version, body, created_by) values (%s, %s, %s, %s, %s)",
            [kind, name, len(versions) + 1, None if body is None else Jsonb(body), by],
        )
    return len(versions) + 1


def same(one: Any, other: Any) -> bool:
    """Whether two bodies are the same JSON, in which 1 is not true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def list_versions(conn: Connection, kind: Kind, name: str) -> list[dict[str, Any]]:
    """Every version of a definition, the first first, with who agreed to it (`approved_by`) in which action.

    A `body` of None removed it.
    """
    return conn.execute(
        """
        select d.kind, d.name, d.version, d.body, d.created_by, d.created_at, d.agreed_in, a.executed_by,
               coalesce((select array_agg(v.person_id order by v.recorded_at) from votes v
                          where v.action_id = d.agreed_in and v.choice = 'approve'), '{}') as approved_by
          from definitions d left join actions a on a.id = d.agreed_in
         where d.kind = %s and d.name = %s order by d.version
        """,
        [kind, name],
    ).fetchall()
