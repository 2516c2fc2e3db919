"""Processes: starting them tied to our life, watching them, stopping them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
PREVIOUS_STOPS_SECONDS = 12.0
POLL_SECONDS = 0.04
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 60.0


class StackError(RuntimeError):
    """The servers cannot run; the message says what is wrong and what to do next."""


@dataclass(frozen=True)
class Account:
    """The unprivileged account that the servers run as when we are root."""

    name: str
    uid: int
    gid: int


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    death_signal: int,
    account: Account | None = None,
    cwd: Path | None = None,
    output: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; on Linux it gets `death_signal` when the calling thread ends.

    `command[0]` is an absolute path; `output` is a file descriptor for stdout and stderr. Raises OSError.
    """
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(death_signal)), str(uid), str(gid)]
    return subprocess.Popen(  # noqa: S603 - the commands are our own, and no shell reads them
        [*launch, *command],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C in a terminal must not stop the servers before those who use them
    )


def wait_until(true: Callable[[], bool], timeout_seconds: float) -> bool:
    """Wait until the condition holds, at most `timeout_seconds`; returns whether it does."""
    deadline = time.monotonic() + timeout_seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def runs(pid: int, program: str, argument: str) -> bool:
    """Whether `pid` is a live process (no zombie) running `program` with `argument` on its command line."""
    if Path("/proc/self/stat").exists():
        try:
            state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return state not in "ZX" and Path(os.fsdecode(words[0])).name == program and os.fsencode(argument) in words
    line = subprocess.run(  # noqa: S603 - a fixed command and a number
        ["/bin/ps", "-o", "stat=,args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return not line.lstrip().startswith("Z") and f"{program} " in line and argument in line


def running_in(directory: Path) -> list[int]:
    """Find the processes whose working directory is `directory`, among those we may see; none without /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == directory:
                found.append(int(entry.name))
    return found


def accepts(path: Path) -> bool:
    """Whether someone listens on the unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except TimeoutError:
            return True  # its queue is full: busy, not gone
        except OSError:
            return False
    return True


def stop_previous(pid_file: Path, program: str, argument: str, stop_signal: int, listening: Path) -> None:
    """Make sure that no earlier server is left: stop the one `pid_file` names if it is ours, and remove stale files.

    The caller holds the data directory's lock, so such a server has lost its owner. A pid that is a zombie, or meanwhile
    another program's, is no server. Raises StackError when someone still listens on the socket.
    """
    pid = _pid_in(pid_file)
    if pid and runs(pid, program, argument):
        for number in (stop_signal, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if wait_until(lambda: not runs(pid, program, argument), PREVIOUS_STOPS_SECONDS):
                break
    if (pid and runs(pid, program, argument)) or not wait_until(lambda: not accepts(listening), 2):
        raise StackError(
            f"Another {program} already listens on {listening}. Stop that process, then start again, or choose another "
            f"directory with --data."
        )
    pid_file.unlink(missing_ok=True)


def _pid_in(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


class Child:
    """One supervised subprocess in a process group of its own.

    Start it from a thread that lives as long as the child shall: on Linux the child gets SIGTERM when that thread ends.
    """

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path | None = None) -> None:
        self.name = name
        self._command = list(command)
        self._env = dict(env)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._restart_at: float | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the latest start, alive or not."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the command, appending its output to the log (ours without one); does nothing while it is alive.

        Raises OSError when the log cannot be opened.
        """
        if self.alive():
            return
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if self._log else None
        try:
            self._process = spawn(self._command, env=self._env, death_signal=signal.SIGTERM, output=log)
        finally:
            if log is not None:
                os.close(log)
        self._started_at = time.monotonic()

    def alive(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def restart_if_dead(self) -> bool:
        """Start the command again if it ended, after a pause that grows while it keeps ending; returns whether it did.

        Never blocks: call it each second or so. The pause goes from 0.5 s to 30 s, and back once it lived for 60 s.
        Meanwhile what is left of its group is asked to stop; when the pause is over it is killed.
        """
        now = time.monotonic()
        if self._process is None or self.alive():
            return False
        if self._restart_at is None:
            if now - self._started_at > SETTLED_SECONDS:
                self._pause_seconds = FIRST_PAUSE_SECONDS
            self._restart_at = now + self._pause_seconds
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            self._signal_group(signal.SIGTERM)
        if now < self._restart_at:
            return False
        self._restart_at = None
        self._signal_group(signal.SIGKILL)
        self.start()
        return True

    def terminate(self, timeout_seconds: float) -> None:
        """Ask the process to stop, wait at most `timeout_seconds`, then kill what is left of its group."""
        process = self._process
        if process is None:
            return
        # To the leader only: a worker process takes a second SIGTERM, passed on by its leader, as an order to drop its work.
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout_seconds)
        self._signal_group(signal.SIGKILL)
        process.wait()
        self._process = None
        self._restart_at = None

    def _signal_group(self, number: int) -> None:
        # PermissionError: on macOS a group of zombies refuses signals.
        with suppress(ProcessLookupError, PermissionError):
            if self._process is not None:
                os.killpg(self._process.pid, number)
