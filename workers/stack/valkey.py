"""The embedded Valkey, which speaks Redis's protocol."""

import signal
import socket
from pathlib import Path

from workers.stack.installed import valkey_programs
from workers.stack.process import StackError, stop_previous
from workers.stack.server import Server

SOCKET = "valkey.sock"
SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "set-proc-title": "no",  # the command line tells whose server it is
    "logfile": "",  # to stdout, which is our log
}


class Valkey(Server):
    """One Valkey on `<data>/redis` with an append-only file."""

    name = "valkey"
    stop_signal = signal.SIGTERM
    program = "valkey-server"

    def programs(self) -> Path:
        """Find the directory of the program. Raises StackError."""
        return valkey_programs(self.account)

    @property
    def socket(self) -> Path:
        """The unix socket that it listens on."""
        return self.run_dir / SOCKET

    def launch(self) -> None:
        program = self.programs() / self.program
        pid_file = self.run_dir / "valkey.pid"
        stop_previous(pid_file, self.program, str(self.socket), self.stop_signal, self.socket)
        places = {"dir": str(self.data_dir / "redis"), "unixsocket": str(self.socket), "pidfile": str(pid_file)}
        command = [str(program)]
        for key, value in {**SETTINGS, **places}.items():
            command += [f"--{key}", value]
        offset = self.log_size()
        if not self.run_until_it_answers(command):
            reason = self.log_since(offset).strip().rpartition("\n")[2] or "it said nothing"
            raise StackError(f"Valkey did not start: {reason}. Read {self.log}, then start again.")

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")  # not -LOADING
            except OSError:
                return False
