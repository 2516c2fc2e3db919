"""A harness that is killed leaves no process behind, and its directory only until the next one starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.faults.stage import _clear_away
from tests.world import wait_for

HARNESS = """
import pathlib, sys
from tests.faults.starter import Starter
with Starter() as starter:
    for _ in range(2):
        print(starter.start(["http.server", "0"], {}, pathlib.Path(sys.argv[1])), flush=True)
    sys.stdin.read()
"""


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


def test_when_the_harness_is_killed_its_processes_end_and_stopped_ones_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HARNESS, str(tmp_path / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        running, stopped = (int(harness.stdout.readline()) for _ in range(2))
        os.kill(stopped, signal.SIGSTOP)
        harness.kill()
    wait_for(lambda: is_gone(running) and is_gone(stopped))


def test_the_directories_of_dead_harnesses_are_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = (tmp_path / f"ops-faults-{pid}-abc" for pid in (ended.pid, os.getpid()))
    for directory in (dead, alive):
        (directory / "data").mkdir(parents=True)
    _clear_away(tmp_path)
    assert [dead.exists(), alive.exists()] == [False, True]
