"""Faults of Redis and of what lies in it, and of the disk that it shares with Postgres."""

import os
import time
from contextlib import suppress
from typing import ClassVar

import psycopg
import redis

from tests.faults.fault import Fault
from workers.stack import StackError
from workers.stack.process import wait_until


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
        return self.workload.send_shuffled(actions=self.random.randint(10, 20), copies=8)

    def heal(self) -> int:
        return 0


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
