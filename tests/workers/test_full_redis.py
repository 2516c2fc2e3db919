"""A Redis without memory left refuses producers, and is emptied by ingest all the same."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from tests.world import Installation, top_up, wait_for
from workers.ingest import Ingest
from workers.queue import Doorbell, received


@pytest.fixture
def full(installation: Installation) -> Iterator[Installation]:
    """An installation whose Redis has messages and takes no more."""
    installation.producer("sira").send_many(top_up(f"before {number}") for number in range(5))
    installation.client.config_set("maxmemory", "1")
    yield installation
    installation.client.config_set("maxmemory", "0")


def test_a_full_redis_is_emptied(full: Installation) -> None:
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        full.producer("sira").send(top_up("one too many"))
    ingest = Ingest(full.settings, full.broker)
    thread = threading.Thread(target=ingest.run)
    thread.start()
    try:
        wait_for(lambda: full.queued() == 0)
    finally:
        ingest.stopping.set()
        thread.join()
    assert full.count("applied") == 5


def test_nothing_is_lost_of_what_a_full_redis_cannot_move(installation: Installation) -> None:
    doorbell = Doorbell(installation.client)
    installation.broker.declare_queue("messages")
    late = installation.producer("sira").sign(top_up("late"))
    installation.broker.enqueue(received(late.token), delay=3_600_000)
    now = installation.producer("sira").send(top_up("now"))
    (entry,) = doorbell.peek(10)
    installation.client.config_set("maxmemory", "1")
    try:
        doorbell.recall_delayed()
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            doorbell.set_aside(entry)
    finally:
        installation.client.config_set("maxmemory", "0")
    doorbell.set_aside(entry)
    doorbell.recall_delayed()
    installation.drain()
    assert installation.answers(now, late) == ["applied", "applied"]
    assert installation.queued() == 0


def test_a_full_redis_without_messages_is_waited_at(full: Installation) -> None:
    with closing(Ingest(full.settings, full.broker)._client) as client:
        doorbell = Doorbell(client)
        assert doorbell.wait(1)
        doorbell.forget(doorbell.peek(10))
        assert not doorbell.wait(1)
