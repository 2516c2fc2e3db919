"""The processes that `test_crashes` kills: `python -m tests.workers.test_crashes_child PART WHERE [ACTION or ALERT]`.

PART is what runs: `ingest`, `relay` over and over, `execute` for one attempt at an action, or `ask` SIRA about an alert. WHERE is
where it is struck, once; the rest of its life it does what it does in production. The servers are those of DATABASE_URL and
REDIS_URL.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import UUID

import httpx

from db import events
from db.connect import pool
from db.load import Loader
from domain import internal
from workers import apply, ingest, logs
from workers.apply import Applier
from workers.brokers import make_broker
from workers.execution import Executor
from workers.handlers.http import HttpHandler
from workers.queue import Doorbell
from workers.relay import Relay
from workers.runtime import Runtime
from workers.settings import Settings
from workers.sira import Sira

STRUCK: dict[str, tuple[Any, str, bool, signal.Signals]] = {
    "before the forgetting": (Doorbell, "forget", False, signal.SIGKILL),
    "before the commit": (apply, "save", True, signal.SIGKILL),
    "in the transaction": (apply, "save", False, signal.SIGSTOP),
    "while the engine does it": (internal, "perform", True, signal.SIGKILL),
    "after the engine did it": (Executor, "_write_down", True, signal.SIGKILL),
    "before the cursor": (events, "advance", False, signal.SIGKILL),
    "asleep before the cursor": (events, "advance", False, signal.SIGSTOP),
    "asleep between two pages": (Relay, "_add", True, signal.SIGSTOP),
    "before the call": (HttpHandler, "call", False, signal.SIGKILL),
    "after the call": (HttpHandler, "call", True, signal.SIGKILL),
    "after the answer": (Sira, "recommend", True, signal.SIGKILL),
}
"""By what is struck: the function, whether after it did its work or before, and with which signal."""


def strike(where: str) -> None:
    owner, name, afterwards, number = STRUCK[where]
    original: Callable[..., Any] = getattr(owner, name)

    def struck(*given: Any, **named: Any) -> Any:
        setattr(owner, name, original)
        if not afterwards:
            os.kill(os.getpid(), number)
        result = original(*given, **named)
        if afterwards:
            os.kill(os.getpid(), number)
        return result

    setattr(owner, name, struck)


def main() -> None:
    part, where = sys.argv[1:3]
    logs.configure()
    settings = Settings()
    if where in STRUCK:
        strike(where)
    if part == "ingest":
        ingest.Ingest(settings, make_broker(settings.servers.redis_url)).run()
        return
    if part == "ask":
        with closing(Runtime.open(settings)) as runtime:
            runtime.sira.decide(runtime.applier, sys.argv[3])
        return
    with closing(pool(settings.servers.database_url, "tests", max_size=2)) as connections:
        connections.open()
        if part == "relay":
            relay = Relay(connections.connection, settings.servers.redis_url)
            while True:
                relay.run()
        services = {name: str(url) for name, url in settings.services.items()}
        applier = Applier(connections.connection, Loader(settings.audience))
        Executor(applier, services, httpx.Client(trust_env=False)).execute(UUID(sys.argv[3]))


if __name__ == "__main__":
    main()
