"""Faults of the engine's own processes, and of the services that they call."""

import os
import signal
import time
from contextlib import suppress
from typing import ClassVar

from tests.faults.fault import Fault
from tests.faults.points import LEASE_MARGIN_SECONDS, LEASE_SECONDS
from tests.faults.stage import WORKERS
from workers.stack.process import wait_until


class KilledAtRandom(Fault):
    """kill -9 of some processes of the engine, at any moment, and of the naive executor."""

    name = "kill -9 at random"
    unit = "kills"

    def strike(self) -> int:
        time.sleep(self.random.uniform(0, 0.5))
        self._struck = self.random.sample([*WORKERS, "scheduler"], self.random.randint(1, 3))
        victims = [self.random.choice(pids) for name in self._struck if (pids := self.stage.pids(name))]
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stage.kill("naive")
        return len(victims)

    def heal(self) -> int:
        for name in [*self._struck, "naive"]:
            self.stage.start(name)
        return 0


class KilledAtPoints(Fault):
    """kill -9 at named points, around attempt, call, commit and forgetting; of the control between call and commit."""

    name = "kill -9 at named points"
    unit = "kills"
    needs: ClassVar = {"at_named_points": True}
    control_doubles = True

    def strike(self) -> int:
        wanted = self.random.randint(1, len(WORKERS))
        self.stage.armed.touch()
        wait_until(lambda: len(self._dead(*WORKERS)) >= wanted, 4)
        return 0

    def heal(self) -> int:
        self.stage.armed.unlink()
        dead = self._dead(*WORKERS)
        # Where nobody came to a point, one begins anew, with another point.
        for name in [*(dead or [self.random.choice(WORKERS)]), *self._dead("naive")]:
            self.stage.start(name)
        return len(dead)

    def _dead(self, *names: str) -> list[str]:
        # A worker is a process and its leader, who follows it but takes its time.
        return [name for name in names if len(self.stage.pids(name)) < (2 if name in WORKERS else 1)]


class StoppedPastTheLease(Fault):
    """SIGSTOP of a whole worker until others have concluded from its silence, then SIGCONT."""

    name = "SIGSTOP past the lease"
    unit = "stops"
    holds_seconds = LEASE_SECONDS + LEASE_MARGIN_SECONDS

    def strike(self) -> int:
        self._pids = self.stage.pids(self.random.choice(WORKERS)) + self.stage.pids("naive")
        self._signal(signal.SIGSTOP)
        return 1

    def heal(self) -> int:
        self._signal(signal.SIGCONT)
        return 0

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class ClockSkewed(Fault):
    """Workers, one an hour ahead and one an hour behind, and a scheduler that is ahead."""

    name = "clocks skewed by an hour"
    holds_seconds = 3

    def strike(self) -> int:
        self._restart(3600)
        return 1

    def heal(self) -> int:
        self._restart(0)
        return 0

    def _restart(self, clock_seconds: int) -> None:
        self.stage.clock_seconds = clock_seconds
        for name in (*WORKERS, "scheduler"):
            self.stage.start(name)


class AnswersLost(Fault):
    """Services that do what they are asked and break the connection in place of an answer."""

    name = "answers of services lost"
    unit = "spells"
    holds_seconds = 2

    def strike(self) -> int:
        self._lose(50)
        return 1

    def heal(self) -> int:
        self._lose(0)
        return 0

    def _lose(self, percent: int) -> None:
        for ledger in (*self.stage.services.values(), self.stage.naive):
            ledger.lose_answers(percent)


class ServicesKilled(Fault):
    """kill -9 of every service while it is called; it comes back at its address with what is in its file."""

    name = "service kill -9"
    unit = "kills"
    holds_seconds = 0.3

    def strike(self) -> int:
        self.workload.send_shuffled(actions=8, copies=1)
        time.sleep(self.random.uniform(0, 0.5))
        self._ledgers = [*self.stage.services.values(), self.stage.naive]
        for ledger in self._ledgers:
            ledger.kill()
        return len(self._ledgers)

    def heal(self) -> int:
        for ledger in self._ledgers:
            ledger.start()
        return 0
