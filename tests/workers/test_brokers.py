"""Whatever lies in a queue: the stock consumers survive it, record it, and hand out its neighbours."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID, uuid4

import dramatiq
import pytest
import redis

from tests.world import Installation, top_up, wait_for
from workers.actors import Actors
from workers.brokers import CarefulRedisConsumer, count_waiting, make_broker, readable
from workers.queue import MESSAGES, WORK, received, ring
from workers.runtime import Runtime
from workers.sandbox import Sandbox


def entry(**changes: Any) -> bytes:
    """A well-formed entry, but for these changes."""
    message = {
        "queue_name": MESSAGES,
        "actor_name": "receive",
        "args": ["no token"],
        "kwargs": {},
        "options": {},
        "message_id": str(uuid4()),
        "message_timestamp": 1,
    }
    return json.dumps(message | changes).encode()


BROKEN = [
    b"",
    b"\xff\x00",
    b"[]",
    b"null",
    b"{}",
    b"[" * 100_000,
    entry(queue_name="nowhere"),
    entry(queue_name=WORK),
    entry(queue_name=None),
    entry(actor_name="execute", args=[str(UUID(int=1))]),
    entry(actor_name=["receive"]),
    entry(actor_name="unknown"),
    entry(args=5),
    entry(kwargs=[]),
    entry(options=None),
    entry(options=[]),
    entry(message_id=["a"]),
    entry(message_timestamp="now"),
    entry(unknown=1),
]
"""Each of them breaks something in dramatiq: the decoder, the consumer, a worker thread, or its own bookkeeping."""

ODD = [
    entry(options={"redis_message_id": "of another"}),
    entry(options={"redis_message_id": 5}),
    entry(options={"eta": 99_999_999_999_999}),
    entry(
        options={"eta": "soon", "retries": "many", "max_retries": 0, "max_age": 0, "pipe_target": 1, "on_success": "x"}
    ),
]
"""Messages for `receive` that say what they may not say of their handling."""


def put(client: redis.Redis, queue_name: str, body: bytes | None) -> None:
    entry_id = str(uuid4())
    if body is not None:
        client.hset(f"dramatiq:{queue_name}.msgs", entry_id, body)
    client.rpush(f"dramatiq:{queue_name}", entry_id)


def left(client: redis.Redis) -> list[bytes]:
    """What Redis still keeps of the two queues, fetched or not, dead or delayed."""
    return [key for key in cast("list[bytes]", client.keys("dramatiq:*")) if not key.endswith(b"heartbeats__")]


@contextmanager
def stock(installation: Installation, sandbox: Sandbox) -> Iterator[dramatiq.Broker]:
    """Dramatiq alone takes both queues, with few threads, so that a lost one is missed."""
    broker = make_broker(installation.settings.servers.redis_url)
    executor = installation.executor(sandbox.url)
    Actors(broker, lambda: Runtime(installation.pool, installation.applier, executor, None))
    worker = dramatiq.Worker(broker, queues={MESSAGES, WORK}, worker_threads=2)
    worker.start()
    try:
        yield broker
    finally:
        worker.stop()
        broker.close()
        executor.client.close()


def test_broken_entries_are_recorded_and_their_neighbours_applied(installation: Installation, sandbox: Sandbox) -> None:
    for body in BROKEN + ODD:
        put(installation.client, MESSAGES, body)
    put(installation.client, MESSAGES, None)
    good = [installation.producer("sira").send(top_up(f"good {number}")) for number in range(5)]
    with stock(installation, sandbox):
        wait_for(lambda: left(installation.client) == [])
    assert installation.answers(*good) == ["applied"] * 5
    assert installation.count("quarantined") == len(BROKEN) + 2  # the odd ones hold one and the same "token"
    assert sandbox.effects() == []


def test_broken_rings_are_dropped_and_the_work_is_done(installation: Installation, sandbox: Sandbox) -> None:
    action_id = installation.approved()
    foreign = [body.replace(b'"receive"', b'"sweep"') for body in BROKEN]
    for body in [*foreign, entry(queue_name=WORK, options={"eta": 99_999_999_999_999}, actor_name="sweep", args=[])]:
        put(installation.client, WORK, body)
    put(installation.client, WORK, None)
    with stock(installation, sandbox) as broker:
        ring(broker, "execute", str(action_id))
        installation.wait_until(action_id, "executed")
        wait_for(lambda: installation.client.hlen(f"dramatiq:{WORK}.msgs") == 0)
        assert count_waiting(broker) == 0
    assert len(sandbox.effects()) == 1


def test_a_consumer_that_comes_after_a_failed_one_begins_with_what_that_had_fetched(
    installation: Installation,
) -> None:
    broker = make_broker(installation.settings.servers.redis_url)
    tickets = [installation.producer("sira").send(top_up(f"stranded {number}")) for number in range(3)]
    failed = broker.consume(MESSAGES, prefetch=10, timeout=10)
    assert isinstance(failed, CarefulRedisConsumer)
    first = next(failed)
    assert first is not None
    failed.ack(first)
    following = broker.consume(MESSAGES, prefetch=10, timeout=10)
    found = [message.args[0] for _ in range(2) if (message := next(following)) is not None]
    assert sorted([first.args[0], *found]) == sorted(ticket.token for ticket in tickets)
    broker.close()


def test_a_full_redis_ends_no_consumer(installation: Installation, sandbox: Sandbox) -> None:
    """What `noeviction` leads to is waited out, by the consumer of delayed messages too."""
    ticket = installation.producer("sira").sign(top_up())
    with stock(installation, sandbox) as broker:
        broker.enqueue(received(ticket.token), delay=3000)
        try:
            installation.client.config_set("maxmemory", 1)
            wait_for(lambda: refuses(installation.client), 5)
            time.sleep(1)  # longer than a consumer's patience between two looks
        finally:
            installation.client.config_set("maxmemory", 0)
        wait_for(lambda: installation.answers(ticket) == ["applied"], 30)


def refuses(client: redis.Redis) -> bool:
    try:
        client.set("x", 1)
    except redis.OutOfMemoryError:
        return True
    return False


@pytest.mark.parametrize("body", BROKEN)
def test_what_dramatiq_could_not_work_on_never_reaches_it(body: bytes) -> None:
    told = readable(MESSAGES, body)
    assert told is not None
    assert (told.queue_name, told.actor_name, told.args, told.options) == (MESSAGES, "receive", (), {})
    assert set(told.kwargs) == {"entry", "sha256"}
    assert len(told.kwargs["entry"]) <= 400


def test_dramatiqs_own_notes_on_a_message_are_kept() -> None:
    notes = {"retries": 3, "traceback": "…", "requeue_timestamp": 5, "eta": 99}
    delayed = readable(f"{MESSAGES}.DQ", entry(queue_name=f"{MESSAGES}.DQ", options=notes))
    assert delayed is not None
    assert delayed.options == notes
