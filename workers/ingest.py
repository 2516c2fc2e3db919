"""Ingest: the one drainer of the queue `messages`, by peek, commit and forget.

Entries stay in the list until the transaction that applied them is committed, so a crash at any point loses nothing and
delivers again what came twice anyway. One process drains; replicas stand by on a lock in Postgres that lives as long as
the leader's connection. Delete this file and the stock actor `receive` does the same, one message at a time.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dramatiq
import psycopg
import redis
import structlog

from db import connect, leader, schema
from db.connect import Connection
from db.load import Loader
from db.schema import SchemaError
from workers import logs
from workers.apply import Applier, is_transient
from workers.checks import gather
from workers.queue import Doorbell, Entry, ring
from workers.settings import Settings

_log = structlog.get_logger(__name__)

BATCH = 200
_WAIT_SECONDS = 1
_PAUSE_SECONDS = 0.5
_FAILURES_ALONE = 3

# A leader that is stopped, or cut off, must lose the lock: the server ends a session that says nothing for this long, and
# with it the lock. The loop speaks at least once in `_WAIT_SECONDS`.
_SILENCE = {"idle_session_timeout": "5s", "idle_in_transaction_session_timeout": "5s"}


class Ingest:
    """Drains the queue `messages` of one installation until told to stop."""

    def __init__(self, settings: Settings, broker: dramatiq.Broker, *, batch: int = BATCH) -> None:
        self._settings = settings
        self._broker = broker
        self._batch = self._size = batch
        self._failures = 0
        self._loader = Loader(settings.audience, settings.limits, settings.recommendation_threshold)
        self._client = redis.Redis.from_url(settings.servers.redis_url)
        self._doorbell = Doorbell(self._client)
        self.stopping = threading.Event()

    def run(self) -> None:
        """Drain until `stopping` is set; trouble with either server is logged and waited out."""
        while not self.stopping.is_set():
            try:
                with connect.connect(self._settings.servers.database_url, "ops-approval ingest", **_SILENCE) as conn:
                    self._lead(conn)
            except SchemaError as error:
                _log.error("ingest_waits", error=str(error))
            except (psycopg.Error, redis.RedisError) as error:
                _log.warning("ingest_waits", error=type(error).__name__, reason=logs.why_no_connection(error))
            except Exception:  # noqa: BLE001 - a defect of ours must not end the draining of what is good
                _log.exception("ingest_failed")
            self.stopping.wait(_PAUSE_SECONDS)
        self._client.close()

    def _lead(self, conn: Connection) -> None:
        """Stand by until the lock is free, then drain.

        Lock and transactions share one connection: who lost the lock has lost the connection too and cannot commit.
        """
        schema.check(conn)
        self._client.ping()
        gather.log([*gather.postgres_at_start(conn), *gather.redis_at_start(self._client)])
        while not leader.try_lead(conn):
            if self.stopping.wait(_PAUSE_SECONDS):
                return
        _log.info("ingest_leads")
        applier = Applier(lambda: _lent(conn), self._loader)
        recall_at = 0.0
        while not self.stopping.is_set():
            if time.monotonic() >= recall_at:
                self._doorbell.recall_delayed()
                recall_at = time.monotonic() + _WAIT_SECONDS
            if self._doorbell.wait(_WAIT_SECONDS):
                self.drain_once(applier)
            else:
                leader.still_there(conn)

    def drain_once(self, applier: Applier) -> int:
        """Apply one batch and forget it after the commit; how many entries were forgotten.

        What looks as if it would pass by itself may be one message's doing after all, such as a trigger that it meets or a
        statement that it makes too slow. So a batch that fails comes back half as large, until the culprit is alone; that
        one goes behind the others when it has failed alone some times.
        """
        entries = self._doorbell.peek(self._size)
        try:
            count = self._drain(applier, entries)
        except Exception:
            self._size = max(1, len(entries) // 2)
            self._failures = self._failures + 1 if len(entries) == 1 else 0
            if self._failures >= _FAILURES_ALONE:
                self._set_aside(entries[0])
            raise
        self._size, self._failures = min(self._batch, 2 * self._size), 0
        return count

    def _drain(self, applier: Applier, entries: Sequence[Entry]) -> int:
        try:
            applied = applier.apply_entries([entry.content for entry in entries])
        except Exception as error:
            if is_transient(error):
                raise
            if len(entries) > 1:
                return sum(self._drain(applier, [entry]) for entry in entries)
            self._set_aside(entries[0])
            self.stopping.wait(_PAUSE_SECONDS)
            return 0
        for actor_name, about in applied.rings:
            ring(self._broker, actor_name, about)
        self._doorbell.forget(entries)
        return len(entries)

    def _set_aside(self, entry: Entry) -> None:
        """Not even its record can be written: it stays in the queue, behind the others, until somebody mends the cause."""
        _log.exception("message_not_recorded", entry=entry.id.decode(errors="replace"))
        self._failures = 0
        self._doorbell.set_aside(entry)


@contextmanager
def _lent(conn: Connection) -> Iterator[Connection]:
    yield conn
