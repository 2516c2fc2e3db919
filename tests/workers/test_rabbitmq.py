"""RabbitMQ as the broker: a node of the tests' own, and the engine on it without any Redis."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import dramatiq
import pika  # type: ignore[import-untyped]  # it has no types
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from db import read
from domain.messages import CastVote, ExecuteAction
from tests.rabbitmq import RabbitMQ
from tests.workers.test_brokers import BROKEN, ODD
from tests.world import KEYS, Installation, top_up, wait_for
from workers import brokers
from workers.producer import Producer
from workers.queue import MESSAGES, WORK
from workers.sandbox import Sandbox
from workers.scheduler import Scheduler

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


@pytest.fixture
def engine(installation: Installation, rabbitmq: RabbitMQ, sandbox: Sandbox, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose worker and scheduler know of no Redis."""
    with closing(brokers.make_broker(rabbitmq.url)) as broker:
        for queue_name in (MESSAGES, WORK):
            broker.declare_queue(queue_name)
        broker.flush_all()  # the node is the session's
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | {
        "DATABASE_URL": installation.settings.database_url,
        "BROKER_URL": rabbitmq.url,
        "OPS_APPROVAL_SERVICES": json.dumps({"float": sandbox.url}),
    }
    commands = (["dramatiq", "workers.main", "--processes", "1", "--threads", "2"], ["workers.scheduler"])
    with (tmp_path / "log").open("wb") as log:
        processes = [subprocess.Popen([sys.executable, "-m", *command], env=env, stderr=log) for command in commands]
    yield installation
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)


def run_through(engine: Installation, url: str, key: str) -> None:
    """Top up a float, every step by way of the queue."""
    with closing(brokers.make_broker(url)) as broker:

        def send(issuer: str, body: Any) -> dict[str, Any]:
            ticket = Producer(broker, KEYS[issuer]).send(body)
            return wait_for(lambda: read.get_receipt(engine.owner, ticket.content_sha256), 30)

        action_id = send("sira", top_up(key))["action_id"]
        for person in ("finance-user-1", "finance-user-2"):
            vote = {"action_id": action_id, "voter_id": person, "vote": "approve"}
            assert send("ops-tooling", CastVote.model_validate(vote))["outcome"] == "applied"
        send("ops-tooling", ExecuteAction(action_id=action_id, executed_by="ops-admin-1"))
        wait_for(lambda: engine.action(action_id)["status"] == "executed", 30)


def test_the_story_runs_through_rabbitmq_and_over_its_death(
    engine: Installation, rabbitmq: RabbitMQ, sandbox: Sandbox
) -> None:
    run_through(engine, rabbitmq.url, "first")
    rabbitmq.kill()
    rabbitmq.start()
    run_through(engine, rabbitmq.url, "second")
    assert len(sandbox.effects()) == 2


def test_broken_entries_in_rabbitmq_hold_up_nobody(engine: Installation, rabbitmq: RabbitMQ, sandbox: Sandbox) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(rabbitmq.url))) as connection:
        channel = connection.channel()
        for body in BROKEN + ODD:
            channel.basic_publish("", MESSAGES, body)
            channel.basic_publish("", WORK, body)
    run_through(engine, rabbitmq.url, "between them")
    wait_for(lambda: engine.count("quarantined") == len(BROKEN) + 1, 30)
    assert len(sandbox.effects()) == 1


def test_a_scheduler_outlives_rabbitmq(installation: Installation, rabbitmq: RabbitMQ) -> None:
    settings = installation.settings.model_copy(update={"broker_url": rabbitmq.url})
    with closing(brokers.make_broker(rabbitmq.url)) as broker:
        scheduler = Scheduler(settings, broker)
        thread = threading.Thread(target=scheduler.run)
        thread.start()
        try:
            wait_for(lambda: installation.scalar("select count(*) from schedule") == 3)
            rabbitmq.kill()
            rabbitmq.start()
            installation.owner.execute("delete from schedule")
            wait_for(lambda: installation.scalar("select count(*) from schedule") == 3, 30)
        finally:
            scheduler.stopping.set()
            thread.join()
