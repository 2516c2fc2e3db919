"""The lock that one drainer of a queue holds, for as long as its connection lives."""

from db.connect import Connection

_INGEST = 7_841_511_001


def try_lead(conn: Connection) -> bool:
    """Take the lock if nobody holds it; it goes when the connection goes."""
    row = conn.execute("select pg_try_advisory_lock(%s) as taken", [_INGEST]).fetchone()
    return row is not None and bool(row["taken"])


def is_led(conn: Connection) -> bool:
    """Whether somebody holds the lock in this database."""
    row = conn.execute(
        """
        select exists (select from pg_locks
                        where locktype = 'advisory' and granted and objsubid = 1
                          and (classid::bigint << 32) + objid::bigint = %s
                          and database = (select oid from pg_database where datname = current_database())) as led
        """,
        [_INGEST],
    ).fetchone()
    return row is not None and bool(row["led"])


def still_there(conn: Connection) -> None:
    """Say something to the server, so that it does not end a session that is only waiting; raises if it has."""
    conn.execute("select 1")
