"""The schema: applying it to an empty database, and saying whether a database has the one that this code needs."""

from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from db.connect import Connection

VERSION = 1
"""The version of schema.sql that this code works with."""

OLDEST_SERVER = 150_000
"""The oldest server that schema.sql runs on: PostgreSQL 15."""


class SchemaError(RuntimeError):
    """A database that the engine cannot work with; the message says why and what to do."""


def init(conn: Connection) -> bool:
    """Apply the schema unless it is there; whether it was applied. Needs the rights of the database's owner.

    Several at once are safe: all but the first find it done. Raises `SchemaError`.
    """
    if conn.info.server_version < OLDEST_SERVER:
        raise SchemaError(
            f"This server is version {conn.info.server_version // 10_000}; PostgreSQL 15 or newer is needed."
        )
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(7841511002)")
        if installed_version(conn) is not None:
            return False
        conn.execute(files("db").joinpath("schema.sql").read_bytes())
    return True


def create_database(conn: psycopg.Connection[Any], name: str) -> None:
    """Make sure that the server has a database of this name."""
    if conn.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def check(conn: Connection) -> None:
    """Raises `SchemaError` unless the database has exactly the schema version of this code."""
    version = installed_version(conn)
    if version is None:
        raise SchemaError("The database has no schema yet. Run `ops-approval db init` as its owner.")
    if version != VERSION:
        raise SchemaError(
            f"The database has schema version {version}, this code needs {VERSION}. Install the other release."
        )


def installed_version(conn: Connection) -> int | None:
    """The version of the schema in this database, or None if there is none."""
    try:
        with conn.transaction():
            row = conn.execute("select max(version) as version from ops_approval.schema_version").fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    return row["version"] if row is not None else None
