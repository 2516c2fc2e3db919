"""The scheduler: looks twice a second whether anything is due, or to be told to other systems, and rings for that.

It rings the periodic actors too. It decides nothing, so any number may run: one of them claims each period of a periodic
actor in the database.
"""

import signal
import threading
from types import FrameType

import dramatiq
import psycopg
import redis
import structlog
from dramatiq.errors import ConnectionClosed

from db import connect, due, events, schema
from db.connect import Connection
from db.schema import SchemaError
from workers import logs
from workers.brokers import count_waiting, make_broker
from workers.checks import gather
from workers.queue import ring
from workers.settings import Settings, of_process

_log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
_ENOUGH_RINGS = 50

_RELAY_EVERY_SECONDS = 60
"""How often the relay looks after its stream though nothing happens: Redis may have lost it."""


class Scheduler:
    """Rings for sweeps and for the periodic actors until told to stop."""

    def __init__(self, settings: Settings, broker: dramatiq.Broker) -> None:
        self._settings = settings
        self._broker = broker
        self._periods = {
            "escalate_expired_actions": settings.escalate_every_seconds,
            "auto_execute_approved_actions": settings.auto_execute_every_seconds,
        }
        if settings.stream:
            self._periods["relay_events"] = _RELAY_EVERY_SECONDS
        self.stopping = threading.Event()

    def run(self) -> None:
        """Tick until `stopping` is set; trouble with either server is logged and waited out."""
        while not self.stopping.is_set():
            try:
                with connect.connect(self._settings.servers.database_url, connect.SCHEDULER) as conn:
                    schema.check(conn)
                    count_waiting(self._broker)  # raises while the broker does not answer
                    gather.log(gather.at_start(conn, self._settings))
                    while not self.stopping.wait(TICK_SECONDS):
                        self.tick(conn)
            except SchemaError as error:
                _log.error("scheduler_waits", error=str(error))
            except (psycopg.Error, redis.RedisError, ConnectionClosed) as error:
                _log.warning("scheduler_waits", error=type(error).__name__, reason=logs.why_no_connection(error))
            self.stopping.wait(TICK_SECONDS)

    def tick(self, conn: Connection) -> None:
        """Ring for what is due now, unless so many rings wait already that nobody can be listening."""
        if count_waiting(self._broker) > _ENOUGH_RINGS:
            return
        if due.is_anything_due(conn):
            ring(self._broker, "sweep")
        if self._settings.stream and events.is_anything_unseen(conn):
            ring(self._broker, "relay_events")
        for actor_name, period_seconds in self._periods.items():
            if due.claim_period(conn, actor_name, period_seconds):
                ring(self._broker, actor_name)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    logs.configure()
    settings = of_process()
    scheduler = Scheduler(settings, make_broker(settings.broker))

    def stop(_signal: int, _frame: FrameType | None) -> None:
        scheduler.stopping.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    scheduler.run()


if __name__ == "__main__":
    main()
