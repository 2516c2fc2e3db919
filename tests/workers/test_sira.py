"""Asking SIRA, whatever it does: an answer that can be used, or the fallback with its reason, in time."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from db import read
from domain.proposal import FALLBACK
from tests.workers.test_alerts import CREATED, decisions, make_due, remediate
from tests.workers.test_crashes import Start, start  # noqa: F401 - a fixture
from tests.world import Installation, wait_for
from workers import sira
from workers.sandbox import Sandbox
from workers.scheduler import Scheduler
from workers.settings import Settings
from workers.sira import Sira

ALERT = remediate("a-1").model_dump(mode="json")["alert"]
SURE = {"action": "ADJUST_FLOAT", "confidence": 0.95, "params": {"adjustment": "top_up", "amount": 7}}

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A SIRA that answers so; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def saying(body: bytes, status: int = 200) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_it_is_asked_with_the_alert_and_the_key() -> None:
    asked: list[Any] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        asked.append((handler.path, handler.headers["Authorization"], json.loads(body)))
        told = json.dumps(SURE | {"explanation": {"model": "m"}, "more": "than is looked at"}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(told)))
        handler.end_headers()
        handler.wfile.write(told)

    with serving(answer) as url:
        said, fallback = Sira(f"{url}/", SecretStr("a key")).recommend(ALERT)
    assert asked == [("/v1/recommend", "Bearer a key", ALERT)]
    assert fallback is None
    assert said.model_dump(exclude_unset=True) == SURE | {"explanation": {"model": "m"}}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (saying(b"{}", 500), "HTTP 500"),
        (saying(json.dumps(SURE).encode(), 302), "HTTP 302"),
        (saying(b"hello"), "not JSON"),
        (saying(b"[]"), "not a recommendation"),
        (saying(b"{}"), "confidence: it is missing"),
        (saying(b'{"confidence": 1.5}'), "confidence"),
        (saying(b'{"confidence": "0.99"}'), "confidence"),
        (saying(b'{"confidence": true}'), "confidence"),
        (saying(b'{"confidence": NaN}'), "not JSON"),
        (saying(b'{"confidence": 0.99, "confidence": 0.1}'), "not JSON"),
        (saying(b'{"confidence": 0.99, "params": {"amount": 9007199254740993}}'), "not JSON"),
        (saying(b'{"confidence": 0.99, "action": "\\u0000"}'), "not JSON"),
        (saying(b"[" * 60_000), "not JSON"),
        (saying(b'"' + b"x" * 40_000 + b'"'), "not JSON"),
        (saying(b"x" * 200_000), "too long"),
        (lambda handler: handler.connection.close(), "could not be asked"),
    ],
)
def test_what_cannot_be_used_is_the_fallback_and_says_why(answer: Answer, reason: str) -> None:
    with serving(answer) as url:
        said, fallback = Sira(url, SecretStr("k")).recommend(ALERT)
    assert said is FALLBACK
    assert (said.action, said.confidence) == ("manual_review", 0.5)
    assert fallback is not None
    assert reason in fallback


def test_nobody_there_is_the_fallback() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert Sira(url).recommend(ALERT) == (FALLBACK, "SIRA could not be asked: ConnectError.")


def test_one_that_trickles_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sira, "SECONDS", 0.3)
    done = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not done.wait(0.05):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    with serving(trickle) as url:
        began = time.monotonic()
        said = Sira(url).recommend(ALERT)
        assert said == (FALLBACK, "SIRA gave no complete answer within 0.3 s.")
        assert time.monotonic() - began < 10  # not until the trickle ends, which is never
        done.set()


def test_a_key_that_no_header_can_hold_is_told_without_it() -> None:
    with serving(saying(b"{}")) as url:
        _, fallback = Sira(url, SecretStr("secret\nkey")).recommend(ALERT)
    assert fallback is not None
    assert "secret" not in fallback


def test_an_alert_is_decided_about_by_what_sira_answers(installation: Installation, sandbox: Sandbox) -> None:
    with (
        serving(saying(json.dumps(SURE).encode())) as url,
        installation.at_work(sandbox.url, sira=Sira(url)) as engine,
    ):
        assert engine.send("alerts", remediate("a-1", None))["action_id"] is None
        found = wait_for(lambda: row if (row := read.get_alert(engine.owner, "a-1")) and row["action_status"] else None)
    assert found["waits_for_sira"] is False
    action = installation.action(found["remedied_by_action_id"])
    assert (action["params"]["amount"], action["params"]["sira_confidence"]) == (7, 0.95)
    assert installation.broken() == []


def test_no_transaction_is_open_while_sira_is_asked(installation: Installation) -> None:
    installation.tell("alerts", remediate("a-1", None))
    open_ones: list[int] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        count = "select count(*) from pg_stat_activity where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()"
        open_ones.append(installation.scalar(count))
        saying(json.dumps(SURE).encode())(handler)

    with serving(answer) as url:
        applied = Sira(url).decide(installation.applier, "a-1")
    assert open_ones == [0]
    assert applied.receipts[0].action_id is not None


@pytest.mark.parametrize("where", ["after the answer", "before the commit"])
def test_one_who_is_killed_before_siras_answer_is_written_down_leaves_the_alert_to_the_sweep(
    installation: Installation,
    sandbox: Sandbox,
    start: Start,  # noqa: F811 - the fixture
    where: str,
) -> None:
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        said = SURE | {"params": {"adjustment": "top_up", "amount": len(asked)}}
        saying(json.dumps(said).encode())(handler)

    with serving(answer) as url:
        installation.tell("alerts", remediate("a-1", None))
        assert start("ask", where, "a-1", SIRA_URL=url).process.wait(10) == -signal.SIGKILL
        assert len(asked) == 1
        assert decisions(installation.owner, "a-1") == []
        make_due(installation)
        with installation.at_work(sandbox.url, sira=Sira(url)) as engine:
            Scheduler(engine.settings, engine.broker).tick(engine.owner)
            wait_for(lambda: decisions(engine.owner, "a-1"))
    assert len(asked) == 2
    assert decisions(installation.owner, "a-1") == CREATED
    (made,) = installation.owner.execute("select params ->> 'amount' as amount from actions").fetchall()
    assert made["amount"] == "2", "what the dead one heard was never written down"
    assert installation.broken() == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SIRA_URL", "ftp://sira", "URL scheme"),
        ("SIRA_URL", "https://user:secret@sira.internal", "give the key as SIRA_API_KEY"),
        ("OPS_APPROVAL_RECOMMENDATION_THRESHOLD", "1.1", "less than or equal"),
        ("OPS_APPROVAL_RECOMMENDATION_THRESHOLD", "-0.1", "greater than or equal"),
        ("OPS_APPROVAL_RECOMMENDATION_THRESHOLD", "", "valid decimal"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=told):
        Settings()


def test_settings_say_where_sira_is_and_keep_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(SIRA_URL="").sira_url is None
    monkeypatch.setenv("SIRA_URL", "https://sira.internal")
    monkeypatch.setenv("SIRA_API_KEY", "the secret")
    monkeypatch.setenv("OPS_APPROVAL_RECOMMENDATION_THRESHOLD", "0")
    settings = Settings()
    assert (str(settings.sira_url), str(settings.recommendation_threshold)) == ("https://sira.internal/", "0")
    assert "the secret" not in repr(settings)
