"""Registered keys."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import ValidationError

from db import locks
from db.connect import Connection
from domain.keys import ALGORITHM, PERSONAL, PERSONAL_SCOPE, Scope, VerificationKey, conflict_of


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Every registered key by kid, and the database's clock when they were read."""

    keys: dict[str, VerificationKey]
    now: datetime


class ScopeConflict(ValueError):
    """A scope that an issuer may not have beside the scopes of its other keys."""


def load_key_ring(conn: Connection) -> KeyRing:
    """Read the keys; they are few, and a revocation must count from the next batch on."""
    rows = list_keys(conn)
    return KeyRing({row["kid"]: _key(row) for row in rows}, rows[0]["now"] if rows else datetime.now(UTC))


def list_keys(conn: Connection) -> list[dict[str, Any]]:
    """All keys, oldest first; `now` in each row is the database's clock."""
    return conn.execute(
        """
        select kid, issuer, person_id, public_key, scope, valid_from, valid_until, revoked_at, revoked_why, created_at,
               clock_timestamp() as now
          from keys order by created_at, kid
        """
    ).fetchall()


def _key(row: dict[str, Any]) -> VerificationKey:
    names = ("kid", "issuer", "public_key", "valid_from", "valid_until", "revoked_at")
    return VerificationKey(
        scope=read_scope(row["scope"]), person=row["person_id"], **{name: row[name] for name in names}
    )


def read_scope(document: Any) -> Scope:
    """The scope in a row of keys; one that is not understood allows nothing, and stops nobody else."""
    try:
        return Scope.model_validate(document)
    except ValidationError:
        return Scope()


def add_key(conn: Connection, kid: str, issuer: str, public_key: bytes, scope: Scope) -> None:
    """Register a public key (32 bytes) for an issuer; for the beginning, when nobody could agree to it.

    Raises `ScopeConflict` if the issuer, through whatever keys, would then cast votes and say who people are or what they
    agree to.
    """
    with conn.transaction():
        locks.lock(conn, [locks.KEYS])
        others = conn.execute("select scope from keys where issuer = %s", [issuer]).fetchall()
        if (conflict := conflict_of([scope, *(read_scope(row["scope"]) for row in others)])) is not None:
            raise ScopeConflict(f"issuer {issuer!r} has other keys already, and {conflict}; use another issuer name")
        conn.execute(
            "insert into keys (kid, issuer, alg, public_key, scope) values (%s, %s, %s, %s, %s)",
            [kid, issuer, ALGORITHM, public_key, Jsonb(scope.model_dump(mode="json"))],
        )


def enrol_key(conn: Connection, kid: str, person: str, public_key: bytes) -> None:
    """Register a person's own public key (32 bytes), for that person's votes; as `add_key` for the beginning.

    Raises psycopg.errors.ForeignKeyViolation if the directory has never told of that person.
    """
    conn.execute(
        "insert into keys (kid, issuer, person_id, alg, public_key, scope) values (%s, %s, %s, %s, %s, %s)",
        [kid, PERSONAL + person, person, ALGORITHM, public_key, Jsonb(PERSONAL_SCOPE.model_dump(mode="json"))],
    )


def retire_key(conn: Connection, kid: str, after_seconds: int) -> bool:
    """End a key's time `after_seconds` from now, or leave it where it ends sooner; False if there is no such key.

    What it signed and was received before that stays as it is. Let a new key be in use first.
    """
    changed = conn.execute(
        """
        update keys set valid_until = least(
                   coalesce(valid_until, 'infinity'),
                   greatest(clock_timestamp(), valid_from + interval '1 microsecond') + make_interval(secs => %s))
         where kid = %s
        """,
        [after_seconds, kid],
    )
    return changed.rowcount == 1


def revoke_key(conn: Connection, kid: str) -> bool:
    """Revoke a key as compromised, at once and for good; False if there is no such key.

    Nothing that it signed is taken any more, and votes that came with it no longer count where nothing was executed yet.
    """
    changed = conn.execute(
        """
        update keys set revoked_at = coalesce(revoked_at, clock_timestamp()), revoked_why = 'compromised'
         where kid = %s
        """,
        [kid],
    )
    return changed.rowcount == 1
