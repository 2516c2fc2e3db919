"""What `dramatiq workers.main --queues work` runs: the actors, and ingest in a process beside them.

On a broker other than Redis leave `--queues` away and set `OPS_APPROVAL_INGEST=false`: then the stock actor takes the
messages, one at a time.
"""

import signal
from collections.abc import Callable
from types import FrameType

import dramatiq
from dramatiq.middleware import Middleware

from workers import logs
from workers.actors import Actors
from workers.ingest import Ingest
from workers.queue import make_broker
from workers.runtime import Runtime
from workers.settings import Settings


class RuntimeMiddleware(Middleware):
    """Opens the process's runtime after the fork and before its first message, and closes it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runtime: Runtime | None = None

    def runtime(self) -> Runtime:
        """What the actors of this process work with; there is one from boot to shutdown."""
        if self._runtime is None:
            raise RuntimeError("the worker has not booted: run this module with dramatiq")
        return self._runtime

    @property
    def forks(self) -> list[Callable[[], int]]:
        """Functions that dramatiq's master runs in processes of their own."""
        return [run_ingest] if self._settings.ingest else []

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        self._runtime = Runtime.open(self._settings)

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        if self._runtime is not None:
            self._runtime.close()


logs.configure()
_settings = Settings()
_middleware = RuntimeMiddleware(_settings)
broker = make_broker(_settings.servers.redis_url, _middleware)
dramatiq.set_broker(broker)
actors = Actors(broker, _middleware.runtime)


def run_ingest() -> int:
    """Drain the queue `messages` until SIGTERM; the batch at hand is finished first."""
    ingest = Ingest(_settings, broker)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        ingest.stopping.set()

    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, stop)
    ingest.run()
    return 0
