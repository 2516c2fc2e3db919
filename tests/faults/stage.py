"""What a round is played on: servers, ledgers, the engine's processes as in production, and the naive executor.

Everything is in processes of its own, on directories of its own, and gone afterwards.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import psycopg
import redis

from db import connect, schema
from tests.faults import naive
from tests.faults.ledger import Ledger
from tests.faults.points import POINTS
from tests.faults.proxy import Proxy
from tests.faults.starter import Starter
from tests.world import ROOM, prepare
from workers import definition_files
from workers.brokers import make_broker
from workers.stack import Servers
from workers.stack.process import wait_until

DEFINITIONS = Path(__file__).with_name("definitions.yaml")
WORKERS = ("worker-1", "worker-2")
SERVICES = {"keyed": "deduplicates", "asked": "queryable", "plain": "neither"}
DISK = "size=320m"


class Stage:
    """Set up on entering: the engine is at work when that returns.

    `through_proxy` puts a proxy between the processes and Postgres, `on_small_disk` the servers on a file system that can be
    filled, `at_named_points` has every worker die at some point of `POINTS`, while the file `armed` is there.
    """

    def __init__(
        self, seed: int, *, through_proxy: bool = False, on_small_disk: bool = False, at_named_points: bool = False
    ) -> None:
        self.random = random.Random(seed)
        self.at_named_points = at_named_points
        self.clock_seconds = 0
        self.proxy = Proxy(self.random.randrange(2**32)) if through_proxy else None
        self.children: dict[str, int] = {}
        """The leader of each process group, by name."""
        self._on_small_disk = on_small_disk
        self._exits = ExitStack()
        self._conn: psycopg.Connection[dict[str, Any]] | None = None

    def __enter__(self) -> Self:
        with self._exits:
            self._set_up()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _set_up(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"ops-faults-{os.getpid()}-", dir="/tmp"))
        _clear_away(self.directory.parent)
        self._exits.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.directory.chmod(0o711)
        self.armed = self.directory / "armed"
        self.data = self.directory / "data"
        self.data.mkdir(mode=0o711)
        if self._on_small_disk:
            mount(self.data)
            self._exits.callback(subprocess.run, ["umount", "--lazy", str(self.data)], check=True)
        # What the kernel has been given outlives any death of a process; only a machine's would need fsync.
        self.servers = self._exits.enter_context(Servers(self.data, durable=False))
        self.database_url = self.servers.urls.database_url
        self.client = redis.Redis.from_url(self.servers.urls.redis_url)
        self._exits.callback(self.client.close)
        self.broker = make_broker(self.servers.urls.redis_url)
        self._exits.callback(self.broker.close)
        self.services = {
            name: self._exits.enter_context(Ledger(self.directory / name, guarantee))
            for name, guarantee in SERVICES.items()
        }
        self.naive = self._exits.enter_context(Ledger(self.directory / "naive", "neither"))
        self._starter = self._exits.enter_context(Starter())
        with connect.connect(self.database_url, "faults", role=None) as conn:
            schema.init(conn)
            definition_files.apply(conn, definition_files.read(DEFINITIONS), by="faults")
            prepare(conn)
            conn.execute(naive.TABLE)
        if self.proxy is not None:
            self.proxy.target = str(self.data / "run" / ".s.PGSQL.5432")
            self._exits.enter_context(self.proxy)
        self._exits.callback(self.stop)
        self._exits.callback(self._forget_connection)
        for name in (*WORKERS, "scheduler", "naive"):
            self.start(name)

    @property
    def conn(self) -> psycopg.Connection[dict[str, Any]]:
        """A connection with the owner's rights, past the proxy; a new one when the last is broken."""
        if self._conn is None or self._conn.closed or self._conn.broken:
            self._conn = connect.connect(self.database_url, "faults", role=None)
        return self._conn

    def rows(self, statement: str, *params: Any) -> list[dict[str, Any]]:
        """The rows of a query. Raises psycopg.Error."""
        return self.conn.execute(statement, params).fetchall()

    def start(self, name: str) -> None:
        """Start a process, or start it again with whatever is left of it killed before."""
        self.kill(name)
        command = {
            "scheduler": ["tests.faults.struck"],
            "naive": [
                "tests.faults.naive",
                self._database_url_of_processes(),
                self.servers.urls.redis_url,
                self.naive.url,
            ],
        }.get(name, ["dramatiq", "tests.faults.struck", "--queues", "work", "--processes", "1", "--threads", "4"])
        self.children[name] = self._starter.start(command, self._environment(name), self.directory / f"{name}.log")

    def kill(self, name: str) -> None:
        """Kill a process and its group with SIGKILL, if they are there."""
        if name in self.children:
            os.killpg(self.children[name], signal.SIGKILL)
            assert wait_until(lambda: not self.pids(name), 10), f"{name} does not die"
            self._starter.forget(self.children.pop(name))

    def stop(self) -> None:
        """End every process of ours but the servers and the ledgers, so that nothing is under way any more."""
        for name in [*self.children]:
            self.kill(name)

    def pids(self, name: str) -> list[int]:
        """The processes of a group that are alive, its leader first."""
        leader = self.children[name]
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
                if int(group) == leader and state not in "ZX":
                    found.append(int(stat.parent.name))
        return sorted(found)

    def _database_url_of_processes(self) -> str:
        if self.proxy is None:
            return self.database_url
        return f"postgresql://ops_owner@127.0.0.1:{self.proxy.port}/ops_approval?sslmode=disable&gssencmode=disable"

    def _environment(self, name: str) -> dict[str, str]:
        env = {
            "DATABASE_URL": self._database_url_of_processes(),
            "REDIS_URL": self.servers.urls.redis_url,
            "OPS_APPROVAL_LIMITS": ROOM.model_dump_json(),
            "OPS_APPROVAL_SERVICES": json.dumps({name: ledger.url for name, ledger in self.services.items()}),
        }
        if self.at_named_points and name != "scheduler":
            env["FAULTS_ARMED"] = str(self.armed)
            env["FAULTS_POINT"] = self.random.choice(sorted(POINTS)) if name in WORKERS else "after the call"
            env["FAULTS_COUNTDOWN"] = str(self.random.randrange(6))
        if self.clock_seconds:
            env["FAULTS_CLOCK_SECONDS"] = str(self.clock_seconds * (-1 if name == WORKERS[1] else 1))
        return env

    def _forget_connection(self) -> None:
        if self._conn is not None:
            self._conn.close()


def mount(directory: Path) -> None:
    """Put a small file system in memory there. Raises PermissionError with the reason where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"{DISK},mode=0711", "tmpfs", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermissionError(f"a small file system cannot be mounted: {done.stderr.strip()}")


def _clear_away(place: Path) -> None:
    """Remove the directories of harnesses that were killed."""
    for left in place.glob("ops-faults-*-*"):
        if not Path(f"/proc/{left.name.split('-')[2]}").exists():
            if (left / "data").is_mount():
                subprocess.run(["umount", "--lazy", str(left / "data")], check=False)
            shutil.rmtree(left, ignore_errors=True)
