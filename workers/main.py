"""What `dramatiq workers.main --queues work` runs: the actors, and in each process a thread for ingest.

One of those threads drains the queue `messages`, the others stand by. A thread and not a process of its own, because
dramatiq's master does not notice when a forked helper dies; a worker process that dies it does notice.

With RabbitMQ (`BROKER_URL`), or with `OPS_APPROVAL_INGEST=false`, leave `--queues work` away: then the stock actor takes
the messages, one at a time.
"""

import threading

import dramatiq
from dramatiq.middleware import Middleware

from workers import logs
from workers.actors import Actors
from workers.brokers import is_rabbitmq, make_broker
from workers.ingest import Ingest
from workers.runtime import Runtime
from workers.settings import Settings, of_process

_DRAIN_SECONDS = 5
"""How long ingest may take for the batch at hand when the process is asked to stop."""


class RuntimeMiddleware(Middleware):
    """Gives each worker process its runtime and its ingest, after the fork, and ends both at shutdown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runtime: Runtime | None = None
        self._ingest: Ingest | None = None
        self._thread: threading.Thread | None = None

    def runtime(self) -> Runtime:
        """What the actors of this process work with; there is one from boot to shutdown."""
        if self._runtime is None:
            raise RuntimeError("the worker has not booted: run this module with dramatiq")
        return self._runtime

    def before_worker_boot(self, broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        self._runtime = Runtime.open(self._settings)
        if self._settings.ingest and not is_rabbitmq(self._settings.broker):
            self._ingest = Ingest(self._settings, broker)
            # A daemon, because a second signal makes dramatiq leave without asking anybody; the queue keeps what is not done.
            self._thread = threading.Thread(target=self._ingest.run, name="ingest", daemon=True)
            self._thread.start()

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        """Let ingest finish the batch at hand; what it cannot finish is still in the queue."""
        if self._ingest is not None and self._thread is not None:
            self._ingest.stopping.set()
            self._thread.join(_DRAIN_SECONDS)

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        if self._runtime is not None:
            self._runtime.close()


logs.configure()
_settings = of_process()
_middleware = RuntimeMiddleware(_settings)
broker = make_broker(_settings.broker, _middleware)
dramatiq.set_broker(broker)
actors = Actors(broker, _middleware.runtime)
