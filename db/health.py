"""What the database says about itself, its server and the work in it: facts only, for others to judge."""

from dataclasses import dataclass
from datetime import datetime

from db.connect import SCHEDULER, WORKER, Connection


@dataclass(frozen=True, slots=True)
class Server:
    """A Postgres server and what our login may do there."""

    version: int
    """As `server_version_num` has it: 150004 is 15.4."""
    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    standby: bool
    may_work: bool
    """Whether the login can take on the role ops_worker."""
    database_bytes: int


@dataclass(frozen=True, slots=True)
class Work:
    """What is under way in a database with our schema, and what is stuck there."""

    schedulers: int
    """How many are connected."""
    timed: int
    """Actions that something must happen to at some time, and alerts that wait for SIRA."""
    overdue: int
    """Those whose time came more than a minute ago."""
    outcomes_unknown: int
    dead: int
    """Dead letters of the last 7 days; an older message has expired and can no longer be sent again."""
    quarantined: int
    """Likewise."""


def read_server(conn: Connection) -> Server:
    """Read the server's settings; needs no schema."""
    row = conn.execute(
        """
        select current_setting('server_version_num')::integer as version,
               current_setting('fsync')::boolean as fsync,
               current_setting('full_page_writes')::boolean as full_page_writes,
               current_setting('synchronous_commit') as synchronous_commit,
               pg_is_in_recovery() as standby,
               coalesce((select pg_has_role(session_user, oid, %s) from pg_roles where rolname = %s), false) as may_work,
               pg_database_size(current_database()) as database_bytes
        """,
        # Since version 16 a member may be kept from taking on the role.
        ["SET" if conn.info.server_version >= 160_000 else "MEMBER", WORKER],  # noqa: PLR2004 - as the comment says
    ).fetchone()
    assert row is not None  # noqa: S101 - it has one row
    return Server(**row)


def read_clock(conn: Connection) -> datetime:
    """The database's clock, now."""
    row = conn.execute("select clock_timestamp() as now").fetchone()
    assert row is not None  # noqa: S101 - it has one row
    now: datetime = row["now"]
    return now


def read_work(conn: Connection) -> Work:
    """Count what is under way and what is stuck, by indexes that hold little else."""
    row = conn.execute(
        """
        select (select count(*) from pg_stat_activity
                 where application_name = %s and datname = current_database()) as schedulers,
               (select count(*) from actions where due_at is not null)
               + (select count(*) from proposals where due_at is not null) as timed,
               (select count(*) from actions where due_at < clock_timestamp() - interval '1 minute')
               + (select count(*) from proposals where due_at < clock_timestamp() - interval '1 minute') as overdue,
               (select count(*) from actions where status = 'outcome_unknown') as outcomes_unknown,
               stuck.*
          from (select count(*) filter (where outcome = 'dead') as dead,
                       count(*) filter (where outcome = 'quarantined') as quarantined
                  from messages
                 where outcome in ('dead', 'quarantined') and received_at > clock_timestamp() - interval '7 days') stuck
        """,
        [SCHEDULER],
    ).fetchone()
    assert row is not None  # noqa: S101 - it has one row
    return Work(**row)
