"""The other side of every call: a service in a process of its own that writes each effect to a file before it answers.

    python -m tests.faults.ledger FILE [--deduplicate]

POST does an effect for the header Idempotency-Key: every time, or with `--deduplicate` once for each key. GET says what
became of a key. PUT sets how many of a hundred answers to POST get lost after the effect.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, Self

import httpx

WORK_SECONDS = 0.05
"""How long an effect takes at most, and how long the answer to it: time for a fault to come between them."""


class Ledger:
    """A ledger's process, as those see it who start it and read its file."""

    def __init__(self, file: Path, *, deduplicate: bool) -> None:
        self._file = file
        self._deduplicate = deduplicate
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def effects(self) -> Counter[str]:
        """How many effects each key had."""
        return Counter(self._file.read_text().split()) if self._file.exists() else Counter()

    def lose_answers(self, percent: int) -> None:
        """Have some answers get lost from now on, after the effect."""
        httpx.put(self.url, content=str(percent), trust_env=False).raise_for_status()

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.faults.ledger", str(self._file)]
        command += ["--deduplicate"] * self._deduplicate
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # what interrupts the harness in a terminal is not for it
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()


class _Service(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, file: BinaryIO, *, deduplicate: bool) -> None:
        self._file = file
        self._deduplicate = deduplicate
        self._lock = threading.Lock()
        self._done: set[str] = set()
        self._under_way: Counter[str] = Counter()
        self.lost_percent = 0
        super().__init__(("127.0.0.1", 0), _Requests)

    def state(self, key: str) -> str:
        with self._lock:
            if key in self._done:
                return "executed"
            return "in_progress" if self._under_way[key] else "not_executed"

    def do(self, key: str) -> None:
        """One effect; what is written is on the disk when this returns."""
        with self._lock:
            self._under_way[key] += 1
        time.sleep(random.uniform(0, WORK_SECONDS))
        with self._lock:
            self._under_way[key] -= 1
            if self._deduplicate and key in self._done:
                return
            self._file.write(f"{key}\n".encode())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._done.add(key)

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # who calls is killed all the time
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it was called


class _Requests(BaseHTTPRequestHandler):
    server: _Service
    timeout = 10

    def do_GET(self) -> None:
        self._answer({"state": self.server.state(self.headers["Idempotency-Key"])})

    def do_PUT(self) -> None:
        self.server.lost_percent = int(self._body())
        self._answer({})

    def do_POST(self) -> None:
        self._body()
        self.server.do(self.headers["Idempotency-Key"])
        time.sleep(random.uniform(0, WORK_SECONDS))
        if random.randrange(100) >= self.server.lost_percent:
            self._answer({"done": True})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--deduplicate", action="store_true")
    given = parser.parse_args()
    with given.file.open("ab") as file, _Service(file, deduplicate=given.deduplicate) as service:
        print(f"http://127.0.0.1:{service.server_address[1]}", flush=True)
        threading.Thread(target=service.serve_forever, daemon=True).start()
        sys.stdin.read()  # until whoever started it is gone


if __name__ == "__main__":
    main()
