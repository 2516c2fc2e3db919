"""The invariants that SQL can say: one file each in `db/invariants/`, a query for whatever breaks it.

They hold on every installation at every moment; `workers.invariants` adds what only Python can compute.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from psycopg import sql

from db.connect import Connection

SHOWN = 10
"""How many of the rows that break an invariant are kept, to be looked at."""

_SENTENCE = re.compile(r"-- (?P<number>\d+)\. (?P<sentence>[^.]+\.)")
"""The first sentence of a file, on as many lines as it takes."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule that always holds; `sql` finds the rows that break it, and is None where Python looks for them."""

    number: int
    name: str
    sentence: str
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """A row that breaks an invariant: the id of an action (or what else it is), and what is wrong with it."""

    id: str
    what: str


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that does not hold: how many rows break it, and the first `SHOWN` of them."""

    invariant: Invariant
    count: int
    violations: tuple[Violation, ...]


def load() -> list[Invariant]:
    """The invariants that have a query, in the order of their numbers."""
    found = sorted(files("db").joinpath("invariants").iterdir(), key=lambda file: file.name)
    return [_parse(file.name, file.read_text()) for file in found]


def _parse(file_name: str, sql: str) -> Invariant:
    said = _SENTENCE.match(sql)
    if said is None:
        raise ValueError(f"{file_name} does not begin with its number and sentence")
    return Invariant(int(said["number"]), file_name.removesuffix(".sql"), said["sentence"].replace("\n-- ", " "), sql)


@contextmanager
def snapshot(conn: Connection) -> Iterator[None]:
    """One moment for all reads in it, so that what goes on meanwhile does not look broken; changes nothing."""
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        yield


def check(conn: Connection, invariant: Invariant) -> Broken | None:
    """What breaks an invariant that has a query, or None if it holds."""
    found = conn.execute(sql.SQL(invariant.sql or ""))  # the text of our own files
    if found.rowcount == 0:
        return None
    violations = tuple(Violation(row["id"], row["what"]) for row in found.fetchmany(SHOWN))
    return Broken(invariant, found.rowcount, violations)


def broken(conn: Connection) -> list[Broken]:
    """Every invariant with a query that does not hold, all read in one moment; empty on a healthy installation."""
    with snapshot(conn):
        return [found for invariant in load() if (found := check(conn, invariant)) is not None]
