"""An example consumer of the engine's events: keeps the newest state of each action in a table of its own.

    DATABASE_URL=postgresql://… REDIS_URL=redis://… python consumer.py NAME

Entries come at least once, and several consumers of the group may work at the same time, so what is older than what the
table has changes nothing. An entry is acknowledged after the commit; what a consumer took and did not acknowledge, because
it died, another one takes over.
"""

import os
import sys
from typing import cast

import psycopg
import redis

STREAM = "ops_approval:events"
GROUP = "remediations"
BATCH = 100
IDLE_MILLISECONDS = int(os.environ.get("IDLE_MILLISECONDS", "60000"))
"""After this time an entry that was not acknowledged is somebody else's to take."""

TABLE = """
    create table if not exists remediations (
        action_id   uuid primary key,
        seq         integer not null,
        status      text not null,
        told        text not null,
        updated_at  timestamptz not null
    )
"""
UPSERT = """
    insert into remediations as known (action_id, seq, status, told, updated_at)
    values (%(action_id)s, %(seq)s, %(status)s, %(event)s, %(at)s)
    on conflict (action_id) do update
       set (seq, status, told, updated_at) = (excluded.seq, excluded.status, excluded.told, excluded.updated_at)
     where excluded.seq > known.seq
"""

Entry = tuple[str, dict[str, str]]


def main() -> None:
    """Consume until killed."""
    if not sys.argv[1:] or not {"DATABASE_URL", "REDIS_URL"} <= os.environ.keys():
        sys.exit(__doc__)
    name = sys.argv[1]
    stream = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute(TABLE)
        while True:
            try:
                apply(conn, stream, abandoned(stream, name) or new(stream, name))
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                make_group(stream)  # at the first start, and when Redis has lost everything


def make_group(stream: redis.Redis) -> None:
    """Make the group, which begins with the oldest entry; another consumer may have been faster."""
    try:
        stream.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def abandoned(stream: redis.Redis, name: str) -> list[Entry]:
    """What another consumer, or this one before it died, took and did not acknowledge; now it is ours."""
    found = stream.xautoclaim(STREAM, GROUP, name, IDLE_MILLISECONDS, count=BATCH)
    return cast("list[Entry]", found[1])


def new(stream: redis.Redis, name: str) -> list[Entry]:
    """What nobody has taken yet, as soon as it comes."""
    found = stream.xreadgroup(GROUP, name, {STREAM: ">"}, count=BATCH, block=1000)
    return [entry for _, entries in cast("list[tuple[str, list[Entry]]]", found) for entry in entries]


def apply(conn: psycopg.Connection, stream: redis.Redis, entries: list[Entry]) -> None:
    """Bring the table up to date, and only then say that it is."""
    if not entries:
        return
    # In one order everywhere, so that two consumers do not wait for each other's rows.
    rows = sorted((fields for _, fields in entries), key=lambda fields: fields["action_id"])
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(UPSERT, rows)
    stream.xack(STREAM, GROUP, *[entry_id for entry_id, _ in entries])


if __name__ == "__main__":
    main()
