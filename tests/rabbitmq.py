"""A RabbitMQ node of the tests' own: its data, ports and name server (epmd) are nobody else's."""

import os
import re
import shutil
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from workers.stack import Child
from workers.stack.process import wait_until

# What Debian puts on the PATH insists on the account `rabbitmq` and its directories; this is what it runs.
DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_SECONDS = 60.0
STOP_SECONDS = 30.0


def program() -> str | None:
    """The path of rabbitmq-server, None if it is not installed."""
    return str(DEBIAN) if DEBIAN.exists() else shutil.which("rabbitmq-server")


class RabbitMQ:
    """One node without plugins, on 127.0.0.1; it keeps durable messages over `kill` and `start`."""

    def __init__(self, program: str, directory: Path) -> None:
        epmd = shutil.which("epmd")
        assert epmd, "Erlang's epmd is not on the PATH"
        self._log = directory / "log"
        self._port, distribution, names = _free_ports(3)
        self._names_port = names
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),  # of Erlang's cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_NODENAME": f"tests-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_LOGS": "-",
            "RUNNING_UNDER_SYSTEMD": "1",  # one process, which gets our signals, in place of a shell around it
            # Nothing of the machine's own RabbitMQ: these files do not exist.
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none.conf"),
            "RABBITMQ_CONFIG_FILE": str(directory / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "none.plugins"),
        }
        self._names = Child("epmd", [epmd], env, directory / "epmd.log")
        self._node = Child("rabbitmq", [program], env, self._log)

    @property
    def url(self) -> str:
        """Its address, in the form of BROKER_URL."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it if it does not run, and return when it lets clients in."""
        self._names.start()
        assert wait_until(lambda: _greeting(self._names_port, b"") is not None, START_SECONDS), "epmd did not start"
        self._node.start()
        assert wait_until(lambda: not self._node.alive() or self.version() is not None, START_SECONDS), (
            "it did not answer"
        )
        assert self._node.alive(), self._log.read_text()[-2000:]

    def kill(self) -> None:
        """Kill the node with SIGKILL."""
        assert self._node.pid
        os.kill(self._node.pid, signal.SIGKILL)
        self._node.terminate(STOP_SECONDS)

    def stop(self) -> None:
        """Shut down cleanly; no process is left."""
        self._node.terminate(STOP_SECONDS)
        self._names.terminate(STOP_SECONDS)

    def version(self) -> str | None:
        """The version that it greets its clients with, None while it does not answer."""
        found = re.search(rb"\x07versionS.{4}([0-9.]+)", _greeting(self._port, b"AMQP\0\0\x09\x01") or b"", re.DOTALL)
        return found[1].decode() if found else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _greeting(port: int, hello: bytes) -> bytes | None:
    """What a server answers a client at first, None when nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(hello)
            return client.recv(4096) if hello else b""
    except OSError:
        return None


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:  # all held at once, so that they differ
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in held]
