"""A whole installation on one machine: servers, schema, keys, worker and scheduler, started and kept alive together."""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog

from db import connect, keys, schema
from db.definitions import needs_agreement
from domain.internal_types import CHANGES
from domain.keys import Scope
from workers import definition_files
from workers.envelope import SigningKey
from workers.settings import Settings
from workers.stack import Child, Servers, StackError, Urls

_log = structlog.get_logger(__name__)

DRAIN_SECONDS = 20
"""How long the calls under way may take when the worker is asked to stop."""

STOP_SECONDS = 40
"""How long a process may take to stop before it is killed."""

SCOPES = {
    "alerts": Scope(types=("RemediateAlert", "CreateAction", "CancelAction"), origins=("alert",), action_types=("*",)),
    "sira": Scope(types=("RecommendAction", "CreateAction", "CancelAction"), origins=("sira",), action_types=("*",)),
    "ops-tooling": Scope(
        types=("CreateAction", "CastVote", "ExecuteAction", "CancelAction"),
        origins=("ops_ui",),
        action_types=("*",),
        roles=("*",),
    ),
    "directory": Scope(types=("SyncDirectory",)),
    "definitions": Scope(
        types=("CreateAction", "CancelAction"), origins=("ops_ui",), action_types=tuple(sorted(CHANGES)), roles=("*",)
    ),
}
"""The issuers of a new installation and what each may send. Nobody who casts votes may say who people are or ask for changes."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running installation: where its servers are, and where its issuers' keys lie."""

    urls: Urls
    keys: Path

    def key(self, issuer: str) -> SigningKey:
        """An issuer's private key."""
        return SigningKey.read(self.keys / f"{issuer}.json")


class Supervisor:
    """Keeps the servers, the worker and the scheduler of one data directory running.

    Everything stops with the process (and, on Linux, dies with it), and a start after any end finds all that was
    committed. With `DATABASE_URL` and `REDIS_URL` in `settings` it starts no servers and uses those.
    """

    def __init__(self, settings: Settings, *, log: Path | None = None) -> None:
        self._settings = settings
        self._servers = None if settings.database_url else Servers(settings.data)
        env = self._environment()
        python = [sys.executable, "-m"]
        dramatiq = ["dramatiq", "workers.main", "--processes", "1", "--threads", "8"]
        dramatiq += ["--worker-shutdown-timeout", str(DRAIN_SECONDS * 1000)]
        if not settings.broker_url:
            dramatiq += ["--queues", "work"]  # ingest takes the messages
        self._children = [
            Child("worker", [*python, *dramatiq], env, log),
            Child("scheduler", [*python, "workers.scheduler"], env, log),
        ]

    def _environment(self) -> Mapping[str, str]:
        urls = self._settings.servers
        services = {name: str(url) for name, url in self._settings.services.items()}
        return os.environ | {
            "DATABASE_URL": urls.database_url,
            "REDIS_URL": self._settings.stream or "",
            "BROKER_URL": self._settings.broker_url,
            "OPS_APPROVAL_AUDIENCE": self._settings.audience,
            "OPS_APPROVAL_SERVICES": json.dumps(services),
        }

    def start(self) -> Stack:
        """Start everything and return when it is ready for messages. Raises StackError, SchemaError or psycopg.Error."""
        if self._servers is not None:
            self._servers.start()
        stack = Stack(self._settings.servers, self._settings.data / "keys")
        with connect.connect(stack.urls.database_url, "ops-approval up", role=None) as conn:
            if schema.init(conn):
                definition_files.apply(conn, definition_files.shipped(), by="ops-approval up")
            schema.check(conn)
            ensure_keys(conn, stack.keys)
        for child in self._children:
            child.start()
        return stack

    def run(self, stopping: threading.Event) -> None:
        """Bring back whatever dies, until told to stop."""
        while not stopping.wait(1):
            try:
                if self._servers is not None:
                    self._servers.check()
            except StackError as error:
                _log.error("server_does_not_start", error=str(error))
            for child in self._children:
                if child.restart_if_dead():
                    _log.warning("restarted", process=child.name, pid=child.pid)

    def stop(self) -> None:
        """Stop everything, the worker first, so that it can still write down what it has done."""
        for child in self._children:
            child.terminate(STOP_SECONDS)
        if self._servers is not None:
            self._servers.stop()


@contextmanager
def running(settings: Settings, *, log: Path | None = None) -> Iterator[tuple[Stack, Supervisor]]:
    """A started installation that is stopped at the end, however it comes. Raises what `Supervisor.start` does."""
    supervisor = Supervisor(settings, log=log)
    try:
        yield supervisor.start(), supervisor
    finally:
        supervisor.stop()


def ensure_keys(conn: connect.Connection, directory: Path) -> None:
    """Give every issuer of a new installation a key: a file that only we may read, and its public half in the database.

    Once there is a directory, keys need approval, and nothing is done here.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if needs_agreement(conn):
        return
    registered = {row["kid"] for row in keys.list_keys(conn)}
    for issuer, scope in SCOPES.items():
        path = directory / f"{issuer}.json"
        if not path.exists():
            SigningKey.generate(f"{issuer}-{uuid4().hex[:8]}", issuer).write(path)
        try:
            key = SigningKey.read(path)
        except ValueError as error:
            raise StackError(f"{error}. Move that file away and a new key is made.") from None
        if key.kid not in registered:
            keys.add_key(conn, key.kid, issuer, key.public_bytes, scope)
