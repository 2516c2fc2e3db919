"""Starts the engine's processes without waiting for their imports: as forks of one process that has done them already.

    python -m tests.faults.starter

Each line on stdin asks for one thing and is answered with a line. When stdin ends, because whoever started it is done
or was killed, it kills every process that it started, stopped ones too.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

# What takes long to import and says the same in every process. `workers.execution` is not there: it knows its process.
HEAVY = (
    "dramatiq.cli",
    "httpx",
    "psycopg_pool",
    "workers.apply",
    "workers.brokers",
    "workers.checks.gather",
    "workers.handlers.http",
    "workers.producer",
    "workers.settings",
)


class Starter:
    """The process that starts others, as those see it who ask it to."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.starter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # what interrupts the harness in a terminal is not for it
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> int:
        """Run a module with its arguments in a process group of its own, with `env` added to ours; its pid."""
        return self._ask({"command": list(command), "env": dict(env), "log": str(log)})

    def forget(self, pid: int) -> None:
        """Wait for a process that was started here to end; until this its pid is nobody else's."""
        self._ask({"forget": pid})

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def main() -> None:
    for module in HEAVY:
        __import__(module)
    started: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "forget" in request:
            answer = request["forget"]
            os.waitpid(answer, 0)
            started.remove(answer)
        elif (answer := os.fork()) == 0:
            _become(request["command"], request["env"], request["log"])
        else:
            os.setpgid(answer, answer)  # here, so that there is a group to kill once its pid is told
            started.add(answer)
        print(answer, flush=True)
    for pid in started:
        os.killpg(pid, signal.SIGKILL)


def _become(command: Sequence[str], env: Mapping[str, str], log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(source, descriptor)
    os.environ.update(env)
    sys.argv = list(command)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    main()
