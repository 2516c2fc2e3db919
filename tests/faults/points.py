"""Named points at which a process kills itself, chosen by its environment; and its clock, if that shall be wrong.

`FAULTS_POINT` names the point, `FAULTS_COUNTDOWN` says how often it is passed before. `FAULTS_CLOCK_SECONDS` is added to
what the process takes for the time.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from db import due
from domain import executing, outcomes
from workers import apply, execution
from workers.handlers import http
from workers.handlers.http import HttpHandler
from workers.queue import Doorbell

POINTS: dict[str, tuple[Any, str, bool]] = {
    "before the attempt": (due, "draw_token", True),
    "before the call": (HttpHandler, "call", False),
    "in the call": (http._Wire, "trace", True),  # at one of the steps that the transport reports
    "after the call": (HttpHandler, "call", True),
    "before the asking": (execution, "ask", False),
    "after the asking": (execution, "ask", True),
    "before the commit": (apply, "save", True),
    "before the forgetting": (Doorbell, "forget", False),
    "after the forgetting": (Doorbell, "forget", True),
}
"""By what is struck: the function, and whether after it did its work or before."""

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
    if os.environ.get("FAULTS_POINT") != point:
        return False
    _countdown -= 1
    return _countdown < 0


def arm() -> None:
    """Have this process die at the point that its environment names."""
    if (point := os.environ.get("FAULTS_POINT")) is None:
        return
    owner, name, afterwards = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)

    def struck(*given: Any) -> Any:
        if not afterwards and is_reached(point):
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*given)
        if afterwards and is_reached(point):
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
