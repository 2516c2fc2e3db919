"""Processes and servers that die or stop at the worst moment: nothing is lost, and nothing happens twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from db.connect import Connection
from db.save import save
from domain.world import World
from tests.workers.test_messages import vote
from tests.world import Installation, top_up, wait_for
from workers.ingest import Ingest
from workers.producer import Ticket
from workers.queue import Doorbell
from workers.sandbox import Sandbox
from workers.stack import Servers

SECRET = "nobody-may-read-this-param"  # noqa: S105 - it is a param


class Child:
    """A process of its own, and what it logs."""

    def __init__(self, installation: Installation, log: Path, *arguments: str, **environment: str) -> None:
        servers = installation.settings.servers
        urls = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.workers.test_crashes_child", *arguments],
                env=os.environ | urls | environment,
                stderr=output,
            )

    def says(self, text: str) -> bool:
        return text in self.log.read_text()


Start = Callable[..., Child]


@pytest.fixture
def start(installation: Installation, tmp_path: Path) -> Iterator[Start]:
    """Start a child; whatever is left of it is killed at the end."""
    children: list[Child] = []

    def start_child(*arguments: str, **environment: str) -> Child:
        child = Child(installation, tmp_path / f"{len(children)}.log", *arguments, **environment)
        children.append(child)
        return child

    yield start_child
    for child in children:
        child.process.kill()
        child.process.wait()


def mixed(installation: Installation, count: int = 5) -> list[Ticket]:
    """Messages in the queue that create actions."""
    return installation.producer("sira").send_many(top_up(f"mixed {number}") for number in range(count))


def events_of(installation: Installation) -> list[tuple[str, ...]]:
    rows = installation.owner.execute("select id from actions").fetchall()
    return [tuple(installation.trail(row["id"])) for row in rows]


@pytest.mark.parametrize(("where", "applied"), [("before the forgetting", 5), ("before the commit", 0)])
def test_ingest_killed_around_its_commit_loses_and_doubles_nothing(
    installation: Installation, start: Start, where: str, applied: int
) -> None:
    tickets = mixed(installation)
    child = start("ingest", where)
    assert child.process.wait(10) == -signal.SIGKILL
    assert installation.count("applied") == applied
    assert installation.queued() == 5
    installation.drain()
    assert installation.answers(*tickets) == ["applied"] * 5
    assert events_of(installation) == [("created",)] * 5
    assert installation.queued() == 0


@pytest.mark.parametrize(("where", "before", "replays"), [("before the call", 0, 0), ("after the call", 1, 1)])
def test_an_executor_killed_around_its_call_has_one_effect(
    installation: Installation, sandbox: Sandbox, start: Start, where: str, before: int, replays: int
) -> None:
    action_id = installation.approved()
    child = start("execute", where, str(action_id), OPS_APPROVAL_SERVICES=json.dumps({"float": sandbox.url}))
    assert child.process.wait(10) == -signal.SIGKILL
    assert len(sandbox.effects()) == before
    assert installation.executor(sandbox.url).execute(action_id) is None  # the dead one's lease still holds
    assert installation.action(action_id)["status"] == "executing"

    installation.make_due(action_id)
    installation.applier.sweep({installation.action(action_id)["status"]})
    installation.make_due(action_id)
    assert installation.executor(sandbox.url).execute(action_id) == "executed"
    assert [effect["replays"] for effect in sandbox.effects()] == [replays]
    assert installation.trail(action_id)[-4:] == ["executing", "retry_scheduled", "executing", "executed"]
    states = [attempt["state"] for attempt in installation.action(action_id)["attempts"]]
    assert states == ["unknown", "succeeded"]


def test_a_leader_that_is_stopped_in_its_transaction_loses_the_lead_and_changes_nothing(
    installation: Installation, start: Start
) -> None:
    tickets = mixed(installation)
    stopped = start("ingest", "in the transaction")
    wait_for(lambda: Path(f"/proc/{stopped.process.pid}/stat").read_text().split()[2] == "T")
    begun = time.monotonic()
    standby = start("ingest", "nowhere")
    wait_for(lambda: installation.count("applied") == 5)
    assert time.monotonic() - begun < 9
    wait_for(lambda: installation.queued() == 0)

    stopped.process.send_signal(signal.SIGCONT)
    wait_for(lambda: stopped.says("ingest_waits") or stopped.says("ingest_failed"))
    late = mixed(installation, 6)
    wait_for(lambda: installation.queued() == 0)
    assert installation.answers(*tickets, late[5]) == ["applied"] * 6
    assert events_of(installation) == [("created",)] * 6
    assert standby.process.poll() is None
    assert stopped.process.poll() is None


def test_data_that_the_database_refuses_is_buried_alone(installation: Installation) -> None:
    """A rule of the database that no code knows of stands for whatever it may refuse."""
    installation.owner.execute("alter table actions add check (created_by <> 'unwelcome')")
    tickets = mixed(installation, 5)
    bad = installation.producer("sira").send(top_up("bad", created_by="unwelcome"))
    tickets += installation.producer("sira").send_many(top_up(f"after {number}") for number in range(5))
    installation.drain()
    assert installation.answers(*tickets) == ["applied"] * 10
    assert installation.answers(bad) == ["dead_letter"]
    assert installation.queued() == 0


def test_parked_votes_that_cannot_be_read_any_more_stop_nobody(installation: Installation) -> None:
    create, other = installation.producer("sira").sign(top_up("a")), installation.producer("sira").sign(top_up("b"))
    early = vote(installation, create.action_id, "finance-user-1")
    installation.drain()
    installation.owner.execute("""update keys set scope = scope || '{"tenants": []}' where issuer = 'ops-tooling'""")
    installation.producer("sira").resend([create, other])
    installation.drain()
    assert installation.answers(create, other) == ["applied"] * 2
    assert installation.answers(early) != ["applied"]
    assert installation.queued() == 0


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, ticket: Ticket, error: Exception) -> Iterator[None]:
    """Whatever batch has this message cannot be saved."""

    def sometimes(conn: Connection, world: World) -> None:
        if ticket.content_sha256 in world.changes.messages and world.records[ticket.content_sha256].outcome != "dead":
            raise error
        save(conn, world)

    with monkeypatch.context() as patched:
        patched.setattr("workers.apply.save", sometimes)
        yield


@pytest.mark.parametrize("error", [psycopg.DataError("no"), psycopg.errors.ProgramLimitExceeded("no"), KeyError("no")])
def test_a_message_that_cannot_be_saved_becomes_a_dead_letter(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tickets = mixed(installation, 11)
    with refusing(monkeypatch, tickets[4], error):
        installation.drain()
    assert installation.answers(*tickets) == ["applied"] * 4 + ["dead_letter"] + ["applied"] * 6
    assert installation.queued() == 0
    with refusing(monkeypatch, tickets[4], error):
        installation.producer("sira").resend([tickets[4]])
        installation.drain()
    assert installation.count("dead") == 1
    installation.producer("sira").resend([tickets[4]])  # the cause is mended by now
    installation.drain()
    assert installation.answers(*tickets) == ["applied"] * 11


def test_a_message_that_cannot_even_be_recorded_lets_the_others_pass_and_is_not_lost(
    installation: Installation,
) -> None:
    """Rules of the database that no code knows of stand for whatever may keep a record from being written."""
    tickets = mixed(installation, 5)
    unwelcome = installation.producer("sira").sign(top_up("bad"), jti="unwelcome")
    installation.producer("sira").resend([unwelcome])
    tickets += installation.producer("sira").send_many(top_up(f"after {number}") for number in range(5))
    rule = sql.SQL("alter table messages add constraint unwelcome check (content_sha256 <> {})")
    installation.owner.execute(rule.format(sql.Literal(unwelcome.content_sha256)))
    installation.drain(batch=4)
    assert installation.answers(*tickets) == ["applied"] * 10
    assert installation.queued() == 1

    installation.owner.execute("alter table messages drop constraint unwelcome")
    installation.drain()
    assert installation.answers(unwelcome) == ["applied"]
    assert installation.queued() == 0


def test_a_dead_letter_that_comes_again_too_early_is_dead_again_and_holds_up_nobody(installation: Installation) -> None:
    installation.owner.execute("alter table actions add constraint unlucky check (created_by <> 'unlucky')")
    dead = installation.producer("sira").send(top_up("dead", created_by="unlucky"))
    installation.drain()
    for _ in range(2):
        installation.producer("sira").resend([dead])
        installation.drain()
        assert (installation.answers(dead), installation.queued()) == (["dead_letter"], 0)
    installation.owner.execute("alter table actions drop constraint unlucky")
    installation.producer("sira").resend([dead])
    installation.drain()
    assert installation.answers(dead) == ["applied"]


def test_a_message_that_looks_like_trouble_of_the_database_holds_up_nobody(installation: Installation) -> None:
    """A trigger that somebody added stands for what fails for one message and looks as if it would pass by itself."""
    installation.owner.execute(
        """
        create function ops_approval.refuse() returns trigger language plpgsql as $$
        begin raise exception 'no' using errcode = 'insufficient_privilege'; end $$
        """
    )
    installation.owner.execute(
        "create trigger refuse before insert on actions for each row when (new.created_by = 'unlucky') execute function refuse()"
    )
    bad = installation.producer("sira").send(top_up("bad", created_by="unlucky"))
    tickets = mixed(installation, 5)
    ingest = Ingest(installation.settings, installation.broker)
    thread = threading.Thread(target=ingest.run)
    thread.start()
    try:
        wait_for(lambda: installation.answers(*tickets) == ["applied"] * 5, 30)
        assert installation.answers(bad) == ["not received"]
        installation.owner.execute("drop trigger refuse on actions")
        wait_for(lambda: installation.answers(bad) == ["applied"])
    finally:
        ingest.stopping.set()
        thread.join()


def test_large_messages_are_taken_few_at_a_time(installation: Installation) -> None:
    params = top_up().params | {"note": [[1]] * 4000}
    tickets = installation.producer("sira").send_many(top_up(f"large {number}", params=params) for number in range(60))
    entries = Doorbell(installation.client).peek(200)
    assert 1 < len(entries) < 60
    installation.drain()
    assert set(installation.answers(*tickets)) == {"applied"}


def test_an_answered_message_that_cannot_be_looked_at_again_holds_up_nobody(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    (answered,) = mixed(installation, 1)
    installation.drain()
    installation.producer("sira").resend([answered])
    tickets = mixed(installation, 5)
    with refusing(monkeypatch, answered, psycopg.DataError("no")):
        installation.drain()
    assert installation.answers(answered, *tickets[1:]) == ["applied"] * 5
    assert installation.queued() == 0


def test_a_session_that_the_server_ended_costs_no_message(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that pauses too long in a transaction is cut off: the same message may succeed later."""
    with installation.applier.connections() as conn:
        conn.execute("set idle_in_transaction_session_timeout = '100ms'")

        def pause(conn: Connection, world: World) -> None:
            monkeypatch.setattr("workers.apply.save", save)
            time.sleep(0.3)
            save(conn, world)

        monkeypatch.setattr("workers.apply.save", pause)
        installation.applier.connections = _first(conn, installation.pool.connection)
        (ticket,) = mixed(installation, 1)
        with suppress(psycopg.Error):
            installation.drain()
    installation.drain()
    assert installation.answers(ticket) == ["applied"]


