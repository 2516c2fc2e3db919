"""Deadlines with several schedulers and workers, one of them killed in its sweep: nothing is lost and nothing doubled."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from db import due
from domain.lifecycle import OPEN
from tests.workers.test_actors import PERIODIC
from tests.workers.test_races import race
from tests.world import Installation, top_up, wait_for
from workers import definition_files
from workers.apply import Applier

COUNT = 200
NO_STEP = """
policies:
  - name: Without a step
    criteria: {params.amount: 7}
    policy: {required_quorum: {type: role, value: {role: finance_ops, min_votes: 2}}, timeout_seconds: 3600}
    priority: 1000
"""
COMMANDS = {
    "worker": ["dramatiq", "tests.faults.struck", "--queues", "work", "--processes", "1", "--threads", "1"],
    "scheduler": ["tests.faults.struck"],
}

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(installation: Installation, tmp_path: Path) -> Iterator[Start]:
    """Start a process as in production, with points at which it dies and a clock that is wrong; all are killed at the end."""
    servers, processes = installation.settings.servers, list[subprocess.Popen[bytes]]()
    given = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "FAULTS_ARMED": str(tmp_path)}

    def started(part: str, **environment: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{len(processes)}.log").open("wb") as log:
            command = [sys.executable, "-m", *COMMANDS[part]]
            processes.append(subprocess.Popen(command, env=os.environ | given | environment, stdout=log, stderr=log))
        return processes[-1]

    yield started
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)


def overdue(installation: Installation) -> None:
    """Actions whose deadline has passed: half of them have a step to go to."""
    definition_files.apply(installation.owner, definition_files.parse(NO_STEP, "no step"), by="tests")
    sira = installation.producer("sira")
    installation.apply(sira.sign(top_up(f"late {number}", amount=7 + number % 2)) for number in range(COUNT))
    installation.owner.execute(
        "update actions set expires_at = now() - interval '1 minute', due_at = now() - interval '1 minute'"
    )


def acted_on(installation: Installation) -> int:
    found: int = installation.scalar("select count(*) from events where event in ('escalated', 'expired')")
    return found


def check_that_each_was_acted_on_once(installation: Installation) -> None:
    ids = [row["id"] for row in installation.owner.execute("select id from actions").fetchall()]
    trails = Counter(tuple(installation.trail(action_id)) for action_id in ids)
    assert trails == {("created", "escalated"): COUNT // 2, ("created", "expired"): COUNT // 2}
    assert installation.applier.sweep(OPEN).receipts == []
    assert installation.broken() == []


@pytest.mark.parametrize(("point", "committed"), [("after the claim", 0), ("before any commit", 100)])
def test_a_worker_killed_in_its_sweep_leaves_the_rest_to_the_others(
    installation: Installation, start: Start, point: str, committed: int
) -> None:
    overdue(installation)
    installation.owner.execute("insert into schedule select unnest(%s::text[]), now() + interval '1 day'", [PERIODIC])
    schedulers = [start("scheduler", FAULTS_CLOCK_SECONDS=seconds) for seconds in ("3600", "-3600")]
    struck = start("worker", FAULTS_POINT=point, FAULTS_COUNTDOWN=str(committed // 100))
    assert struck.wait(60) != 0
    assert acted_on(installation) == committed
    schedulers[0].kill()
    for seconds in ("3600", "-3600"):
        start("worker", FAULTS_CLOCK_SECONDS=seconds)
    wait_for(lambda: not due.is_anything_due(installation.owner), 60)
    check_that_each_was_acted_on_once(installation)


def test_many_sweeps_at_once_act_on_each_action_once(installation: Installation) -> None:
    overdue(installation)

    def sweep(worker: Applier) -> int:
        counts = iter(lambda: len(worker.sweep(OPEN, limit=7).actions), 0)
        return sum(counts)

    workers = [installation.another_worker() for _ in range(4)]
    assert sum(race(*(partial(sweep, worker) for worker in workers))) <= COUNT
    while sweep(workers[0]):
        pass
    check_that_each_was_acted_on_once(installation)


def test_votes_and_sweeps_at_once_come_to_one_end(installation: Installation) -> None:
    """A vote after the deadline is too late whether it comes before the sweep, after it or beside it."""
    overdue(installation)
    ids = [row["id"] for row in installation.owner.execute("select id from actions").fetchall()]

    def vote() -> list[str]:
        return [str(installation.vote(action_id, "cfo-1", "abstain").code) for action_id in ids]

    def sweep() -> list[str]:
        return [receipt.outcome for _ in ids for receipt in installation.another_worker().sweep(OPEN, limit=1).receipts]

    answers, _ = race(vote, sweep)
    trails = Counter((tuple(installation.trail(action_id)), code) for action_id, code in zip(ids, answers, strict=True))
    assert set(trails) == {(("created", "escalated", "voted"), "None"), (("created", "expired"), "action_closed")}
    assert installation.broken() == []
