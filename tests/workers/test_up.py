"""`ops-approval up` as a whole: it serves, loses nothing to kill -9, brings back a dead worker, and stops cleanly."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.sandbox import Sandbox

COMMAND = [sys.executable, "-c", "from workers.cli.main import main; main()"]


class Up:
    """An `ops-approval up` in a directory of its own, and the other commands beside it."""

    def __init__(self, data: Path, services: str) -> None:
        unset = {"DATABASE_URL", "REDIS_URL"}
        self.env = {name: value for name, value in os.environ.items() if name not in unset}
        self.env |= {"OPS_APPROVAL_DATA": str(data), "OPS_APPROVAL_SERVICES": services, "NO_COLOR": "1"}
        self.log = data / "up.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "up"], env=self.env, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        assert self.process.stdout is not None
        assert "Ready" in self.process.stdout.readline(), self.log.read_text()

    def stop(self, number: int) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(40)
        self.process.stdout.close()
        self.process = None
        return code

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], env=self.env, capture_output=True, text=True, timeout=90, check=False
        )

    def ask(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)


@pytest.fixture
def up() -> Iterator[Up]:
    data = Path(tempfile.mkdtemp(prefix="ops-up-", dir="/tmp"))
    data.chmod(0o711)
    with Sandbox() as sandbox:
        running = Up(data, json.dumps({"merchants": sandbox.url}))
        try:
            yield running
        finally:
            if running.process is not None:
                running.stop(signal.SIGTERM)
            shutil.rmtree(data, ignore_errors=True)


def eventually(true: Callable[[], bool], timeout_seconds: float = 30) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not (holds := true()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds


def processes_of(data: str) -> list[str]:
    """Command lines of live processes that were started for this data directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            about = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            name = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if data.encode() in about and name:
            found.append(name)
    return found


def test_a_story_survives_kill_9_a_dead_worker_and_a_restart(up: Up, tmp_path: Path) -> None:
    people = [("ana", "pay_admin"), ("bob", "pay_admin"), ("eve", "ops_admin")]
    snapshot = {"snapshot": 1, "people": [{"id": name, "grants": [{"role": role}]} for name, role in people]}
    (tmp_path / "directory.json").write_text(json.dumps(snapshot))
    up.start()
    up.ask("directory", "sync", str(tmp_path / "directory.json"), "--wait")
    wanted = ["create", "FREEZE_MERCHANT", "--as", "eve", "--params", '{"merchant_id": "m-1", "reason": "fraud"}']
    action = up.ask(*wanted, "--wait")["action_id"]
    up.ask("vote", action, "approve", "--as", "ana", "--wait")

    assert up.stop(signal.SIGKILL) == -signal.SIGKILL
    assert eventually(lambda: not processes_of(up.env["OPS_APPROVAL_DATA"])), "kill -9 left processes behind"
    up.start()
    assert up.ask("actions", "show", action)["votes_approve"] == 1

    assert up.process is not None
    workers = subprocess.run(
        ["pgrep", "-P", str(up.process.pid), "-f", "workers.main"], capture_output=True, text=True, check=True
    ).stdout.split()
    for pid in workers:
        os.kill(int(pid), signal.SIGKILL)
    up.ask("vote", action, "approve", "--as", "bob", "--wait", "--timeout-seconds", "30")
    assert up.ask("execute", action, "--as", "eve", "--wait")["success"]
    events = [event["event"] for event in up.ask("actions", "trail", action)]
    assert events == ["created", "voted", "voted", "approved", "executing", "executed"]

    assert up.stop(signal.SIGTERM) == 0
    assert not processes_of(up.env["OPS_APPROVAL_DATA"])


def test_ctrl_c_stops_it_cleanly_and_a_second_up_is_told_why_it_cannot(up: Up) -> None:
    up.start()
    second = up.run("up")
    assert second.returncode == 3
    assert "--data" in second.stderr
    assert up.stop(signal.SIGINT) == 0
    assert not processes_of(up.env["OPS_APPROVAL_DATA"])
    late = up.run("actions", "list")
    assert late.returncode == 3
    assert "ops-approval up" in late.stderr
