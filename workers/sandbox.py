"""A small stand-in for the services that execute actions, for demonstrations and tests.

It keeps agents' floats and a ledger of effects in memory, and deduplicates by `Idempotency-Key` as the real services
are asked to: `GET /ledger` shows whether an effect happened once.
"""

import argparse
import copy
import json
import signal
import socketserver
import sys
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

_HOST = "127.0.0.1"
_BODY_LIMIT_BYTES = 64 * 1024
_AMOUNT_LIMIT = 2**53 - 1
_DEFAULT_BALANCES = {"agent-123": 500_000}


class Sandbox:
    """Serves the sandbox on 127.0.0.1 between `start` and `stop`, or as a context manager.

    `port` 0 takes a free one and keeps it over a restart; `balances` are XOF by agent, `{"agent-123": 500_000}` unless
    given. `delay_seconds` holds back every answer to a POST, after the effect. OSError when the port is taken.
    """

    def __init__(self, port: int = 0, balances: Mapping[str, int] | None = None) -> None:
        self.delay_seconds = 0.0
        self._port = port
        self._balances = dict(_DEFAULT_BALANCES if balances is None else balances)
        self._effects: dict[str, _Effect] = {}
        self._failures: deque[int] = deque()
        self._drops = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end; RuntimeError while no port has been taken."""
        if self._port == 0:
            raise RuntimeError("The sandbox has no port before its first start.")
        return f"http://{_HOST}:{self._port}"

    def start(self) -> None:
        """Take the port and serve in a thread; returns when connections are accepted. Does nothing when running."""
        if self._server is not None:
            return
        self._stopping.clear()
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Accept no more connections and release the port; balances, ledger and knobs are kept."""
        if self._server is None:
            return
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def effects(self) -> list[dict[str, Any]]:
        """Return a copy of the ledger, one entry per effect in the order they happened."""
        with self._lock:
            return [copy.deepcopy(effect.entry) for effect in self._effects.values()]

    def fail_next(self, status: int, count: int = 1) -> None:
        """Answer the next `count` POSTs with `status`, 300 to 599, and no effect; ValueError for other statuses."""
        if not 300 <= status <= 599:  # noqa: PLR2004 - the classes of HTTP statuses are their own names
            raise ValueError(f"{status} is not a status of failure.")
        with self._lock:
            self._failures.extend([status] * count)

    def drop_next(self, count: int = 1) -> None:
        """Do the effect of the next `count` POSTs that succeed, then close the connection without an answer."""
        with self._lock:
            self._drops += count

    def _get(self, path: str) -> "_Answer":
        if path == "/ledger":
            return _Answer({"effects": self.effects()})
        prefix, _, agent_id = path.rpartition("/")
        if prefix != "/float":
            raise _RefusedError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
        with self._lock:
            balance = self._balance(unquote(agent_id))
        return _Answer({"agent_id": unquote(agent_id), "balance": balance, "currency": "XOF"})

    def _post(self, path: str, key: str | None, token: str | None, body: bytes) -> "_Answer | None":
        """Do the effect, or find that it was done; None when the connection must be dropped."""
        # One lock around the check and the effect: two requests with one key must not both find nothing.
        with self._lock:
            if self._failures:
                raise _RefusedError(self._failures.popleft(), "The sandbox was told to fail.")
            entry = _order(path, key, token, body)
            done = self._effects.get(entry["idempotency_key"])
            if done is None:
                moves = entry["action_type"] == "ADJUST_FLOAT"
                entry["result"] = self._move_float(entry["params"]) if moves else {"accepted": True}
                answer = _Answer(entry["result"])
                self._effects[entry["idempotency_key"]] = _Effect(path, body, entry)
            elif (done.path, done.body) == (path, body):
                done.entry["replays"] += 1
                answer = _Answer(done.entry["result"], replayed=True)
            else:
                raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "This key was used for another request.")
            drop = self._drops > 0
            self._drops -= 1 if drop else 0
        if self.delay_seconds:
            self._stopping.wait(self.delay_seconds)
        return None if drop else answer

    def _balance(self, agent_id: str) -> int:
        if agent_id not in self._balances:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "There is no such agent.")
        return self._balances[agent_id]

    def _move_float(self, params: dict[str, Any]) -> dict[str, Any]:
        agent_id, adjustment, amount = (params.get(name) for name in ("agent_id", "adjustment", "amount"))
        if not isinstance(agent_id, str):
            raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "The agent_id must be a string.")
        before = self._balance(agent_id)
        if adjustment not in ("top_up", "withdraw"):
            raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "The adjustment must be top_up or withdraw.")
        if type(amount) is not int or not 0 < amount <= _AMOUNT_LIMIT:
            raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "The amount must be a positive integer of XOF.")
        after = before + amount if adjustment == "top_up" else before - amount
        if not 0 <= after <= _AMOUNT_LIMIT:
            raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "The float cannot hold the balance after this.")
        self._balances[agent_id] = after
        asked = {"agent_id": agent_id, "adjustment": adjustment, "amount": amount}
        return asked | {"balance_before": before, "balance_after": after, "currency": "XOF"}


