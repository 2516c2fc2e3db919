"""The example consumer: its table is right in the end, however often it, the relay and Redis are struck meanwhile."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import psycopg
import pytest

from domain.messages import CastVote
from tests.faults.starter import Starter
from tests.workers.test_events_out import entries, firsts, seqs, trails
from tests.world import Installation, top_up, wait_for

SEED = 8
KILLS = 60
CONSUMER = Path(__file__).parents[2] / "examples" / "consumer" / "consumer.py"
PEOPLE = ("finance-user-1", "finance-user-2", "finance-user-3", "finance-user-4")


class Traffic:
    """Actions that are created and voted on by several at a time, many of them in one transaction."""

    def __init__(self, installation: Installation, seed: int) -> None:
        self._installation = installation
        self._seed = seed
        self._actions: list[UUID] = []
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(number,)) for number in range(3)]

    def _go_on(self, number: int) -> None:
        drawn = random.Random(f"{self._seed} {number}")  # noqa: S311 - to be drawn again
        while not self.stopping.is_set():
            key = f"{self._seed} {number} {drawn.random()}"
            created = self._installation.producer("sira").sign(top_up(key, alert=key))
            assert created.action_id is not None
            self._actions.append(created.action_id)
            votes = [self._vote(drawn) for _ in range(4)]
            self._installation.apply([created, *votes])

    def _vote(self, drawn: random.Random) -> Any:
        body = {
            "action_id": drawn.choice(self._actions[-8:]),
            "voter_id": drawn.choice(PEOPLE),
            "vote": drawn.choice(("approve", "approve", "reject", "withdraw")),
        }
        return self._installation.producer("ops-tooling").sign(CastVote.model_validate(body))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()


class Processes:
    """Relays and consumers, two of each, that are killed and started again."""

    def __init__(self, installation: Installation, starter: Starter, directory: Path) -> None:
        urls = installation.settings
        self._env = {
            "DATABASE_URL": urls.database_url,
            "REDIS_URL": urls.redis_url,
            "IDLE_MILLISECONDS": "300",
        }
        self._starter = starter
        self._directory = directory
        self._pids: dict[str, int] = {}

    def start(self, name: str) -> None:
        kind = name.partition("-")[0]
        commands = {
            "relay": ["tests.workers.test_crashes_child", "relay", "nowhere"],
            "consumer": ["examples.consumer.consumer", name],
        }
        self._pids[name] = self._starter.start(commands[kind], self._env, self._directory / f"{name}.log")

    def kill(self, name: str) -> None:
        pid = self._pids.pop(name)
        os.killpg(pid, signal.SIGKILL)
        self._starter.forget(pid)


NAMES = ("relay-1", "relay-2", "consumer-1", "consumer-2")


@pytest.fixture
def processes(installation: Installation, tmp_path: Path) -> Iterator[Processes]:
    with Starter() as starter:
        yield Processes(installation, starter, tmp_path)


def known(installation: Installation) -> dict[str, tuple[int, str]]:
    """What the consumers' table says."""
    with suppress(psycopg.errors.UndefinedTable):
        rows = installation.owner.execute("select action_id::text, seq, status from public.remediations").fetchall()
        return {row["action_id"]: (row["seq"], row["status"]) for row in rows}
    return {}


def true(installation: Installation) -> dict[str, tuple[int, str]]:
    """What the engine's says."""
    rows = installation.owner.execute("select id::text, event_seq, status from actions").fetchall()
    return {row["id"]: (row["event_seq"], row["status"]) for row in rows}


def test_killed_relays_and_consumers_lose_and_reorder_nothing(installation: Installation, processes: Processes) -> None:
    drawn = random.Random(SEED)  # noqa: S311 - as above
    for name in NAMES:
        processes.start(name)
    wait_for(lambda: known(installation) == true(installation))
    with Traffic(installation, SEED) as traffic:
        for _ in range(KILLS):
            traffic.stopping.wait(drawn.uniform(0, 0.3))
            victim = drawn.choice(NAMES)
            processes.kill(victim)
            processes.start(victim)
    assert len(true(installation)) > KILLS
    wait_for(lambda: known(installation) == true(installation), 30)
    assert {action: firsts(told) for action, told in seqs(installation).items()} == trails(installation)

    installation.client.flushall()
    with Traffic(installation, SEED + 1):
        wait_for(lambda: entries(installation))
    wait_for(lambda: known(installation) == true(installation), 30)


def test_started_without_what_it_needs_it_says_how_to_start_it() -> None:
    for arguments, env in (([], {"DATABASE_URL": "x", "REDIS_URL": "x"}), (["one"], {"DATABASE_URL": "x"})):
        command = [sys.executable, str(CONSUMER), *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, "python consumer.py NAME" in done.stderr) == (1, True), done.stderr
        assert "Traceback" not in done.stderr
