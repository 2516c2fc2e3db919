import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from workers.handlers import Call, Handler
from workers.handlers.http import HttpHandler, make_client
from workers.sandbox import Sandbox

ACTION = UUID("6f1c2f0e-6f0b-5c5e-9d5a-0d5b1c9f7a10")
FLOAT = {"agent_id": "agent-123", "adjustment": "top_up", "amount": 1_000_000, "sira_confidence": 0.95}
TOP_UP = Call(ACTION, "ADJUST_FLOAT", FLOAT, "action-1", token=1, timeout_seconds=5)
FREEZE = replace(TOP_UP, action_type="FREEZE_MERCHANT", params={"reason": "fraud", "merchant_id": "m-1"})
NOT_KEPT = "The service's answer was not kept: "


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        yield client


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def handler(sandbox: Sandbox, client: httpx.Client) -> Handler:
    return HttpHandler(f"{sandbox.url}/float/adjustments", client)


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Let `talk` do its worst with one connection after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):  # the listener was shut down: the test is over
            while True:
                connection = listener.accept()[0]
                with connection, suppress(OSError):  # the client went away: it may
                    connection.settimeout(10)
                    talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        listener.close()


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"}}"):
        received += connection.recv(65536)
    return received


def outcome_of(answer: bytes, client: httpx.Client, seen: list[bytes]) -> Outcome:
    def talk(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(answer)

    with raw_server(talk) as url:
        return HttpHandler(url, client).call(FREEZE)


def http(status: int, body: bytes = b"", header: str = "X: y") -> bytes:
    return f"HTTP/1.1 {status} Words\r\nContent-Length: {len(body)}\r\n{header}\r\n\r\n".encode() + body


# Against the sandbox


def test_a_top_up_is_done_once_however_often_it_is_called(sandbox: Sandbox, handler: Handler) -> None:
    first, again = handler.call(TOP_UP), handler.call(replace(TOP_UP, token=2))

    moved = {"balance_before": 500_000, "balance_after": 1_500_000, "currency": "XOF"}
    assert first == again == Done({"agent_id": "agent-123", "adjustment": "top_up", "amount": 1_000_000, **moved})
    [effect] = sandbox.effects()
    assert (effect["idempotency_key"], effect["attempt_token"], effect["replays"]) == ("action-1", 1, 1)
    assert (effect["action_id"], effect["params"], effect["result"]) == (str(ACTION), FLOAT, first.result)
    assert httpx.get(f"{sandbox.url}/float/agent-123", trust_env=False).json()["balance"] == 1_500_000
    assert httpx.get(f"{sandbox.url}/ledger", trust_env=False).json() == {"effects": [effect]}


def test_any_other_action_type_is_recorded(sandbox: Sandbox, client: httpx.Client) -> None:
    assert HttpHandler(f"{sandbox.url}/actions/FREEZE_MERCHANT", client).call(FREEZE) == Done({"accepted": True})
    assert [effect["action_type"] for effect in sandbox.effects()] == ["FREEZE_MERCHANT"]


def test_many_calls_at_once_with_one_key_have_one_effect(client: httpx.Client) -> None:
    class Slow(Sandbox):
        def _move_float(self, params: dict[str, Any]) -> dict[str, Any]:
            time.sleep(0.1)  # a gap between the check and the effect would let the others through
            return super()._move_float(params)

    with Slow() as sandbox, ThreadPoolExecutor(8) as pool:
        handler = HttpHandler(f"{sandbox.url}/float/adjustments", client)
        outcomes = list(pool.map(handler.call, [TOP_UP] * 8))
    assert isinstance(outcomes[0], Done)
    assert outcomes == [outcomes[0]] * 8
    assert [effect["replays"] for effect in sandbox.effects()] == [7]


@pytest.mark.parametrize(("change", "words"), [
    ({"agent_id": "nobody"}, "HTTP 404: There is no such agent."),
    ({"adjustment": "burn"}, "HTTP 422: The adjustment must be"),
    ({"amount": 1.5}, "HTTP 422: The amount must be"),
    ({"amount": True}, "HTTP 422: The amount must be"),
    ({"adjustment": "withdraw", "amount": 500_001}, "HTTP 422: The float cannot hold"),
])  # fmt: skip
def test_what_the_service_refuses_is_rejected(
    sandbox: Sandbox, handler: Handler, change: dict[str, Any], words: str
) -> None:
    outcome = handler.call(replace(TOP_UP, params=FLOAT | change))
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith(words)
    assert sandbox.effects() == []


def test_one_key_for_two_requests_is_rejected(sandbox: Sandbox, handler: Handler) -> None:
    handler.call(TOP_UP)
    assert isinstance(handler.call(replace(TOP_UP, params=FLOAT | {"amount": 2})), Rejected)
    assert len(sandbox.effects()) == 1


def test_a_dropped_answer_is_unknown_and_the_same_key_finds_the_effect(sandbox: Sandbox, handler: Handler) -> None:
    sandbox.drop_next()
    assert isinstance(handler.call(TOP_UP), Unknown)
    assert isinstance(handler.call(TOP_UP), Done)
    assert [effect["replays"] for effect in sandbox.effects()] == [1]


def test_an_answer_after_the_deadline_is_unknown(sandbox: Sandbox, handler: Handler) -> None:
    sandbox.delay_seconds = 5
    assert isinstance(handler.call(replace(TOP_UP, timeout_seconds=0.2)), Unknown)
    assert len(sandbox.effects()) == 1


def test_a_failure_has_no_effect_and_passes(sandbox: Sandbox, handler: Handler) -> None:
    sandbox.fail_next(503, count=2)
    assert [type(handler.call(TOP_UP)) for _ in range(3)] == [Unknown, Unknown, Done]
    assert [effect["replays"] for effect in sandbox.effects()] == [0]


def test_a_stopped_service_is_retried_and_a_restarted_one_remembers(sandbox: Sandbox, handler: Handler) -> None:
    handler.call(TOP_UP)
    sandbox.stop()
    assert isinstance(handler.call(TOP_UP), Retry)
    sandbox.start()
    assert isinstance(handler.call(TOP_UP), Done)
    assert len(sandbox.effects()) == 1


def test_a_client_without_free_connections_has_sent_nothing(sandbox: Sandbox) -> None:
    sandbox.delay_seconds = 5
    with httpx.Client(trust_env=False, limits=httpx.Limits(max_connections=1)) as client:
        handler = HttpHandler(f"{sandbox.url}/float/adjustments", client)
        busy = threading.Thread(target=handler.call, args=(TOP_UP,))
        busy.start()
        while busy.is_alive() and not sandbox.effects():
            time.sleep(0.01)
        outcome = handler.call(replace(TOP_UP, idempotency_key="action-2", timeout_seconds=0.2))
        sandbox.stop()  # which ends the delay
        busy.join()
    assert isinstance(outcome, Retry)
    assert len(sandbox.effects()) == 1


@pytest.mark.parametrize(("change", "expected"), [
    ({"timeout_seconds": 0}, Retry),
    ({"timeout_seconds": float("nan")}, Retry),
    ({"idempotency_key": "clé"}, Rejected),
    ({"idempotency_key": "a\r\nX-Other: b"}, Rejected),
    ({"idempotency_key": ""}, Rejected),
    ({"params": FLOAT | {"amount": 2**53}}, Rejected),
    ({"params": FLOAT | {"note": "\ud800"}}, Rejected),
])  # fmt: skip
def test_a_call_that_cannot_be_made_is_not_made(
    sandbox: Sandbox, handler: Handler, change: dict[str, Any], expected: type[Outcome]
) -> None:
    assert type(handler.call(replace(TOP_UP, **change))) is expected
    assert sandbox.effects() == []


def test_the_log_holds_neither_params_nor_answers(
    sandbox: Sandbox, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    handler.call(TOP_UP)
    assert sandbox.effects()
    assert "agent-123" not in caplog.text
    assert "balance" not in caplog.text


@pytest.mark.parametrize(("path", "key", "token", "body", "status"), [
    ("/actions/X", "", "1", b'{"action_id": "a", "action_type": "X", "params": {}}', 400),
    ("/actions/X", "k", "one", b'{"action_id": "a", "action_type": "X", "params": {}}', 400),
    ("/actions/X", "k", "1", b'{"action_id": "a", "action_type": "X", "params": {"a": NaN}}', 400),
    ("/actions/X", "k", "1", b'{"action_id": "a", "action_type": "X"}', 400),
    ("/actions/X", "k", "1", b"[" * 60_000, 400),
    ("/actions/X", "k", "1", b'{"action_id": "a", "action_type": "Y", "params": {}}', 422),
    ("/actions/ADJUST_FLOAT", "k", "1", b'{"action_id": "a", "action_type": "ADJUST_FLOAT", "params": {}}', 422),
    ("/elsewhere", "k", "1", b"{}", 404),
], ids=range(8))  # fmt: skip
def test_the_sandbox_refuses_bad_requests_with_a_sentence(
    sandbox: Sandbox, path: str, key: str, token: str, body: bytes, status: int
) -> None:
    headers = {"Idempotency-Key": key, "Attempt-Token": token}
    response = httpx.post(sandbox.url + path, headers=headers, content=body, trust_env=False)
    assert response.status_code == status
    assert response.json()["error"].endswith(".")
    assert sandbox.effects() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_runs_until_it_is_told_to_stop_and_marks_replays(number: signal.Signals) -> None:
    command, root = [sys.executable, "-m", "workers.sandbox"], Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            body = {"action_id": "a", "action_type": "X", "params": {}}
            with httpx.Client(trust_env=False, headers={"Idempotency-Key": "k"}) as client:
                answers = [client.post(f"{url}/actions/X", json=body) for _ in range(2)]
            assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true"]
            assert [answer.json() for answer in answers] == [{"accepted": True}] * 2
            process.send_signal(number)
            assert process.communicate(timeout=10) == ("", "")
            assert process.returncode == 0
        finally:
            process.kill()


# Against services that behave badly


@pytest.mark.parametrize(("answer", "expected"), [
    # A success, and what can be kept of it
    (http(201, b'{"moved": 1, "ratio": 0.5, "ok": true}'), Done({"moved": 1, "ratio": 0.5, "ok": True})),
    (http(200, b'{"n": -9007199254740991}'), Done({"n": -(2**53) + 1})),
    (b"HTTP/1.1 204 No Content\r\n\r\n", Done({"http_status": 204})),
    *[(http(200, body), Done({"http_status": 200})) for body in (
        b"ok", b"[1]", b"12", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1', b'{"a": "\xff"}', b"\xef\xbb\xbf{}", b"x" * 65_536,
    )],
    *[(http(200, b'{"a": %s}' % value), Done({"http_status": 200, "note": NOT_KEPT + why})) for value, why in (
        (rb'"x\u0000y"', r"it holds the character \u0000."),
        (rb'{"\u0000": 1}', r"it holds the character \u0000."),
        (rb'["\ud800"]', "it holds half a character."),
        (b"9007199254740992", "it holds an integer beyond 2^53 - 1."),
        (b"-9007199254740992", "it holds an integer beyond 2^53 - 1."),
        (b"9" * 5000, "it holds an integer beyond 2^53 - 1."),
        (b"1e400", "it holds a number too large to be exact."),
        (b"9007199254740992.0", "it holds a number too large to be exact."),
        (b'{"b": 1, "b": 2}', "it repeats a key."),
        (b"[" * 32 + b"]" * 32, "it is nested too deeply."),
        (b"[" * 60_000, "it is nested too deeply."),
    )],
    (http(200, b'{"a": ' * 31 + b"{}" + b"}" * 31), Done(reduce(lambda inner, _: {"a": inner}, range(31), {}))),
    # Refusals and their reasons
    *[(http(status, b"", "Location: /there"), Rejected(f"HTTP {status}")) for status in (307, 308)],
    (http(400, b'{"error": "no such agent"}'), Rejected("HTTP 400: no such agent")),
    (http(401, b'{"detail": "no\\u0000such\\n\\u202eagent"}'), Rejected("HTTP 401: no such agent")),
    (http(403, b'{"error": {"code": 1}, "message": "odd"}'), Rejected("HTTP 403: odd")),
    (http(404, b"<html>" + b"x" * 100_000), Rejected("HTTP 404")),
    (http(422, b"\xff\x00\x1b[31m  words\r\n"), Rejected("HTTP 422: \N{REPLACEMENT CHARACTER} [31m words")),
    (http(418, b"y" * 1000), Rejected("HTTP 418: " + "y" * 200)),
    (http(418, b"[" * 60_000), Rejected("HTTP 418: " + "[" * 200)),
    # Not now
    (http(425), Retry("HTTP 425")),
    (http(429), Retry("HTTP 429")),
    (http(429, b"", "Retry-After: 120"), Retry("HTTP 429", 120.0)),
    (http(429, b"", "Retry-After: 999999999"), Retry("HTTP 429", 86_400.0)),
    *[(http(429, b"", f"Retry-After: {date}"), Retry("HTTP 429")) for date in ("-5", "nan", "Wed, 21 Oct 2026 07:28:00 GMT")],
    # Nobody knows
    *[(http(status), Unknown(f"HTTP {status}")) for status in (301, 302, 303, 304, 408, 409, 500, 502, 503, 504, 600)],
    (http(503, b"", "Retry-After: 1"), Unknown("HTTP 503")),
    *[(answer, Unknown) for answer in (
        http(200, b"x" * 65_537), http(200, b"{}")[:-1], b"", b"HTTP/1.1 200", b"SSH-2.0-x\r\n", b"\x00\xff" * 1000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        http(200, b"", "Content-Length: 2"), http(302, b"", "Location: http://host:port/"), b"HTTP/1.1 101 X\r\n\r\n",
    )],
], ids=lambda value: repr(value)[:60])  # fmt: skip
def test_an_answer_has_its_outcome(client: httpx.Client, answer: bytes, expected: Outcome | type[Outcome]) -> None:
    seen: list[bytes] = []
    outcome = outcome_of(answer, client, seen)
    assert (type(outcome) if isinstance(expected, type) else outcome) == expected
    assert len(seen) == 1  # neither a redirect nor a failure makes a second request


def test_the_request_is_canonical_json_with_key_and_token(client: httpx.Client) -> None:
    seen: list[bytes] = []
    outcome_of(http(200), client, seen)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    for line in ("Idempotency-Key: action-1", "Attempt-Token: 1", "Content-Type: application/json",
                 "Connection: close", "Accept-Encoding: identity"):  # fmt: skip
        assert line.encode() in head.split(b"\r\n")
    params = b'{"merchant_id":"m-1","reason":"fraud"}'
    assert body == b'{"action_id":"%s","action_type":"FREEZE_MERCHANT","params":%s}' % (str(ACTION).encode(), params)


def test_where_nothing_was_sent_it_is_retried(client: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    # .invalid is reserved by RFC 6761: it resolves nowhere.
    for endpoint in (f"http://127.0.0.1:{closed}/", "http://service.invalid/"):
        assert isinstance(HttpHandler(endpoint, client).call(TOP_UP), Retry)


def test_a_connection_closed_at_once_is_unknown(client: httpx.Client) -> None:
    with raw_server(lambda connection: connection.close()) as url:
        assert isinstance(HttpHandler(url, client).call(TOP_UP), Unknown)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_failed_or_endless_tls_handshake_has_sent_nothing(client: httpx.Client, answer: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(answer)

    with raw_server(talk) as url:
        handler = HttpHandler(url.replace("http:", "https:"), client)
        assert isinstance(handler.call(replace(TOP_UP, timeout_seconds=0.3)), Retry)


def test_nothing_is_sent_after_the_deadline(monkeypatch: pytest.MonkeyPatch, client: httpx.Client) -> None:
    # The name is looked up so slowly that the call is given up first; then the connection succeeds.
    seen: list[bytes] = []
    given_up, closed = threading.Event(), threading.Event()
    lookup = socket.getaddrinfo

    def talk(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        closed.set()

    with raw_server(talk) as url:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: lookup(*a, **k) if given_up.wait(10) else [])
        outcome = HttpHandler(url, client).call(replace(TOP_UP, timeout_seconds=0.1))
        given_up.set()
        assert isinstance(outcome, Retry)
        assert closed.wait(10)
    assert seen == [b""]


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    unsigned = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with NamedTemporaryFile() as pem:
        pem.write(unsigned.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        pem.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"])
def test_a_trickle_does_not_outlast_the_deadline(tls: ssl.SSLContext, scheme: str, head: bytes) -> None:
    cut = threading.Event()

    def talk(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) if scheme == "https" else connection as stream:
            read_request(stream)
            stream.sendall(head)
            try:
                for _ in range(200):  # 10 seconds, each read well inside the timeout
                    stream.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                cut.set()

    # The certificate is not what is tested.
    with raw_server(talk) as url, httpx.Client(trust_env=False, verify=False) as client:  # noqa: S501 - as said
        handler = HttpHandler(url.replace("http:", f"{scheme}:"), client)
        started = time.monotonic()
        outcome = handler.call(replace(TOP_UP, timeout_seconds=0.4))
        assert time.monotonic() - started < 5
        assert isinstance(outcome, Unknown)
        assert cut.wait(5), "the connection was left open"


def test_a_transport_that_reports_nothing_is_taken_to_have_sent() -> None:
    released = threading.Event()
    transport = httpx.MockTransport(lambda _: httpx.Response(200 if released.wait(10) else 500))
    with httpx.Client(transport=transport) as client:
        outcome = HttpHandler("http://service/", client).call(replace(TOP_UP, timeout_seconds=0.1))
        released.set()
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(("method", "expected"), [(b"POST", Unknown), (b"CONNECT", Retry)])
def test_a_connection_that_fails_after_the_request_is_unknown(method: bytes, expected: type[Outcome]) -> None:
    # As when the client asks a proxy for a tunnel, or sends twice to answer a challenge.
    def transport(request: httpx.Request) -> httpx.Response:
        request.extensions["trace"]("http11.send_request_headers.started", {"request": SimpleNamespace(method=method)})
        raise httpx.ConnectError("no")

    with httpx.Client(transport=httpx.MockTransport(transport)) as client:
        assert type(HttpHandler("http://service/", client).call(TOP_UP)) is expected


@pytest.mark.parametrize("endpoint", [
    "", "/float", "ftp://host/", "http://", "http:///path", "http://host:99999/", "http://host:0/", "http://[::1/",
    "http://user:secret@host/", "http://host/#part", "http://host/a b", "http://host/\n", "http://hôte/",
])  # fmt: skip
def test_a_bad_endpoint_is_refused_at_once(client: httpx.Client, endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"^The endpoint .*\.$"):
        HttpHandler(endpoint, client)


def test_no_service_gets_the_cookies_of_another() -> None:
    seen: list[bytes] = []
    with make_client() as client:
        for _ in range(2):
            outcome_of(http(200, b"{}", "Set-Cookie: session=secret; Path=/"), client, seen)
    assert len(seen) == 2
    assert b"cookie" not in seen[1].lower()
