"""A Redis without memory left refuses producers, and is emptied by ingest all the same."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from tests.world import Installation, top_up, wait_for
from workers.ingest import Ingest
from workers.queue import Doorbell


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


def test_a_full_redis_without_messages_is_waited_at(full: Installation) -> None:
    with closing(Ingest(full.settings, full.broker)._client) as client:
        doorbell = Doorbell(client)
        assert doorbell.wait(1)
        doorbell.forget(doorbell.peek(10))
        assert not doorbell.wait(1)
