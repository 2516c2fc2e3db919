"""Processes as they run in production: stopped within a bound, restarted after anything, and never down for good."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from db import read
from domain.messages import ExecuteAction
from tests.world import Installation, top_up, wait_for
from workers import definition_files
from workers.sandbox import Sandbox
from workers.scheduler import Scheduler
from workers.stack import Child, Servers

SAME_KEY = {"guarantee": "deduplicates"}
PROCFILE = Path(__file__).parent.parent.parent / "Procfile"
WORKER = next(
    line.removeprefix("worker: ") for line in PROCFILE.read_text().splitlines() if line.startswith("worker: ")
)


class SlowSandbox(Sandbox):
    """Services that take as long as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.may_answer = threading.Event(), threading.Event()

    def _post(self, *request: Any) -> Any:
        self.called.set()
        self.may_answer.wait(60)
        return super()._post(*request)


@pytest.fixture
def slow() -> Iterator[SlowSandbox]:
    with SlowSandbox() as slow:
        yield slow
        slow.may_answer.set()


def environment(installation: Installation, services_url: str) -> dict[str, str]:
    """The environment of a process of this installation."""
    servers = installation.settings.servers
    return os.environ | {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "OPS_APPROVAL_SERVICES": json.dumps({"float": services_url}),
    }


@pytest.fixture
def worker(installation: Installation, slow: SlowSandbox) -> Iterator[subprocess.Popen[bytes]]:
    """The Procfile's worker, with a shorter patience for what is under way."""
    command = [sys.executable, "-m", *shlex.split(WORKER), "--worker-shutdown-timeout", "2000"]
    process = subprocess.Popen(command, env=environment(installation, slow.url), stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def ask_through_the_queue(installation: Installation) -> UUID:
    """An approved action, whose execution a worker hears of through the queue."""
    (created,) = installation.tell("sira", top_up())
    assert created.action_id is not None
    for person in ("finance-user-1", "finance-user-2"):
        installation.vote(created.action_id, person)
    installation.send("ops-tooling", ExecuteAction(action_id=created.action_id, executed_by="ops-admin-1"))
    return created.action_id


def test_a_worker_asked_to_stop_finishes_its_call_and_writes_it_down(
    installation: Installation, slow: SlowSandbox, worker: subprocess.Popen[bytes]
) -> None:
    action_id = ask_through_the_queue(installation)
    assert slow.called.wait(30)
    worker.send_signal(signal.SIGTERM)
    late = installation.producer("sira").send(top_up("late"))
    slow.may_answer.set()
    assert worker.wait(30) == 0
    assert installation.action(action_id)["status"] == "executed"
    assert installation.answers(late) in (["not received"], ["applied"])
    installation.drain()
    assert installation.answers(late) == ["applied"]


def test_a_worker_asked_to_stop_ends_within_its_bound_though_a_call_hangs(
    installation: Installation, slow: SlowSandbox, worker: subprocess.Popen[bytes]
) -> None:
    patient = {
        "name": "ADJUST_FLOAT",
        "timeout_seconds": 300,
        "service": "float",
        "path": "/float/adjustments",
    } | SAME_KEY
    definitions = definition_files.parse(json.dumps({"action_types": [patient]}), "patient")
    definition_files.apply(installation.owner, definitions, by="tests")
    action_id = ask_through_the_queue(installation)
    assert slow.called.wait(30)
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)  # the call would take ten times as long
    assert installation.action(action_id)["status"] == "executing"
    slow.may_answer.set()
    wait_for(slow.effects)

    installation.make_due(action_id)
    installation.applier.sweep({installation.action(action_id)["status"]})
    installation.make_due(action_id)
    assert installation.executor(slow.url).execute(action_id) == "executed"
    assert [effect["replays"] for effect in slow.effects()] == [1]


def test_the_worker_of_the_procfile_stops_within_half_a_minute() -> None:
    arguments = shlex.split(WORKER)
    assert int(arguments[arguments.index("--worker-shutdown-timeout") + 1]) == 20_000


def test_an_action_that_kills_whoever_executes_it_costs_its_own_attempts_and_nobody_elses(
    installation: Installation, sandbox: Sandbox, tmp_path: Path
) -> None:
    thrice = {"name": "ADJUST_FLOAT", "max_attempts": 3, "service": "float", "path": "/float/adjustments"} | SAME_KEY
    definitions = definition_files.parse(json.dumps({"action_types": [thrice]}), "thrice")
    definition_files.apply(installation.owner, definitions, by="tests")
    poison = installation.approved(key="poison", params=top_up().params | {"poison": True})
    good = [installation.approved(key=f"good {number}") for number in range(6)]
    command = [sys.executable, "-m", "dramatiq", "tests.workers.poisoned_main", "--processes", "1", "--threads", "2"]
    child = Child("worker", command, environment(installation, sandbox.url), tmp_path / "worker.log")
    scheduler = Scheduler(installation.settings, installation.broker)
    thread = threading.Thread(target=scheduler.run)
    child.start()
    thread.start()
    restarts = 0

    def ended() -> bool:
        """Whether the poison has had its attempts; brings back the worker, and lets leases and pauses be over."""
        nonlocal restarts
        if child.restart_if_dead():
            restarts += 1
            for action_id in (poison, *good):  # others may have been under way in that process
                if installation.action(action_id)["status"] == "executing":
                    installation.make_due(action_id)
        return bool(installation.action(poison)["status"] in {"failed", "outcome_unknown"})

    try:
        installation.make_due(poison)
        wait_for(ended, 60)
        for action_id in good:
            installation.wait_until(action_id, "executed")
    finally:
        scheduler.stopping.set()
        thread.join()
        child.terminate(10)
    assert 1 <= restarts <= 3
    assert len(installation.action(poison)["attempts"]) == 3
    assert len(sandbox.effects()) == 6


def test_everything_goes_on_by_itself_when_both_servers_die_and_come_back(
    own_servers: tuple[Servers, Installation], sandbox: Sandbox
) -> None:
    servers, installation = own_servers
    scheduler = Scheduler(installation.settings, installation.broker)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        with installation.at_work(sandbox.url):
            first = ask_through_the_queue(installation)
            installation.wait_until(first, "executed")
            servers.kill_redis()
            servers.kill_postgres()
            servers.start_postgres()
            servers.start_redis()
            installation.owner.close()
            del installation.owner
            create = installation.producer("sira").send(top_up("second", auto_execute=True))
            assert create.action_id is not None
            for person in ("finance-user-1", "finance-user-2"):
                installation.send_vote(create.action_id, person)
            installation.send("ops-tooling", ExecuteAction(action_id=create.action_id, executed_by="ops-admin-1"))
            wait_for(lambda: read.get_receipt(installation.owner, create.content_sha256), 30)
            installation.wait_until(create.action_id, "executed")
    finally:
        scheduler.stopping.set()
        thread.join()
    assert len(sandbox.effects()) == 2
