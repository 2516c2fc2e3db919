"""Supervised subprocesses, with real ones."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from workers.stack import Child, process
from workers.stack.process import runs, spawn, wait_until


def child(tmp_path: Path, program: str) -> Child:
    return Child(
        "sample", [sys.executable, "-c", program], {**os.environ, "GREETING": "hello"}, tmp_path / "sample.log"
    )


def test_a_child_logs_and_stops_on_sigterm(tmp_path: Path) -> None:
    sample = child(tmp_path, "import os, time; print(os.environ['GREETING'], flush=True); time.sleep(60)")
    assert not sample.alive()
    sample.start()
    assert wait_until(lambda: "hello" in (tmp_path / "sample.log").read_text(), 5)
    assert sample.alive()
    begun = time.monotonic()
    sample.terminate(10)
    assert not sample.alive()
    assert time.monotonic() - begun < 5


def test_a_child_that_ignores_sigterm_is_killed_with_its_group(tmp_path: Path) -> None:
    program = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); grandchild = os.fork()\n"
        "if grandchild: print(grandchild, flush=True)\n"
        "time.sleep(60)"
    )
    sample = child(tmp_path, program)
    sample.start()
    log = tmp_path / "sample.log"
    assert wait_until(lambda: log.read_text().endswith("\n"), 5)
    grandchild = int(log.read_text())
    sample.terminate(0.1)
    assert wait_until(lambda: not runs(grandchild, Path(sys.executable).name, program), 5)


def test_a_crashing_child_is_started_again_after_growing_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "FIRST_PAUSE_SECONDS", 0.2)
    sample = child(tmp_path, "print('again', flush=True)")
    sample.start()
    starts = [time.monotonic()]
    while len(starts) < 3:
        if sample.restart_if_dead():
            starts.append(time.monotonic())
        time.sleep(0.02)
    assert starts[1] - starts[0] > 0.2
    assert starts[2] - starts[1] > 0.4
    assert wait_until(lambda: (tmp_path / "sample.log").read_text() == "again\n" * 3, 5)
    sample.terminate(1)
    assert not sample.restart_if_dead()


def test_a_process_whose_parent_is_already_gone_is_not_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    started = spawn([sys.executable, "-c", "import time; time.sleep(60)"], env=os.environ, death_signal=signal.SIGTERM)
    assert started.wait(5) == 1
