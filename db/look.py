"""A world to look at: what an answer about actions or definitions needs, read in one moment. Nothing is locked or saved."""

from datetime import datetime
from uuid import UUID

from db import glass, rows
from db.connect import Connection
from db.definitions import load_definitions
from db.invariants import snapshot
from db.keys import load_key_ring
from domain.directory import Directory
from domain.internal_types import Internal
from domain.world import World


def world(conn: Connection, action_id: UUID | None) -> World:
    """The whole directory, the keys and the definitions, with this action, its votes and its attempts if it is there.

    With what asks to ratify comes what it is about: that is told when its time is up.
    """
    with snapshot(conn):
        ring = load_key_ring(conn)
        found = World(now=_clock(conn), audience="", definitions=load_definitions(conn), keys=ring.keys)
        grants = conn.execute("select * from grants where coalesce(ends_at > %s, true)", [found.now]).fetchall()
        people = conn.execute("select id from people where snapshot = (select max(snapshot) from people)").fetchall()
        for row in conn.execute(
            """
            select * from actions
             where id = %s or id = (select caused_by from actions where id = %s and action_type = %s)
            """,
            [action_id, action_id, Internal.RATIFY],
        ).fetchall():
            found.actions[row["id"]] = rows.action(row)
        statement = "select v.*, k.revoked_why from votes v join keys k using (kid) where action_id = %s"
        for row in conn.execute(statement, [action_id]).fetchall():
            found.votes.setdefault(row["action_id"], {})[row["person_id"]] = rows.vote(row)
            if row["revoked_why"] == "compromised":
                found.compromised.add(row["kid"])
        for row in conn.execute("select * from attempts where action_id = %s", [action_id]).fetchall():
            found.attempts.setdefault(row["action_id"], {})[row["number"]] = rows.attempt(row)
        refused_at = glass.read(conn, found, glass.everybody(conn))
        found.directory = Directory.of(map(rows.grant, grants), (row["id"] for row in people), refused_at)
    return found


def past_directory(conn: Connection) -> Directory:
    """Every grant that there ever was, and everybody who was ever known: who held what at any moment."""
    grants = conn.execute("select * from grants").fetchall()
    people = conn.execute("select id from people").fetchall()
    return Directory.of(map(rows.grant, grants), (row["id"] for row in people))


def _clock(conn: Connection) -> datetime:
    row = conn.execute("select clock_timestamp() as now").fetchone()
    assert row is not None  # noqa: S101 - a select without from has one row
    moment: datetime = row["now"]
    return moment
