"""What the two servers have in common: they are launched, answer after a while, die and are stopped."""

import os
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from workers.stack import directory
from workers.stack.process import Account, StackError, spawn, wait_until

START_SECONDS = 120.0  # recovery after a crash may replay much
STOP_SECONDS = 30.0
# Nothing of ours, such as PGDATA or PGPORT, may change what the servers do; Python may need its libraries to launch them.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Server(ABC):
    """One server on one data directory, not safe for use by several threads."""

    name: str
    stop_signal: int

    def __init__(self, data_dir: Path, *, durable: bool) -> None:
        self.data_dir = data_dir
        self.durable = durable
        self.run_dir = data_dir / "run"
        self.account: Account | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False

    @abstractmethod
    def launch(self) -> None:
        """Launch the server and return when it answers. Raises StackError, also when it ended or never answered."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether the server answers a request."""

    def start(self, account: Account | None) -> None:
        """Start the server if it does not run, and return when it answers. Raises StackError."""
        self.account = account
        self._wanted = True
        if not self.runs():
            self.launch()

    def runs(self) -> bool:
        """Whether our process is alive."""
        return self._process is not None and self._process.poll() is None

    def died(self) -> bool:
        """Whether the server should run and does not."""
        return self._wanted and not self.runs()

    def ask_to_stop(self) -> None:
        """Ask for a clean stop and return at once."""
        self._wanted = False
        if self._process is not None:
            self._process.send_signal(self.stop_signal)

    def wait_stopped(self) -> None:
        """Wait until the process is gone; after 30 seconds it is killed, which loses nothing committed."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            self.kill()
            self._process = None

    def kill(self) -> None:
        """Kill the process without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> Path:
        """The file that gets all its output."""
        return self.data_dir / "log" / f"{self.name}.log"

    def spawn_logged(self, command: list[str], death_signal: int) -> subprocess.Popen[bytes]:
        """Start a command as the server's account, with its output in the log."""
        log = directory.open_log(self.log, self.account)
        try:
            env = ENVIRONMENT | {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
            # The working directory is one that every account can be in.
            return spawn(command, env=env, death_signal=death_signal, account=self.account, cwd=Path("/"), output=log)
        finally:
            os.close(log)

    def run_until_it_answers(self, command: list[str]) -> bool:
        """Run the command as the server; returns False when it ended before it answered. Raises StackError after 120 s."""
        self._process = self.spawn_logged(command, self.stop_signal)
        if not wait_until(lambda: not self.runs() or self.answers(), START_SECONDS):
            self.kill()
            raise StackError(
                f"The {self.name} server did not answer within {START_SECONDS:.0f} seconds. Read {self.log}, then start again."
            )
        return self.runs()

    def log_since(self, offset: int) -> str:
        """Read the log from `offset` in bytes."""
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def log_size(self) -> int:
        """Tell the log's size in bytes, 0 without one."""
        return self.log.stat().st_size if self.log.exists() else 0
