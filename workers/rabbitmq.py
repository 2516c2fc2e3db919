"""RabbitMQ as the broker; a file of its own because its client, pika, is installed for it alone."""

from collections.abc import Iterator
from typing import Any

from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed
from pika.exceptions import AMQPError  # type: ignore[import-untyped]  # it has no types

from workers.brokers import readable


class CarefulRabbitmqBroker(RabbitmqBroker):
    """Dramatiq's broker on RabbitMQ, with a consumer that takes whatever lies in its queue."""

    @property
    def consumer_class(self) -> type["CarefulRabbitmqConsumer"]:
        return CarefulRabbitmqConsumer

    def count_waiting(self, queue_name: str) -> int:
        """How many entries of a queue nobody has taken yet; raises ConnectionClosed."""
        try:
            self.declare_queue(queue_name, ensure=True)
            return int(self.get_queue_message_counts(queue_name)[0])
        except AMQPError as error:
            del self.connection
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]  # dramatiq's is untyped


class CarefulRabbitmqConsumer(_RabbitmqConsumer):
    """Hands out what is readable, or stands for what is not; the rest goes to RabbitMQ's dead letters."""

    def __init__(self, broker: RabbitmqBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]  # dramatiq's is untyped
        self.iterator = self._readable(self.iterator)

    def _readable(self, entries: Iterator[tuple[Any, Any, bytes]]) -> Iterator[tuple[Any, Any, bytes]]:
        for method, properties, body in entries:
            message = readable(self.queue_name, body) if method is not None else None
            yield method, properties, message.encode() if message is not None else b""
