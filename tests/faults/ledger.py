"""The other side of every call: a service in a process of its own that writes each effect to a file before it answers.

    python -m tests.faults.ledger FILE PORT {neither,deduplicates,queryable}

It does what docs/execution.md asks of a service with that guarantee, and no more. POST does the effect of the header
Idempotency-Key. GET, which only a queryable one answers, says what became of a key. PUT sets how many of a hundred answers
to POST get lost after the effect. Killed and started again it goes on from its file.
"""

import argparse
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

WORK_SECONDS = 0.05
"""How long an effect takes at most, and how long the answer to it: time for a fault to come between them."""

DONE = "done"
REFUSED = "refused"


class Ledger:
    """A ledger's process, as those see it who start it and read its file. It has the same address after every start."""

    def __init__(self, file: Path, guarantee: str) -> None:
        self._file = file
        self._guarantee = guarantee
        self._process: subprocess.Popen[str] | None = None
        # Bound and never listening: without the process nobody answers there, and nobody else gets the port.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self._port: int = self._place.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def effects(self) -> Counter[str]:
        """How many effects each key had."""
        return Counter(key for key, _, what in _read(self._file) if what == DONE)

    def lose_answers(self, percent: int) -> None:
        """Have some answers get lost from now on, after the effect."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        connection.request("PUT", "/", body=str(percent))
        assert connection.getresponse().status == HTTPStatus.OK
        connection.close()

    def start(self) -> None:
        """Start the process, which reads its file, and return when it takes calls."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.ledger", str(self._file), str(self._port), self._guarantee],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # what interrupts the harness in a terminal is not for it
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the ledger did not start"

    def kill(self) -> None:
        """Kill the process with SIGKILL; calls under way break."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._place.close()


def _read(file: Path) -> list[tuple[str, int, str]]:
    """The lines of a ledger's file: key, token, and what happened."""
    if not file.exists():
        return []
    lines = [line.split() for line in file.read_text().splitlines()]
    return [(key, int(token), what) for key, token, what in lines]


class _Service(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, path: Path, port: int, guarantee: str) -> None:
        self.guarantee = guarantee
        self._lock = threading.Lock()
        self._done: set[str] = set()
        self._lowest: dict[str, int] = {}
        """The lowest token of each key whose call may still have its effect."""
        self._under_way: Counter[str] = Counter()
        self.lost_percent = 0
        for line in _read(path):
            self._remember(*line)
        self._file = path.open("ab")
        super().__init__(("127.0.0.1", port), _Requests)

    def state(self, key: str, token: int) -> str:
        """What became of a key's call; one that did not happen, as this says, never will any more."""
        with self._lock:
            if key in self._done:
                return "executed"
            if self._under_way[key]:
                return "in_progress"
            self._write(key, token, REFUSED)
            return "not_executed"

    def do(self, key: str, token: int) -> bool:
        """One effect, as far as the guarantee allows it; false if it is refused. What is told is on the disk."""
        with self._lock:
            self._under_way[key] += 1
        time.sleep(random.uniform(0, WORK_SECONDS))
        with self._lock:
            self._under_way[key] -= 1
            if self.guarantee == "deduplicates" and key in self._done:
                return True
            if self.guarantee == "queryable" and token < self._lowest.get(key, 0):
                return False
            self._write(key, token, DONE)
            return True

    def _write(self, key: str, token: int, what: str) -> None:
        self._file.write(f"{key} {token} {what}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._remember(key, token, what)

    def _remember(self, key: str, token: int, what: str) -> None:
        if what == DONE:
            self._done.add(key)
        self._lowest[key] = max(self._lowest.get(key, 0), token if what == DONE else token + 1)

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # who calls is killed all the time
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it was called


class _Requests(BaseHTTPRequestHandler):
    server: _Service
    timeout = 10

    def do_GET(self) -> None:
        if self.server.guarantee == "queryable":
            self._answer({"state": self.server.state(*self._call())})
        else:
            self._answer({"error": "it cannot be asked"}, HTTPStatus.NOT_FOUND)

    def do_PUT(self) -> None:
        self.server.lost_percent = int(self._body())
        self._answer({})

    def do_POST(self) -> None:
        self._body()
        done = self.server.do(*self._call())
        time.sleep(random.uniform(0, WORK_SECONDS))
        if random.randrange(100) >= self.server.lost_percent:
            if done:
                self._answer({"done": True})
            else:
                self._answer({"error": "a later attempt or a question was here"}, HTTPStatus.CONFLICT)

    def _call(self) -> tuple[str, int]:
        return self.headers["Idempotency-Key"], int(self.headers.get("Attempt-Token", "0"))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, body: dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("guarantee", choices=("neither", "deduplicates", "queryable"))
    given = parser.parse_args()
    with _Service(given.file, given.port, given.guarantee) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        print("ready", flush=True)
        sys.stdin.read()  # until whoever started it is gone


if __name__ == "__main__":
    main()
