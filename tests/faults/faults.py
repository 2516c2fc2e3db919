"""The faults: what is done to a stage while it works, and how it is healed. Each strike draws from the round's seed."""

import os
import signal
import threading
import time
from contextlib import suppress
from typing import ClassVar

import psycopg
import redis

from tests.faults.points import LEASE_MARGIN_SECONDS, LEASE_SECONDS
from tests.faults.stage import WORKERS, Stage
from tests.faults.workload import Workload
from workers.stack import StackError
from workers.stack.process import wait_until


class Fault:
    """One kind of trouble. `needs` is how the stage must be set up for it, `holds_seconds` how long it lasts."""

    name: ClassVar[str]
    unit: ClassVar[str] = "strikes"
    needs: ClassVar[dict[str, bool]] = {}
    holds_seconds: ClassVar[float] = 0.0
    redis_forgets: ClassVar[bool] = False
    """Whether messages may be gone that Redis had taken."""
    control_doubles: ClassVar[bool] = False
    """Whether the control is sure to double an effect."""

    def __init__(self, stage: Stage, workload: Workload) -> None:
        self.stage = stage
        self.workload = workload
        self.random = stage.random

    def strike(self) -> int:
        """Do harm once; how much, counted in `unit`."""
        raise NotImplementedError

    def heal(self) -> int:
        """Have everything run that should run; how much harm was done since `strike`."""
        raise NotImplementedError

    def end(self) -> None:
        """Leave nothing behind that could strike again; there will be no strike more."""


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
        wait_until(lambda: bool(self._dead(*WORKERS)), 8)
        return len(self._dead(*WORKERS))

    def heal(self) -> int:
        # Where nobody came to a point, one begins anew, with another point.
        for name in self._dead(*WORKERS, "naive") or [self.random.choice(WORKERS)]:
            self.stage.start(name)
        return 0

    def end(self) -> None:
        self.stage.at_named_points = False
        for name in (*WORKERS, "naive"):
            self.stage.start(name)

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


class PostgresStopped(Fault):
    """What `pg_ctl stop -m immediate` does, and a start with recovery."""

    name = "Postgres stop -m immediate"
    unit = "stops"
    holds_seconds = 0.2

    def strike(self) -> int:
        time.sleep(self.random.uniform(0, 0.5))
        process = self.stage.servers._postgres._process
        assert process is not None
        process.send_signal(signal.SIGQUIT)
        process.wait()
        return 1

    def heal(self) -> int:
        self.stage.servers.start_postgres()
        return 0


class RedisKilled(Fault):
    """kill -9 of Redis, which reads its append-only file when it comes back."""

    name = "Redis kill -9"
    unit = "kills"
    holds_seconds = 0.2

    def strike(self) -> int:
        self.workload.send_shuffled(actions=8, copies=1)
        time.sleep(self.random.uniform(0, 0.05))
        self.stage.servers.kill_redis()
        return 1

    def heal(self) -> int:
        self.stage.servers.start_redis()
        return 0


class RedisTailCut(RedisKilled):
    """kill -9 of Redis, and the end of its file is gone: what it had accepted last is lost."""

    name = "Redis kill -9, AOF tail cut"
    redis_forgets = True

    def strike(self) -> int:
        struck = super().strike()
        (file,) = (self.stage.data / "redis" / "appendonlydir").glob("*.incr.aof")
        os.truncate(file, max(0, file.stat().st_size - self.random.randint(1, 20_000)))
        return struck


class RedisEmptied(Fault):
    """FLUSHALL."""

    name = "Redis FLUSHALL"
    unit = "flushes"
    redis_forgets = True

    def strike(self) -> int:
        self.workload.send_shuffled(actions=8, copies=1)
        time.sleep(self.random.uniform(0, 0.05))
        self.stage.client.flushall()
        return 1

    def heal(self) -> int:
        return 0


class RedisFull(Fault):
    """A Redis that takes nothing more: noeviction, and no memory left."""

    name = "Redis full"
    holds_seconds = 1.5

    def strike(self) -> int:
        self.workload.send_shuffled(actions=8, copies=1)
        self.stage.client.config_set("maxmemory", "1")
        return 1

    def heal(self) -> int:
        self.stage.client.config_set("maxmemory", "0")
        return 0


class Shuffled(Fault):
    """Every message several times, all in any order, some of them put off."""

    name = "duplicated, reordered, delayed"
    unit = "messages"

    def strike(self) -> int:
        return self.workload.send_shuffled(actions=self.random.randint(20, 40), copies=4)

    def heal(self) -> int:
        return 0


class ConnectionsDropped(Fault):
    """Connections to Postgres that end with a request on its way there."""

    name = "connections dropped"
    unit = "drops"
    needs: ClassVar = {"through_proxy": True}
    holds_seconds = 2

    def strike(self) -> int:
        assert self.stage.proxy is not None
        self._before = self.stage.proxy.struck
        self._set_rates(0.05)
        return 0

    def heal(self) -> int:
        assert self.stage.proxy is not None
        self._set_rates(0.0)
        return self.stage.proxy.struck - self._before

    def _set_rates(self, rate: float) -> None:
        assert self.stage.proxy is not None
        self.stage.proxy.drop_rate = rate


