"""The embedded servers: PostgreSQL and a Redis-compatible Valkey from their wheels, for `ops-approval up` and the tests."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import structlog

from workers.stack import directory
from workers.stack.directory import default_data_dir
from workers.stack.postgres import DATABASE, OWNER, PORT, Postgres
from workers.stack.process import Account, Child, StackError
from workers.stack.server import Server
from workers.stack.valkey import SOCKET, Valkey

__all__ = ["Child", "Servers", "StackError", "Urls", "default_data_dir", "urls_for"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Urls:
    """How to reach the two servers, in the form of DATABASE_URL and REDIS_URL."""

    database_url: str
    redis_url: str


def urls_for(data_dir: Path) -> Urls:
    """Give the addresses of the servers of a data directory, whether they run or not."""
    run_dir = quote(os.fsencode(data_dir.resolve() / "run"))
    return Urls(
        # With the port, so that PGPORT in the environment changes nothing.
        database_url=f"postgresql://{OWNER}@/{DATABASE}?host={run_dir}&port={PORT}",
        redis_url=f"unix://{run_dir}/{SOCKET}?db=0",
    )


class Servers:
    """The PostgreSQL and the Valkey of one data directory.

    What they accepted survives kill -9 of either, and of us. On Linux they shut down when the thread that started them
    ends, so start them from one that lives as long as they shall. `durable=False` gives up surviving a crash of the
    machine for speed. `postgres` and `valkey` may be servers of other makes. Not safe for use by several threads.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        postgres: Callable[..., Postgres] = Postgres,
        valkey: Callable[..., Valkey] = Valkey,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._postgres = postgres(self._data_dir, durable=durable)
        self._valkey = valkey(self._data_dir, durable=durable)
        self._servers: tuple[Server, ...] = (self._postgres, self._valkey)
        self._account: Account | None = None
        self._lock: int | None = None

    @property
    def urls(self) -> Urls:
        """Their addresses, known before the start."""
        return urls_for(self._data_dir)

    def start(self) -> Urls:
        """Start what does not run yet and return when both answer; after an error neither is left running.

        The first start takes one or two seconds, a later one less than one, recovery longer. Raises StackError.
        """
        try:
            self._start(*self._servers)
        except BaseException:
            self.stop()
            raise
        return self.urls

    def check(self) -> None:
        """Start again a server that died; call it each second or so. Raises StackError, and the next call tries again."""
        errors = []
        for server in self._servers:
            if server.died():
                _log.warning("server_died", server=server.name)
                try:
                    self._start(server)
                except StackError as error:
                    errors.append(str(error))
        if errors:
            raise StackError(" ".join(errors))

    def stop(self) -> None:
        """Shut both down cleanly and wait, at most 30 seconds each before it is killed; no process is left."""
        for server in self._servers:
            server.ask_to_stop()
        for server in self._servers:
            server.wait_stopped()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def start_postgres(self) -> None:
        """Start PostgreSQL alone. Raises StackError."""
        self._start(self._postgres)

    def start_redis(self) -> None:
        """Start Valkey alone. Raises StackError."""
        self._start(self._valkey)

    def kill_postgres(self) -> None:
        """Kill PostgreSQL's main process with SIGKILL, for tests of recovery."""
        self._postgres.kill()

    def kill_redis(self) -> None:
        """Kill Valkey with SIGKILL, for tests of recovery."""
        self._valkey.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, *servers: Server) -> None:
        try:
            if self._lock is None:
                self._account = directory.prepare(self._data_dir)
                self._lock = directory.lock(self._data_dir)
            for server in servers:
                server.start(self._account)
        except OSError as error:
            raise StackError(
                f"The servers in {self._data_dir} cannot be started: {error}. Mend that, or choose another directory "
                f"with --data."
            ) from error
