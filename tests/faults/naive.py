"""The control: an executor as one writes it first. It calls for what is approved and then writes that it was executed.

    python -m tests.faults.naive DATABASE_URL REDIS_URL SERVICE_URL

It has no attempts, leases or keys that anybody looks at, so every fault between its call and its commit doubles an effect:
who sees no doubles of it would see none of ours either. Its actions are rows of a table of its own.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence

import httpx
import psycopg
import redis

from tests.faults import points

QUEUE = "naive"
TABLE = "create table public.naive (id text primary key, status text not null default 'approved')"


def add(conn: psycopg.Connection[object], client: redis.Redis, ids: Sequence[str]) -> None:
    """Approve actions and ring for them; those whose ring gets lost it finds by itself."""
    with conn.cursor() as cursor:
        cursor.executemany("insert into public.naive (id) values (%s) on conflict do nothing", [[one] for one in ids])
    client.rpush(QUEUE, *ids)


def work(database_url: str, redis_url: str, service_url: str) -> None:
    """Execute what it is rung for; when nobody rings, whatever is still approved."""
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    with psycopg.connect(database_url, autocommit=True) as conn, httpx.Client(trust_env=False) as service:
        while True:
            rung = client.blpop([QUEUE], timeout=1)
            if isinstance(rung, list | tuple):
                execute(conn, service, service_url, str(rung[1]))
                continue
            for (waiting,) in conn.execute("select id from public.naive where status = 'approved'").fetchall():
                execute(conn, service, service_url, waiting)


def execute(conn: psycopg.Connection[tuple[str]], service: httpx.Client, url: str, action_id: str) -> None:
    """Call, then say so."""
    approved = conn.execute("select from public.naive where id = %s and status = 'approved'", [action_id]).fetchone()
    if approved is None:
        return
    service.post(url, json={}, headers={"Idempotency-Key": action_id}, timeout=2).raise_for_status()
    if points.is_reached("after the call"):
        os.kill(os.getpid(), signal.SIGKILL)
    with conn.transaction():
        conn.execute("update public.naive set status = 'executed' where id = %s", [action_id])


def main() -> None:
    while True:
        try:
            work(*sys.argv[1:4])
        except (psycopg.Error, redis.RedisError, httpx.HTTPError):
            time.sleep(0.2)


if __name__ == "__main__":
    main()
