"""Named points at which a process kills itself, chosen by its environment; and its clock, if that shall be wrong.

`FAULTS_POINT` names the point, `FAULTS_COUNTDOWN` says how often it is passed before, while the file `FAULTS_ARMED` is there.
`FAULTS_CLOCK_SECONDS` is added to what the process takes for the time.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from db import due, events
from domain import executing, outcomes
from domain.executing import AttemptFinished
from workers import apply, execution
from workers.apply import Applier
from workers.handlers.http import HttpHandler
from workers.handlers.wire import Wire
from workers.queue import Doorbell


class Point(NamedTuple):
    """What is struck there: a function, after it did its work or before, and only with such an input among its last argument."""

    owner: Any
    name: str
    afterwards: bool
    concerned_with: type | None = None


POINTS = {
    "after the claim": Point(due, "claim", afterwards=True),
    "before the attempt": Point(due, "draw_token", afterwards=True),
    "before the call": Point(HttpHandler, "call", afterwards=False),
    "in the call": Point(Wire, "trace", afterwards=True),  # at one of the steps that the transport reports
    "after the call": Point(HttpHandler, "call", afterwards=True),
    "before the outcome is committed": Point(Applier, "_fold", afterwards=True, concerned_with=AttemptFinished),
    "after the outcome is committed": Point(Applier, "_transact", afterwards=True, concerned_with=AttemptFinished),
    "before the asking": Point(execution, "ask", afterwards=False),
    "after the asking": Point(execution, "ask", afterwards=True),
    "before any commit": Point(apply, "save", afterwards=True),
    "before the forgetting": Point(Doorbell, "forget", afterwards=False),
    "after the forgetting": Point(Doorbell, "forget", afterwards=True),
    "between the stream and its cursor": Point(events, "advance", afterwards=False),
}

LEASE_SECONDS = 3
LEASE_MARGIN_SECONDS = 3
SHORTER: tuple[tuple[Any, str, float], ...] = (
    (executing, "LEASE_SECONDS", LEASE_SECONDS),
    (execution, "LEASE_SECONDS", LEASE_SECONDS),
    (execution, "RENEW_SECONDS", LEASE_SECONDS / 3),
    (outcomes, "LEASE_MARGIN_SECONDS", LEASE_MARGIN_SECONDS),
    (execution, "LEASE_MARGIN_SECONDS", LEASE_MARGIN_SECONDS),
    (executing, "NUDGE_AGAIN_SECONDS", 2),
)

_countdown = int(os.environ.get("FAULTS_COUNTDOWN", "0"))


def is_reached(point: str) -> bool:
    """Whether this process shall die here and now."""
    global _countdown  # noqa: PLW0603 - a process dies once
    if os.environ.get("FAULTS_POINT") != point or not Path(os.environ["FAULTS_ARMED"]).exists():
        return False
    _countdown -= 1
    return _countdown < 0


def arm() -> None:
    """Have this process die at the point that its environment names."""
    if (point := os.environ.get("FAULTS_POINT")) is None:
        return
    owner, name, afterwards, concerned_with = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)

    def struck(*given: Any) -> Any:
        concerned = concerned_with is None or any(isinstance(one, concerned_with) for one in given[-1])
        if concerned and not afterwards and is_reached(point):
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*given)
        if concerned and afterwards and is_reached(point):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, struck)


def shorten_leases() -> None:
    """Have leases end after seconds: nothing is decided by their length, and a test need not wait for it."""
    for owner, name, seconds in SHORTER:
        setattr(owner, name, seconds)


def skew_clock() -> None:
    """Put this process's clock forward or back."""
    if (skew := float(os.environ.get("FAULTS_CLOCK_SECONDS", "0"))) != 0:
        true_time = time.time
        time.time = lambda: true_time() + skew
