"""Faults of Postgres, of the way to it, and of who else works in it."""

import signal
import threading
import time
from contextlib import suppress
from typing import ClassVar

import psycopg
from psycopg import sql

from tests.faults.fault import Fault


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
    """Somebody else's session that locks actions in the wrong order, and gives way later than the engine does."""

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
            # Who waits first looks for a cycle before there is one; then it is this session that must find it.
            conn.execute("set deadlock_timeout = '200ms'")
            conn.execute("set search_path = ops_approval")
            while not self._stopping.is_set():
                newest = "select id from actions order by created_at desc limit %s"
                ids = sorted((row[0] for row in conn.execute(newest, [self._LOCKED]).fetchall()), reverse=True)
                self.workload.send_again(ids)
                with suppress(psycopg.errors.DeadlockDetected), conn.transaction():
                    for action_id in ids:
                        conn.execute("select from actions where id = %s for update", [action_id])
                        time.sleep(0.005)


class NotSerializable(Fault):
    """Commits and statements that the server refuses with a serialization failure, one in a few."""

    name = "serialization failures"
    unit = "failures"
    holds_seconds = 2

    _TABLES = ("messages", "actions", "attempts")
    _CREATE = sql.SQL(
        "create constraint trigger refuse after insert or update on {} "
        "deferrable initially deferred for each row execute function public.refuse()"
    )

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
            self.stage.conn.execute(self._CREATE.format(sql.Identifier(table)))
        return 0

    def heal(self) -> int:
        for table in self._TABLES:
            self.stage.conn.execute(sql.SQL("drop trigger refuse on {}").format(sql.Identifier(table)))
        return self._count() - self._before

    def _count(self) -> int:
        (row,) = self.stage.rows("select case when is_called then last_value else 0 end as count from public.refused")
        return int(row["count"])