class CommitRepliesLost(ConnectionsDropped):
    """Commits that were made, of which nobody hears."""

    name = "COMMIT replies lost"
    unit = "replies"

    def _set_rates(self, rate: float) -> None:
        assert self.stage.proxy is not None
        self.stage.proxy.lose_commit_rate = 6 * rate


class Deadlocked(Fault):
    """Somebody else's session that locks actions in the wrong order, and never is the one to give way."""

    name = "deadlocks"
    unit = "deadlocks"
    holds_seconds = 2

    _LOCKED = 12

    def strike(self) -> int:
        self.stage.conn.execute("alter system set deadlock_timeout = '20ms'")
        self.stage.conn.execute("select pg_reload_conf()")
        self._before = self._count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._lock_in_the_wrong_order)
        self._thread.start()
        return 0

    def heal(self) -> int:
        self._stopping.set()
        self._thread.join()
        return self._count() - self._before

    def _count(self) -> int:
        return (self.stage.data / "log" / "postgres.log").read_text(errors="replace").count("deadlock detected")

    def _lock_in_the_wrong_order(self) -> None:
        with psycopg.connect(self.stage.database_url, autocommit=True) as conn:
            conn.execute("set deadlock_timeout = '10min'")
            conn.execute("set search_path = ops_approval")
            while not self._stopping.is_set():
                newest = "select id from actions order by created_at desc limit %s"
                ids = sorted((row[0] for row in conn.execute(newest, [self._LOCKED]).fetchall()), reverse=True)
                self.workload.send_again(ids)
                with conn.transaction():
                    for action_id in ids:
                        conn.execute("select from actions where id = %s for update", [action_id])
                        time.sleep(0.005)


class NotSerializable(Fault):
    """Commits and statements that the server refuses with a serialization failure, one in a few."""

    name = "serialization failures"
    unit = "failures"
    holds_seconds = 2

    _TABLES = ("messages", "actions", "attempts")

    def strike(self) -> int:
        self.stage.conn.execute(
            """
            create sequence if not exists public.refused;
            grant usage on sequence public.refused to public;
            create or replace function public.refuse() returns trigger language plpgsql as $$
            begin
                if random() < 0.15 then
                    perform nextval('public.refused');
                    raise exception 'could not serialize' using errcode = 'serialization_failure';
                end if;
                return null;
            end $$;
            """
        )
        self._before = self._count()
        for table in self._TABLES:
            self.stage.conn.execute(
                f"create constraint trigger refuse after insert or update on {table} "
                "deferrable initially deferred for each row execute function public.refuse()"
            )
        return 0

    def heal(self) -> int:
        for table in self._TABLES:
            self.stage.conn.execute(f"drop trigger refuse on {table}")
        return self._count() - self._before

    def _count(self) -> int:
        (row,) = self.stage.rows("select case when is_called then last_value else 0 end as count from public.refused")
        return int(row["count"])


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


class DiskFull(Fault):
    """No space left where both servers write."""

    name = "disk full"
    unit = "errors"
    needs: ClassVar = {"on_small_disk": True}
    holds_seconds = 3

    def strike(self) -> int:
        self._before = self._count()
        with suppress(OSError), (self.stage.data / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"\0" * 65_536)
        with suppress(psycopg.Error):
            self.stage.rows("select pg_switch_wal()")  # the next segment has no room
        return 0

    def heal(self) -> int:
        (self.stage.data / "ballast").unlink()
        assert wait_until(self._servers_run, 60), "the servers did not come back"
        return self._count() - self._before

    def _count(self) -> int:
        logs = (self.stage.data / "log").glob("*.log")
        return sum(log.read_text(errors="replace").count("No space left on device") for log in logs)

    def _servers_run(self) -> bool:
        try:
            self.stage.servers.check()
            self.stage.client.ping()
        except (StackError, redis.RedisError):
            return False
        return self.stage.servers._postgres.answers()


class AnswersLost(Fault):
    """A service that does what it is asked and breaks the connection in place of an answer."""

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
        for ledger in (self.stage.plain, self.stage.keyed, self.stage.naive):
            ledger.lose_answers(percent)


FAULTS: tuple[type[Fault], ...] = (
    KilledAtRandom,
    KilledAtPoints,
    StoppedPastTheLease,
    PostgresStopped,
    RedisKilled,
    RedisTailCut,
    RedisEmptied,
    RedisFull,
    Shuffled,
    ConnectionsDropped,
    CommitRepliesLost,
    Deadlocked,
    NotSerializable,
    ClockSkewed,
    DiskFull,
    AnswersLost,
)
