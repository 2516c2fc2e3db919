"""The brokers, Redis or RabbitMQ, made so that nothing that lies in a queue can break who takes it.

Dramatiq trusts the entries of its queues. One that it cannot decode crashes the consumer and strands the neighbours that
were fetched with it (its pull request 375), one that names another queue ends the thread that works on it, and a message's
options can start other actors, put it off or have it dropped. So consumers of our own look at each entry before dramatiq
does; its pipelines, callbacks and results are off.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any, cast

import dramatiq
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import compute_backoff
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.middleware import AgeLimit, Middleware, Retries, ShutdownNotifications

from workers.queue import MESSAGES, WORK, Entry, is_workable, received

_log = structlog.get_logger(__name__)

_EXCERPT_CHARACTERS = 400
_LONGEST_PAUSE_MILLISECONDS = 250
"""How long a consumer on Redis that finds nothing waits at most: a deadline is acted on when it hears of the sweep."""
_BOOKKEEPING = {"eta": int, "retries": int, "traceback": str, "requeue_timestamp": int}
"""Dramatiq's own notes on a message, and what they are; whatever else a message says of its handling is ignored."""


def make_broker(url: str, *middleware: Middleware) -> dramatiq.Broker:
    """The broker at a redis://, rediss://, unix://, amqp:// or amqps:// address; it connects when it is first used.

    On Redis a dead worker's messages come back within seconds. Actors set their own limits of age and retries; see
    `workers.actors`.
    """
    retries = Retries(max_retries=10, min_backoff=500, max_backoff=30_000)
    ours = [AgeLimit(), ShutdownNotifications(), retries, *middleware]
    if is_rabbitmq(url):
        from workers.rabbitmq import CarefulRabbitmqBroker

        return CarefulRabbitmqBroker(url=url, confirm_delivery=True, middleware=ours)
    return CarefulRedisBroker(  # type: ignore[no-untyped-call]  # dramatiq leaves this constructor untyped
        url=url, heartbeat_timeout=15_000, maintenance_chance=50_000, middleware=ours
    )


def is_rabbitmq(url: str) -> bool:
    """Whether an address is one of RabbitMQ."""
    return url.startswith(("amqp://", "amqps://"))


def count_waiting(broker: dramatiq.Broker) -> int:
    """How many entries of the queue `work` nobody has taken yet. Raises redis.RedisError or ConnectionClosed."""
    if isinstance(broker, RedisBroker):
        return int(broker.client.llen(f"{broker.namespace}:{WORK}"))
    return broker.count_waiting(WORK)  # type: ignore[attr-defined,no-any-return]  # workers.rabbitmq's has it


def readable(queue_name: str, body: bytes) -> dramatiq.Message[Any] | None:
    """The message in an entry of a queue, with no options but dramatiq's own.

    In place of what is none: in `messages` a call of `receive` that quarantines the entry, in `work` None.
    """
    try:
        message: dramatiq.Message[Any] = dramatiq.Message.decode(body)
    except DecodeError:
        return _instead(queue_name, body)
    if not is_workable(queue_name, message):
        return _instead(queue_name, body)
    noted = {
        name: message.options[name] for name, kind in _BOOKKEEPING.items() if type(message.options.get(name)) is kind
    }
    if not queue_name.endswith(".DQ"):
        noted.pop("eta", None)  # dramatiq would keep it in memory until then
    return replace(message, options=noted)


def _instead(queue_name: str, body: bytes) -> dramatiq.Message[Any] | None:
    if queue_name.removesuffix(".DQ") != MESSAGES:
        _log.error("entry_dropped", queue=queue_name, sha256=sha256(body).hexdigest())
        return None
    told = {"entry": body.decode(errors="replace")[:_EXCERPT_CHARACTERS], "sha256": sha256(body).hexdigest()}
    return replace(received(), queue_name=queue_name, kwargs=told)


class CarefulRedisBroker(RedisBroker):
    """Dramatiq's broker on Redis, with a consumer that takes whatever lies in its queue."""

    @property
    def consumer_class(self) -> type["CarefulRedisConsumer"]:
        return CarefulRedisConsumer

    def close(self) -> None:
        """Close its connections, which dramatiq leaves to the garbage collector."""
        self.client.connection_pool.disconnect()


@contextmanager
def _told_as_closed() -> Iterator[None]:
    """Any trouble with Redis, a full or read-only one too, as the one error that dramatiq waits out.

    Any other ends a consumer's thread for good: it happens again while that closes what it has.
    """
    try:
        yield
    except redis.RedisError as error:
        raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]  # as above


class CarefulRedisConsumer(_RedisConsumer):
    """Hands out what was fetched, under the ids that Redis keeps it by until it is acknowledged.

    The id that a message itself names may be wrong, and then its acknowledgement would change nothing. A consumer that
    comes after one that failed begins with what that one had fetched.
    """

    def __init__(self, broker: RedisBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]  # as above
        self._handed_out: set[bytes] = set()
        self._fetched = f"{broker.namespace}:__acks__.{broker.broker_id}.{queue_name}"
        self._bodies = f"{broker.namespace}:{queue_name}.msgs"

    def __next__(self) -> dramatiq.MessageProxy | None:
        with _told_as_closed():
            if not self.message_cache and self.outstanding_message_count < self.prefetch:
                self.message_cache = self._fetch()
        if not self.message_cache:
            longest = min(self.timeout, _LONGEST_PAUSE_MILLISECONDS)
            self.misses, pause_milliseconds = compute_backoff(self.misses, max_backoff=longest)
            time.sleep(pause_milliseconds / 1000)
            return None
        self.misses = 0
        message = self.message_cache.pop(0)
        self.queued_message_ids.add(message.message_id)
        return dramatiq.MessageProxy(message)

    def ack(self, message: dramatiq.MessageProxy) -> None:
        with _told_as_closed():
            super().ack(message)  # type: ignore[no-untyped-call]  # as above

    def nack(self, message: dramatiq.MessageProxy) -> None:
        with _told_as_closed():
            super().nack(message)  # type: ignore[no-untyped-call]  # as above

    def requeue(self, messages: Iterable[dramatiq.MessageProxy]) -> None:
        with _told_as_closed():
            super().requeue(messages)  # type: ignore[no-untyped-call]  # as above

    def _fetch(self) -> list[dramatiq.Message[Any]]:
        self.broker.do_fetch(self.queue_name, self.prefetch - self.outstanding_message_count)
        fetched = cast("set[bytes]", self.broker.client.smembers(self._fetched))
        new = sorted(fetched - self._handed_out)
        bodies = cast("list[bytes | None]", self.broker.client.hmget(self._bodies, new)) if new else []
        self._handed_out = fetched
        return [message for entry in map(Entry, new, bodies) if (message := self._readable(entry)) is not None]

    def _readable(self, entry: Entry) -> dramatiq.Message[Any] | None:
        message = readable(self.queue_name, entry.content)
        if message is None:
            self.broker.do_ack(self.queue_name, entry.id)
            return None
        return message.copy(options={"redis_message_id": entry.id})
