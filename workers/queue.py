"""The doorbell: the wire form of what lies in the queue `messages`, and how it is put there and taken.

Producers put ordinary dramatiq messages for the actor `receive(token)` there.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast
from uuid import uuid4

import dramatiq
import redis
import structlog
from dramatiq.errors import ConnectionClosed, DecodeError

_log = structlog.get_logger(__name__)

MESSAGES = "messages"
"""The queue that producers write to."""

WORK = "work"
"""The queue of executions and sweeps: unsigned, at most an id, and never more than a sweep would do anyway."""

RECEIVE = "receive"
"""The actor that takes a producer's token."""

_LIST = f"dramatiq:{MESSAGES}"
_BODIES = f"dramatiq:{MESSAGES}.msgs"
_DELAYED = f"dramatiq:{MESSAGES}.DQ"
_CHUNK = 500
_PEEK_BYTES = 512 * 1024
"""How much is peeked at once: the server ends the session of a leader that says nothing while it opens and applies it."""

# LREM and HDEL by id, never LTRIM: an entry that was not looked at stays, whoever else changed the list meanwhile.
_FORGET = """
for _, id in ipairs(ARGV) do
    redis.call('LREM', KEYS[1], 1, id)
    redis.call('HDEL', KEYS[2], id)
end
"""


Queue = redis.Redis | dramatiq.Broker
"""Where a producer puts its messages: Redis itself, or a dramatiq broker that is not on Redis."""


def enqueue(queue: Queue, tokens: Sequence[str]) -> None:
    """Put tokens at the end of the queue, in order; on Redis each chunk of 500 as a whole or not at all.

    Raises redis.RedisError, or the broker's ConnectionClosed: then some of the last ones may not be queued, and sending
    the same tokens again is safe.
    """
    if isinstance(queue, dramatiq.Broker):
        for token in tokens:
            queue.enqueue(received(token))
        return
    for start in range(0, len(tokens), _CHUNK):
        with queue.pipeline(transaction=True) as pipe:
            for token in tokens[start : start + _CHUNK]:
                entry_id = str(uuid4())
                pipe.hset(_BODIES, entry_id, received(token, redis_message_id=entry_id).encode())
                pipe.rpush(_LIST, entry_id)
            pipe.execute()


def received(*args: Any, kwargs: Mapping[str, Any] | None = None, **options: Any) -> dramatiq.Message[Any]:
    """The dramatiq message that calls `receive` with these arguments."""
    return dramatiq.Message(
        queue_name=MESSAGES, actor_name=RECEIVE, args=args, kwargs=dict(kwargs or {}), options=options
    )


def ring(broker: dramatiq.Broker, actor_name: str, *args: str) -> None:
    """Ask for work of the queue `work`. A ring that gets lost costs time only: the next sweep asks again."""
    try:
        broker.enqueue(dramatiq.Message(queue_name=WORK, actor_name=actor_name, args=args, kwargs={}, options={}))
    except (redis.RedisError, ConnectionClosed) as error:
        _log.warning("ring_lost", actor=actor_name, error=type(error).__name__)


# A producer may have asked for a delay, or the stock actor may have put a message off; nobody else reads that queue.
# Here and below what adds comes before what removes: a Redis without memory refuses the one and not the other.
_RECALL = """
local id = redis.call('LINDEX', KEYS[1], 0)
while id do
    local body = redis.call('HGET', KEYS[2], id)
    if body then redis.call('HSET', KEYS[4], id, body) end
    redis.call('RPUSH', KEYS[3], id)
    redis.call('HDEL', KEYS[2], id)
    redis.call('LPOP', KEYS[1])
    id = redis.call('LINDEX', KEYS[1], 0)
end
"""

_SET_ASIDE = """
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LREM', KEYS[1], 1, ARGV[1])
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies in the queue under an id; `body` is None where the id is all there is."""

    id: bytes
    body: bytes | None

    @property
    def content(self) -> bytes:
        """The body; of an id without one, a text by which it is recorded."""
        return self.body if self.body is not None else b"no body: " + self.id


class Doorbell:
    """The consumer's side of the queue `messages`: wait, peek, and forget only what is committed."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._forget = client.register_script(_FORGET)
        self._recall = client.register_script(_RECALL)
        self._set_aside = client.register_script(_SET_ASIDE)

    def wait(self, timeout_seconds: int) -> bool:
        """Whether something is there, as soon as it is: the head of the list is moved onto itself."""
        try:
            return self._client.blmove(_LIST, _LIST, timeout_seconds, src="LEFT", dest="LEFT") is not None
        except redis.exceptions.OutOfMemoryError:
            # A full Redis moves nothing, in place neither; but taking out what fills it is what mends it.
            if self._client.llen(_LIST):
                return True
            time.sleep(timeout_seconds)
            return False

    def peek(self, limit: int) -> list[Entry]:
        """The oldest entries, which stay where they are: at most so many, and few where they are large."""
        ids = self._few(cast("list[bytes]", self._client.lrange(_LIST, 0, limit - 1)))
        bodies = cast("list[bytes | None]", self._client.hmget(_BODIES, ids)) if ids else []
        return [Entry(entry_id, body) for entry_id, body in zip(ids, bodies, strict=True)]

    def _few(self, ids: list[bytes]) -> list[bytes]:
        """Those that come first, as many as are together within a bound, and one in any case."""
        with self._client.pipeline(transaction=False) as pipe:
            for entry_id in ids:
                pipe.hstrlen(_BODIES, entry_id)
            sums = accumulate(pipe.execute())
        return ids[: max(1, sum(total <= _PEEK_BYTES for total in sums))]

    def recall_delayed(self) -> None:
        """Put messages that were to be delivered later at the end of the queue; a vote has no use for waiting."""
        with suppress(redis.OutOfMemoryError):  # they stay delayed until there is room
            self._recall(keys=[_DELAYED, f"{_DELAYED}.msgs", _LIST, _BODIES])

    def set_aside(self, entry: Entry) -> None:
        """Move an entry to the end, so that those behind it come first."""
        self._set_aside(keys=[_LIST], args=[entry.id])

    def forget(self, entries: Sequence[Entry]) -> None:
        """Let go of entries whose transaction is committed."""
        if entries:
            self._forget(keys=[_LIST, _BODIES], args=[entry.id for entry in entries])


def token_of(body: bytes) -> str | None:
    """The token in an entry, or None if it is not one dramatiq message for `receive` with one token."""
    try:
        message: dramatiq.Message[Any] = dramatiq.Message.decode(body)
    except DecodeError:
        return None
    recalled = is_workable(f"{MESSAGES}.DQ", message)
    return token_in(message.args, message.kwargs) if recalled or is_workable(MESSAGES, message) else None


_FIELDS = {"actor_name": str, "kwargs": dict, "options": dict, "message_id": str, "message_timestamp": int}


def is_workable(queue_name: str, message: dramatiq.Message[Any]) -> bool:
    """Whether dramatiq can work on a message of this queue: its own dataclass does not look at what its fields are."""
    fields: dict[str, Any] = message.asdict()
    well_typed = all(isinstance(fields[name], kind) for name, kind in _FIELDS.items())
    of_producers = queue_name.removesuffix(".DQ") == MESSAGES
    return well_typed and message.queue_name == queue_name and (message.actor_name == RECEIVE or not of_producers)


def token_in(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """The token that the actor `receive` is called with, or None if it is not exactly one text."""
    return args[0] if len(args) == 1 and not kwargs and isinstance(args[0], str) else None