def _first(conn: Connection, then: Callable[[], Any]) -> Callable[[], Any]:
    """Lends one connection until it breaks, then others."""

    @contextmanager
    def lent() -> Iterator[Connection]:
        yield conn

    return lambda: then() if conn.closed else lent()


def test_logs_have_no_params_whatever_the_database_says(installation: Installation, start: Start) -> None:
    installation.owner.execute("alter table actions add check (origin <> 'sira')")
    body = top_up(params=top_up().params | {"note": SECRET})
    ticket = installation.producer("sira").send(body)
    child = start("ingest", "nowhere")
    wait_for(lambda: installation.answers(ticket) == ["dead_letter"])
    wait_for(lambda: child.says('"outcome": "dead"'))
    assert child.says("input_failed")
    assert not child.says(SECRET)
    assert not child.says(ticket.token)


def test_ingest_goes_on_by_itself_when_the_servers_die_and_come_back(
    own_servers: tuple[Servers, Installation],
) -> None:
    servers, installation = own_servers
    ingest = Ingest(installation.settings, installation.broker)
    thread = threading.Thread(target=ingest.run)
    thread.start()
    try:
        tickets = mixed(installation, 3)
        wait_for(lambda: installation.queued() == 0)
        servers.kill_postgres()
        tickets += installation.producer("sira").send_many(top_up(f"meanwhile {number}") for number in range(3))
        time.sleep(0.2)
        servers.start_postgres()
        wait_for(lambda: installation.queued() == 0)
        servers.kill_redis()
        time.sleep(0.2)
        servers.start_redis()
        tickets += installation.producer("sira").send_many(top_up(f"after {number}") for number in range(3))
        wait_for(lambda: installation.queued() == 0)
    finally:
        ingest.stopping.set()
        thread.join()
        ingest._client.close()
    installation.owner.close()
    del installation.owner
    assert installation.answers(*tickets) == ["applied"] * 9
    assert events_of(installation) == [("created",)] * 9
