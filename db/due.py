"""What time must change: finding it and claiming it, so that several sweepers never work on the same action."""

from collections.abc import Collection
from uuid import UUID

from db.connect import Connection
from domain.engine import Due, ParkingEnded
from domain.lifecycle import Status


def is_anything_due(conn: Connection) -> bool:
    """Whether a sweep would find something to do now; costs one look at an index."""
    row = conn.execute(
        """
        select exists (select from actions where due_at <= clock_timestamp())
            or exists (select from proposals where due_at <= clock_timestamp())
            or exists (select from messages where outcome = 'parked' and expires_at <= clock_timestamp()) as due
        """
    ).fetchone()
    return row is not None and bool(row["due"])


def claim(conn: Connection, statuses: Collection[Status], limit: int) -> list[Due]:
    """The longest due actions in these states, locked until the transaction ends; those that others hold are skipped."""
    found = conn.execute(
        """
        select id from actions
         where due_at <= clock_timestamp() and status = any(%s)
         order by due_at limit %s for update skip locked
        """,
        [list(statuses), limit],
    ).fetchall()
    return [Due(row["id"]) for row in found]


def postpone(conn: Connection, action_id: UUID) -> None:
    """Have an action looked at again in a minute, after the others.

    For one that cannot be touched now, perhaps not even read: that is why nothing of its row is looked at here.
    """
    conn.execute(
        "update actions set due_at = clock_timestamp() + interval '1 minute' where id = %s and due_at is not null",
        [action_id],
    )


def find_ended_parking(conn: Connection, limit: int) -> list[ParkingEnded]:
    """Parked votes whose time is up."""
    found = conn.execute(
        """
        select content_sha256, action_id from messages
         where outcome = 'parked' and expires_at <= clock_timestamp() order by expires_at limit %s
        """,
        [limit],
    ).fetchall()
    return [ParkingEnded(row["content_sha256"], row["action_id"]) for row in found]


def claim_period(conn: Connection, actor_name: str, period_seconds: int) -> bool:
    """Whether nobody has asked for this periodic actor in the period that it is now; from now on somebody has."""
    claimed = conn.execute(
        """
        with period as (
            select date_bin(make_interval(secs => %s), clock_timestamp(), timestamptz 'epoch') as begun
        )
        insert into schedule (actor, asked_in)
        select %s, begun from period where not exists (select from schedule where actor = %s and asked_in >= begun)
        on conflict (actor) do update set asked_in = excluded.asked_in where schedule.asked_in < excluded.asked_in
        """,
        [period_seconds, actor_name, actor_name],
    )
    return claimed.rowcount == 1


def draw_token(conn: Connection) -> int:
    """A fencing token higher than every one before it."""
    row = conn.execute("select nextval('attempt_tokens') as token").fetchone()
    assert row is not None  # noqa: S101 - nextval has one row
    return int(row["token"])
