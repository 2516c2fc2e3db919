"""The dramatiq actors. Each does only what a sweep would do anyway, so a lost, doubled or late message changes nothing."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from typing import Any
from uuid import UUID

import dramatiq
import structlog

from domain.lifecycle import OPEN, Status
from workers.apply import Applied
from workers.queue import MESSAGES, RECEIVE, WORK, ring
from workers.runtime import Runtime

_log = structlog.get_logger(__name__)

EXECUTABLE = frozenset({Status.APPROVED, Status.EXECUTING, Status.OUTCOME_UNKNOWN})
_PAGE = 100

_STALE_MILLISECONDS = 3_600_000
"""A ring that nobody answered for an hour is dropped: the sweep rings again for what is due."""


def _without_result(fn: Callable[..., Any]) -> Callable[..., None]:
    """The same, for dramatiq, which has nowhere to put a result and would warn of each."""

    @wraps(fn)
    def quiet(*args: Any) -> None:
        fn(*args)

    return quiet


class Actors:
    """Declares the engine's actors on a broker; `runtime` gives what the process works with, once it has booted."""

    def __init__(self, broker: dramatiq.Broker, runtime: Callable[[], Runtime]) -> None:
        self._broker = broker
        self._runtime = runtime
        # A producer's message is never given up; what is wrong with it has a receipt and is no exception.
        dramatiq.actor(actor_name=RECEIVE, queue_name=MESSAGES, broker=broker, max_retries=None)(self.receive)
        work: tuple[Callable[..., Any], ...] = (
            self.execute,
            self.ask_sira,
            self.sweep,
            self.escalate_expired_actions,
            self.auto_execute_approved_actions,
            self.relay_events,
        )
        for fn in work:
            declare = dramatiq.actor(
                actor_name=fn.__name__, queue_name=WORK, broker=broker, max_age=_STALE_MILLISECONDS
            )
            declare(_without_result(fn))

    def receive(self, *args: Any, **kwargs: Any) -> None:
        """Apply one message: the stock way to consume, on any broker, where ingest does not run.

        Called with anything but one token it quarantines what it was called with, as ingest does.
        """
        applied = self._runtime().applier.apply_calls([(args, kwargs)])
        self._ring(applied)

    def execute(self, action_id: str) -> None:
        """Make one attempt at an approved action, if it is its turn."""
        self._runtime().executor.execute(UUID(action_id))

    def ask_sira(self, alert_id: str) -> None:
        """Ask SIRA about an alert that waits for that, and decide about it by the answer."""
        runtime = self._runtime()
        self._ring(runtime.sira.decide(runtime.applier, alert_id))

    def sweep(self) -> None:
        """Apply what time does to whatever is due, and ring for what is to be executed or asked."""
        applier = self._runtime().applier
        applier.end_parking()
        self._ring(applier.find_waiting(limit=_PAGE))
        for applied in self._sweeps(OPEN | EXECUTABLE):
            self._ring(applied)

    def escalate_expired_actions(self) -> dict[str, int]:
        """Escalate or expire what waits for votes past its deadline; how many of each."""
        statuses = Counter(action.status for applied in self._sweeps(OPEN) for action in applied.actions.values())
        counts = {"escalated": statuses[Status.ESCALATED], "expired": statuses[Status.EXPIRED]}
        _log.info("escalate_expired_actions", **counts)
        return counts

    def auto_execute_approved_actions(self) -> dict[str, int]:
        """Execute, here and now, what is approved and due for execution; how many were executed and how many failed.

        An outcome that nobody knows counts as failed here, as it is not executed; one to be tried again as neither.
        """
        executor = self._runtime().executor
        due = [action_id for applied in self._sweeps(EXECUTABLE) for action_id in applied.executable]
        statuses = Counter(executor.execute(action_id) for action_id in due)
        failed = statuses[Status.FAILED] + statuses[Status.OUTCOME_UNKNOWN]
        counts = {"executed": statuses[Status.EXECUTED], "failed": failed}
        _log.info("auto_execute_approved_actions", **counts)
        return counts

    def relay_events(self) -> None:
        """Put what happened into the stream for other systems, where there is a Redis to put it."""
        if (relay := self._runtime().relay) is not None:
            relay.run()

    def _sweeps(self, statuses: Collection[Status]) -> Iterator[Applied]:
        """Sweep page by page until nothing is due, or what is due cannot be touched."""
        while True:
            applied = self._runtime().applier.sweep(statuses, limit=_PAGE)
            yield applied
            if len(applied.receipts) < _PAGE or not applied.actions:
                return

    def _ring(self, applied: Applied) -> None:
        for actor_name, about in applied.rings:
            ring(self._broker, actor_name, about)
