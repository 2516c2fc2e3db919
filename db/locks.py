"""Advisory locks by name: whoever else takes the same name waits until the surrounding transaction ends."""

from collections.abc import Iterable
from hashlib import sha256

from db.connect import Connection
from domain.definition import Kind

KEYS = "keys"
"""The lock of everybody who registers a key."""


def lock(conn: Connection, names: Iterable[str]) -> None:
    """Take these locks, all in one order, so that two who want several of them do not wait for each other."""
    keys = sorted({int.from_bytes(sha256(name.encode()).digest()[:8], signed=True) for name in names})
    conn.execute("select pg_advisory_xact_lock(key) from unnest(%s::bigint[]) as key", [keys])


def of_exclusive_key(exclusive_key: str) -> str:
    """The lock of everybody who wants an action open for this."""
    return f"exclusive {exclusive_key}"


def of_definition(kind: Kind, name: str) -> str:
    """The lock of everybody who makes the next version of a definition."""
    return f"definition {kind} {name}"
