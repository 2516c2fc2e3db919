"""Sending messages from Python: sign a typed body, enqueue it, and know at once what to ask for later.

producer = Producer(redis.Redis.from_url(url), SigningKey.read(path), audience="ops-approval")  # or make_broker("amqp://…")
ticket = producer.send(CreateAction(origin="ops_ui", action_type="FREEZE_MERCHANT", ...))
print(ticket.action_id)
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.messages import (
    LIFETIME_SECONDS,
    AnyBody,
    CancelAction,
    CastVote,
    CreateAction,
    ExecuteAction,
    SyncDirectory,
    action_of,
    content_sha256,
)
from domain.proposal import RecommendAction, RemediateAlert
from workers.envelope import SigningKey
from workers.queue import Queue, enqueue

__all__ = [
    "CancelAction",
    "CastVote",
    "CreateAction",
    "ExecuteAction",
    "Producer",
    "RecommendAction",
    "RemediateAlert",
    "SyncDirectory",
    "Ticket",
]


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a producer keeps of a message: its identity, the hash its receipt is found by, and its token for resending."""

    jti: str
    content_sha256: bytes
    action_id: UUID | None
    token: str


class Producer:
    """Signs messages with one key and puts them into the queue; safe to share between threads."""

    def __init__(self, queue: Queue, key: SigningKey, *, audience: str = "ops-approval") -> None:
        self._queue = queue
        self._key = key
        self._audience = audience

    @property
    def person(self) -> str | None:
        """The person with whose own key it signs; None where it signs with an issuer's."""
        return self._key.person

    def send(self, body: AnyBody, *, jti: str | None = None) -> Ticket:
        """Sign and enqueue one message.

        Raises redis.RedisError, or ConnectionClosed of RabbitMQ, when it may not be queued; resend its ticket then.
        """
        ticket = self.sign(body, jti=jti)
        self.resend([ticket])
        return ticket

    def send_many(self, bodies: Iterable[AnyBody]) -> list[Ticket]:
        """Sign and enqueue many messages, in order and in few round trips."""
        tickets = [self.sign(body) for body in bodies]
        self.resend(tickets)
        return tickets

    def resend(self, tickets: Iterable[Ticket]) -> None:
        """Enqueue messages (again); however often they arrive, each is applied once."""
        enqueue(self._queue, [ticket.token for ticket in tickets])

    def sign(self, body: AnyBody, *, jti: str | None = None, lifetime_seconds: int = LIFETIME_SECONDS) -> Ticket:
        """Make a message without sending it; the lifetime is at most 7 days.

        A vote without `cast_at` gets the present one, to the microsecond, so that a voter's last word is known as such.
        """
        now = time.time()
        if isinstance(body, CastVote) and body.cast_at is None:
            body = body.model_copy(update={"cast_at": datetime.fromtimestamp(now, UTC)})
        jti = jti or str(uuid4())
        issued_at = math.ceil(now)
        token = self._key.sign(
            body, audience=self._audience, jti=jti, issued_at=issued_at, expires_at=issued_at + lifetime_seconds
        )
        return Ticket(jti, content_sha256(token.encode()), action_of(body, self._key.issuer, jti), token)
