"""RabbitMQ as a broker: a node of the tests' own carries dramatiq's messages."""

from collections.abc import Iterator
from queue import SimpleQueue

import dramatiq
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.rabbitmq import RabbitMQ
from tests.world import wait_for

QUEUE = "letters"


@pytest.fixture
def received() -> SimpleQueue[str]:
    return SimpleQueue()


@pytest.fixture
def broker(rabbitmq: RabbitMQ, received: SimpleQueue[str]) -> Iterator[RabbitmqBroker]:
    """A broker that waits until RabbitMQ has a message, with an actor `receive`."""
    broker = make_broker(rabbitmq.url, received)
    yield broker
    broker.close()


def make_broker(url: str, received: SimpleQueue[str]) -> RabbitmqBroker:
    broker = RabbitmqBroker(url=url, confirm_delivery=True, middleware=[])
    dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name="receive")(received.put)
    return broker


def take(broker: RabbitmqBroker, received: SimpleQueue[str], count: int) -> list[str]:
    """What a worker receives, until it is that many."""
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=100)
    worker.start()
    try:
        wait_for(lambda: received.qsize() >= count, seconds=30)
    finally:
        worker.stop()
    return [received.get() for _ in range(received.qsize())]


def test_a_message_goes_round(broker: RabbitmqBroker, received: SimpleQueue[str]) -> None:
    broker.get_actor("receive").send("hello")
    assert take(broker, received, 1) == ["hello"]


def test_confirmed_messages_survive_a_killed_node(
    rabbitmq: RabbitMQ, broker: RabbitmqBroker, received: SimpleQueue[str]
) -> None:
    sent = [f"letter {number}" for number in range(20)]
    for letter in sent:
        broker.get_actor("receive").send(letter)
    rabbitmq.kill()
    assert rabbitmq.version() is None
    rabbitmq.start()
    later = make_broker(rabbitmq.url, received)
    try:
        assert take(later, received, len(sent)) == sent
    finally:
        later.close()
