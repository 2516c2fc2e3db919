"""What `dramatiq workers.main` runs, but that one action kills the process that calls for it; for `test_supervision`."""

import os
import signal

from domain.outcome import Outcome
from workers.handlers import Call
from workers.handlers.http import HttpHandler
from workers.main import broker

__all__ = ["broker"]

_call = HttpHandler.call


def dying(self: HttpHandler, call: Call) -> Outcome:
    """Die of the poison, as an interpreter that runs out of memory does: without a word."""
    if call.params.get("poison"):
        os.kill(os.getpid(), signal.SIGKILL)
    return _call(self, call)


HttpHandler.call = dying  # type: ignore[method-assign]
