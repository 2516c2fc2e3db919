"""The relay: puts what happened into a stream of Redis, for other systems; at least once, and of each action in order.

An entry is there before the cursor knows of it, so a crash in between only repeats. What Redis loses, all of it or the end, is
put there again: the cursor knows where the stream must at least end. Who consumes it, and how: docs/events.md.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import psycopg
import redis
import structlog

from db import events
from db.connect import Connection
from domain.outgoing import Outgoing
from workers import logs

_log = structlog.get_logger(__name__)

STREAM = "ops_approval:events"
"""The stream's key."""

KEPT = 100_000
"""About how many entries the stream keeps. Some 200 bytes each, that is 20 MB of the memory that the queue is in too."""

_PAGE = 500
_PATIENCE_SECONDS = 5


class Relay:
    """Puts the events of one database into the stream of one Redis. Any number may run: one at a time does it."""

    def __init__(self, connections: Callable[[], AbstractContextManager[Connection]], redis_url: str) -> None:
        self._connections = connections
        patience = {"socket_connect_timeout": _PATIENCE_SECONDS, "socket_timeout": _PATIENCE_SECONDS}
        self._client = redis.Redis.from_url(redis_url, **patience)

    def close(self) -> None:
        """Let go of the connections to Redis."""
        self._client.close()

    def run(self) -> int:
        """Put out all that has happened since the last time; how many events, none if another relay is at it.

        Trouble with Redis is logged, and changes nothing: the next run begins where this one did. Raises psycopg.Error.
        """
        try:
            with self._connections() as conn, conn.transaction():
                cursor = events.claim(conn)
                return 0 if cursor is None else self._put_out(conn, cursor)
        except psycopg.errors.SerializationFailure:
            return 0  # another relay was faster
        except redis.RedisError as error:
            _log.warning("relay_waits", error=type(error).__name__, reason=logs.why_no_connection(error))
            return 0

    def _put_out(self, conn: Connection, cursor: events.Cursor) -> int:
        if cursor.entry_id is not None and _newest(self._client) < _parsed(cursor.entry_id):
            _log.warning("stream_lost", newest=cursor.entry_id)
            cursor = events.BEGINNING
        if cursor.seen is None:
            _log.info("relay_begins")
        count, entry_id = 0, cursor.entry_id
        for page in events.unseen(conn, cursor, page=_PAGE, again=KEPT):
            entry_id = self._add(page, entry_id, is_ours=count > 0)
            count += len(page)
        events.advance(conn, entry_id)
        return count

    def _add(self, page: Sequence[Outgoing], after: str | None, *, is_ours: bool) -> str:
        """Add entries at the end of a stream that has the entry `after`, and ends with it if that is ours; the last one's id.

        Raises redis.WatchError if it does not, so that a relay that slept while another took over comes to nothing in
        between, and a Redis that lost its end just now is noticed.
        """
        with self._client.pipeline() as pipe:
            pipe.watch(STREAM)  # type: ignore[no-untyped-call]  # redis leaves it untyped
            newest, known = _newest(pipe), _parsed(after or "0-0")
            if newest < known or (is_ours and newest != known):
                raise redis.WatchError("The stream is not what it was.")
            pipe.multi()
            for item in page:
                pipe.xadd(STREAM, cast("dict[Any, Any]", item.fields()), maxlen=KEPT, approximate=True)
            return str(pipe.execute()[-1].decode())


def _newest(client: redis.Redis) -> tuple[int, ...]:
    """The id of the newest entry that the stream ever had; (0, 0) if there is no stream."""
    if not client.exists(STREAM):
        return 0, 0
    told = cast("dict[str, bytes]", client.xinfo_stream(STREAM))
    return _parsed(told["last-generated-id"].decode())


def _parsed(entry_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in entry_id.split("-"))
