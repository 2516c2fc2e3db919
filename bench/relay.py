"""How long after an event was committed a consumer of the stream has it, on a system that does nothing else and on a busy one.

Beside it the database's own limit: LISTEN/NOTIFY, told by a trigger of the same transactions and heard in the same process. Both
begin at the moment of the commit as Postgres notes it. Each event is the creation of an action, by a message of its own.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from random import uniform
from typing import Any, Self, cast
from uuid import uuid4

import redis

from bench.installation import Installation, installation, wait_for
from db import connect
from domain.messages import CreateAction
from workers import logs
from workers.relay import STREAM

PER_SECOND = 200
TELL = """
    create function bench_tell() returns trigger language plpgsql as
        $$ begin perform pg_notify('bench', new.action_id::text); return new; end $$;
    create trigger bench_tell after insert on events for each row when (new.seq = 1) execute function bench_tell();
"""
COMMITTED = """
    select action_id::text as action_id, extract(epoch from pg_xact_commit_timestamp(xid::xid))::float as at
      from events where seq = 1 and action_id = any(%s)
"""


@dataclass
class Listener:
    """Notes when it hears of which action first, until told to stop."""

    listen: Callable[["Listener"], None]
    heard: dict[str, float] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.listen, args=(self,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._thread.join()

    def hear(self, action_ids: Sequence[str]) -> None:
        """These came just now."""
        now = time.time()
        for action_id in action_ids:
            self.heard.setdefault(action_id, now)


def stream_of(url: str) -> Callable[[Listener], None]:
    """Reads the stream, as consumers do."""

    def listen(listener: Listener) -> None:
        last = "$"
        with closing(redis.Redis.from_url(url, decode_responses=True)) as client:
            while not listener.stopping.is_set():
                found = cast("list[Any]", client.xread({STREAM: last}, count=1000, block=500))
                for _, entries in found:
                    listener.hear([fields["action_id"] for _, fields in entries])
                    last = entries[-1][0]

    return listen


def notifications_of(url: str) -> Callable[[Listener], None]:
    """Listens to what Postgres tells by itself."""

    def listen(listener: Listener) -> None:
        with connect.connect(url, "bench listener", role=None) as conn:
            conn.execute("listen bench")
            while not listener.stopping.is_set():
                for notification in conn.notifies(timeout=0.5):
                    listener.hear([notification.payload])

    return listen


@dataclass
class Bench:
    """A running installation, and who listens to it."""

    installed: Installation
    relay: Listener
    notify: Listener

    def phase(self, count: int, gap: Callable[[], float]) -> tuple[list[float], list[float]]:
        """Have so many actions created, with such gaps; the milliseconds from each commit to the relay's and the trigger's word."""
        producer, created, next_one = self.installed.producer("alerts"), [], time.monotonic()
        for _ in range(count):
            time.sleep(max(0, next_one - time.monotonic()))
            created.append(str(producer.send(creation()).action_id))
            next_one += gap()
        wait_for(lambda: {*created} <= self.relay.heard.keys() & self.notify.heard.keys())
        rows = self.installed.conn.execute(COMMITTED, [created]).fetchall()
        relayed, notified = (
            [1000 * (listener.heard[row["action_id"]] - row["at"]) for row in rows]
            for listener in (self.relay, self.notify)
        )
        return relayed, notified


def creation() -> CreateAction:
    """An action for a merchant of its own, for whom none is open."""
    params = {"merchant_id": f"m-{uuid4()}", "reason": "bench"}
    return CreateAction(origin="alert", action_type="FREEZE_MERCHANT", params=params, created_by="alerts")


def late(found: list[float]) -> float:
    """The 99th percentile."""
    return sorted(found)[min(len(found) - 1, int(len(found) * 0.99))]


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=20, help="events of each round while nothing else is done")
    parser.add_argument("--seconds", type=int, default=10, help=f"of each round at {PER_SECOND} messages a second")
    given = parser.parse_args()
    logs.configure()
    phases: dict[str, tuple[int, Callable[[], float]]] = {
        "idle": (given.idle, lambda: uniform(0.6, 1.4)),
        f"{PER_SECOND}/s": (given.seconds * PER_SECOND, lambda: 1 / PER_SECOND),
    }
    ratios: dict[str, list[float]] = {name: [] for name in phases}
    with ExitStack() as stack:
        installed = stack.enter_context(installation(track_commit_timestamp="on"))
        installed.conn.execute(TELL)
        urls = installed.stack.urls
        relay = stack.enter_context(Listener(stream_of(urls.redis_url)))
        bench = Bench(installed, relay, stack.enter_context(Listener(notifications_of(urls.database_url))))
        bench.phase(5, lambda: 0.5)  # until everything is warm, and both listen
        print("| round | system | events | relay p50 ms | p99 | LISTEN p50 ms | p99 | p50 to p50 |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for number in range(1, given.rounds + 1):
            for name, (count, gap) in phases.items():
                relayed, notified = bench.phase(count, gap)
                middle = statistics.median(relayed), statistics.median(notified)
                ratios[name].append(middle[0] / middle[1])
                told = (
                    number,
                    name,
                    count,
                    *(f"{ms:.1f}" for ms in (middle[0], late(relayed), middle[1], late(notified))),
                )
                print("|", " | ".join(map(str, told)), f"| {ratios[name][-1]:.1f} |", flush=True)
    for name, found in ratios.items():
        print(
            f"{name}: the relay takes {statistics.median(found):.1f} times as long ({min(found):.1f} to {max(found):.1f})."
        )


if __name__ == "__main__":
    main()
