"""What a service says when it is asked what became of a call, and what that settles."""

import socket
import time
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import httpx
import pytest

from domain.outcome import Done, Outcome, Retry, Unknown
from tests.workers.test_http_handler import raw_server
from workers.handlers import Call
from workers.handlers.asking import ask

CALL = Call(UUID(int=1), "PAY", {"amount": 5}, "key-1", token=7, timeout_seconds=5)


def asked(status: int, body: bytes) -> tuple[Outcome, list[httpx.Request]]:
    """What asking comes to where the service answers this, or with status 0 not at all; and what it was asked."""
    seen: list[httpx.Request] = []

    def service(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if status == 0:
            raise httpx.ConnectError("no")
        return httpx.Response(status, headers={"Location": "/x"}, content=iter([body]))

    with httpx.Client(transport=httpx.MockTransport(service), follow_redirects=True) as client:
        return ask("http://service/ask", client, CALL), seen


def unkept(why: str) -> Outcome:
    return Done({"http_status": 200, "note": f"The service's answer was not kept: {why}."})


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"state": "executed", "result": {"paid": 5}}', Done({"paid": 5})),
        (200, b'{"state": "executed"}', Done()),
        (200, b'{"state": "executed", "result": 5}', Done({"result": 5})),
        (
            200,
            b'{"state": "executed", "result": {"balance": 9007199254740992}}',
            unkept("it holds an integer beyond 2^53 - 1"),
        ),
        (200, b'{"state": "executed", "result": {"x": 1e300}}', unkept("it holds a number too large to be exact")),
        (200, b'{"state": "not_executed", "state": "executed"}', Unknown("the service does not know yet")),
        (200, b'{"state": "not_executed", "x": NaN}', Unknown("the service does not know yet")),
        (200, b'["executed"]', Unknown("the service does not know yet")),
        (200, b'{"state": "not_executed"}', Retry("the service says that it did not happen")),
        (200, b'{"state": "in_progress"}', Unknown("the service does not know yet")),
        (200, b"not JSON", Unknown("the service does not know yet")),
        (201, b'{"state": "executed"}', Unknown("the service did not say what happened: HTTP 201")),
        (404, b"", Unknown("the service did not say what happened: HTTP 404")),
        (302, b"", Unknown("the service did not say what happened: HTTP 302")),
        (0, b"", Unknown("the service could not be asked: ConnectError")),
    ],
)
def test_only_two_answers_settle_what_happened(status: int, body: bytes, outcome: Outcome) -> None:
    assert asked(status, body)[0] == outcome


def test_the_question_changes_nothing_and_names_the_call_that_it_is_about() -> None:
    _, (request,) = asked(200, b"{}")
    assert (request.method, request.content) == ("GET", b"")
    assert (request.headers["Idempotency-Key"], request.headers["Attempt-Token"]) == ("key-1", "7")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"])
def test_a_trickle_does_not_hold_who_asks(head: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head)
        with suppress(OSError):  # it was cut
            for _ in range(100):  # each read well inside the timeout; then the connection ends, and asking fails
                connection.sendall(b"x")
                time.sleep(0.05)

    with raw_server(talk) as url, httpx.Client(trust_env=False) as client:
        told = ask(url, client, replace(CALL, timeout_seconds=0.4))
    assert told == Unknown("the service did not answer in time")