@dataclass(slots=True)
class _Effect:
    path: str
    body: bytes
    entry: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    body: dict[str, Any]
    status: int = HTTPStatus.OK
    replayed: bool = False


class _RefusedError(Exception):
    """The request has no effect, and this is the answer to it."""

    def __init__(self, status: int, sentence: str) -> None:
        self.answer = _Answer({"error": sentence}, status)


def _order(path: str, key: str | None, token: str | None, body: bytes) -> dict[str, Any]:
    """Return the ledger entry that a request asks for, with its result still to come."""
    if path != "/float/adjustments" and path.rpartition("/")[0] != "/actions":
        raise _RefusedError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
    if not key:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "The Idempotency-Key header is missing.")
    if token is not None and not (token.isascii() and token.isdigit() and len(token) < 20):  # noqa: PLR2004 - a bigint
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "The Attempt-Token header is not an integer.")
    try:
        fields = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from exc
    match fields:
        case {"action_id": str(action_id), "action_type": str(action_type), "params": dict(params)}:
            pass
        case _:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "The body needs action_id, action_type and params.")
    # A float moved by the generic endpoint would appear in the ledger and not in the balance.
    expected = "/float/adjustments" if action_type == "ADJUST_FLOAT" else f"/actions/{action_type}"
    if unquote(path) != expected:
        raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "This action type is not executed at this path.")
    return {
        "idempotency_key": key,
        "action_id": action_id,
        "action_type": action_type,
        "params": params,
        "attempt_token": None if token is None else int(token),
        "at": datetime.now(UTC).isoformat(),
        "result": None,
        "replays": 0,
    }


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # the default of 5 makes a burst of connections wait for TCP's retries

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self.sandbox = sandbox
        super().__init__((_HOST, port), _Requests)

    def server_bind(self) -> None:
        # HTTPServer's own asks DNS for the host's name, which can take seconds and which nobody uses.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away is what the tests provoke; anything else is a defect and is shown.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Requests(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # of one read, in seconds: a silent client must not hold its thread for ever
    # HTTP/1.0, the default, closes after each answer: a stopped sandbox is then silent on old connections too.

    def do_GET(self) -> None:
        try:
            answer = self.server.sandbox._get(urlsplit(self.path).path)  # noqa: SLF001 - one unit with Sandbox
        except _RefusedError as exc:
            answer = exc.answer
        self._send(answer)

    def do_POST(self) -> None:
        answer: _Answer | None
        try:
            body = self._body()
            path, headers = urlsplit(self.path).path, self.headers
            answer = self.server.sandbox._post(  # noqa: SLF001 - one unit with Sandbox
                path, headers["Idempotency-Key"], headers["Attempt-Token"], body
            )
        except _RefusedError as exc:
            answer = exc.answer
        if answer is not None:
            self._send(answer)

    def _body(self) -> bytes:
        length = self.headers["Content-Length"] or ""
        if not (length.isascii() and length.isdigit()):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "The Content-Length header is missing.")
        if len(length) > 9 or int(length) > _BODY_LIMIT_BYTES:  # noqa: PLR2004 - digits of any sane length
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is longer than 64 KiB.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "The body is shorter than its Content-Length.")
        return body

    def _send(self, answer: _Answer) -> None:
        body = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if answer.replayed:
            self.send_header("Idempotent-Replayed", "true")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Stay quiet: requests hold params."""


def main(arguments: list[str] | None = None) -> None:
    """Serve in the foreground until SIGTERM or SIGINT, having printed the URL."""
    parser = argparse.ArgumentParser(prog="python -m workers.sandbox", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    port = parser.parse_args(arguments).port
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        with Sandbox(port) as sandbox:
            sys.stdout.write(f"{sandbox.url}\n")
            sys.stdout.flush()
            ended.wait()
    except (OSError, OverflowError) as exc:
        parser.exit(1, f"The sandbox cannot listen on port {port}: {exc}\n")


if __name__ == "__main__":
    main()
