"""`ops-approval up` as a whole: it serves, loses nothing to kill -9, brings back a dead worker, and stops cleanly."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.world import Installation
from workers.cli.up import at_sandbox
from workers.sandbox import Sandbox
from workers.settings import Settings
from workers.stack import urls_for

COMMAND = [sys.executable, "-c", "from workers.cli.main import main; main()"]

NEXT = "Next: ops-approval directory sync FILE, with the same --data\n"


class Up:
    """An `ops-approval up` in a directory of its own, and the other commands beside it."""

    def __init__(self, data: Path, services: str) -> None:
        unset = {"DATABASE_URL", "REDIS_URL"}
        self.env = {name: value for name, value in os.environ.items() if name not in unset}
        self.env |= {"OPS_APPROVAL_DATA": str(data), "OPS_APPROVAL_SERVICES": services, "NO_COLOR": "1"}
        self.log = data / "up.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self, *options: str) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "up", *options],
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
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

    def run(self, *arguments: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], env=self.env, cwd=where, capture_output=True, text=True, timeout=90, check=False
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


def test_on_servers_that_may_lose_what_they_keep_it_says_so_and_goes_on(up: Up, installation: Installation) -> None:
    up.env |= {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    up.start()
    assert up.process is not None
    assert up.process.stdout is not None
    printed = list(iter(up.process.stdout.readline, NEXT))
    assert [line.split()[:2] for line in printed if "fsync" in line] == [["problem", "postgres_durability"]]
    assert up.stop(signal.SIGTERM) == 0


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


def commands_in(text: str) -> list[list[str]]:
    """What a page tells people to type after `ops-approval`, a comment in a file of definitions too."""
    lines = re.sub(r"^# +", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("ops-approval ")]


def follow(up: Up, commands: list[list[str]], where: Path) -> str:
    """Type these commands in a directory; ACTION is the id that was printed first. What the last one printed."""
    action = ""
    for command in commands:
        done = up.run(*(action if word == "ACTION" else word for word in command), where=where)
        assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
        action = action or next(iter(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", done.stdout)), "")
    return done.stdout


def test_the_pages_can_be_followed_by_hand(up: Up, tmp_path: Path) -> None:
    """Each command as it stands in the README, the page about alerts and the example of an action type."""
    root = Path(__file__).parents[2]
    (tmp_path / "examples").symlink_to(root / "examples")
    readme, proposals, fee = (root / name for name in ("README.md", "docs/proposals.md", "examples/merchant_fee.yaml"))
    start, *by_hand = commands_in(readme.read_text().partition("## Try it by hand")[2].partition("\n## ")[0])
    define_fee, adjust_fee = (commands_in(fee.read_text())[part] for part in (slice(2), slice(2, None)))
    up.start(*start[1:])
    follow(up, define_fee, tmp_path)
    assert "executed" in follow(up, by_hand, tmp_path)
    blocks = re.findall(r"^```console\n(.*?)^```", proposals.read_text(), re.MULTILINE | re.DOTALL)
    alert, *others = map(commands_in, blocks)
    assert "auto_remediated" in follow(up, alert, tmp_path)
    for commands in others:
        follow(up, commands, tmp_path)
    assert up.ask("recommendations", "show", "rec-7")["status"] == "pending_approval"
    assert "Executed" in follow(up, adjust_fee, tmp_path)


def test_services_that_no_shipped_action_type_has_stay_where_they_are_beside_a_sandbox() -> None:
    own = Settings(services={"payer": "http://payer", "float": "http://float"})
    services = {name: str(url) for name, url in at_sandbox(own, "http://sandbox").services.items()}
    assert (services["payer"], services["float"]) == ("http://payer/", "http://sandbox")


def test_a_worker_whose_whole_group_is_signalled_ends(up: Up) -> None:
    """As Ctrl-C in a terminal does, and a runner that does not know better."""
    urls = urls_for(Path(up.env["OPS_APPROVAL_DATA"]))  # nothing answers there: it ends all the same
    env = up.env | {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url}
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(
            [sys.executable, "-m", "dramatiq", "workers.main", "--queues", "work", "--processes", "1"],
            env=env,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as worker:
            assert worker.stderr is not None
            assert eventually(lambda: b"ingest_waits" in worker.stderr.readline())  # type: ignore[union-attr]
            for _ in range(2):
                os.killpg(worker.pid, number)
                time.sleep(0.2)
            worker.stderr.close()
            ended = eventually(lambda: worker.poll() is not None, timeout_seconds=30)
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            assert ended
