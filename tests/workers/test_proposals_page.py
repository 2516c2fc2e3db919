"""What the page about alerts shows to the developers of an alert system and of SIRA is what the engine takes and sends."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from domain.exact_json import canonical
from domain.messages import BODIES
from domain.proposal import Recommendation
from tests.workers.test_sira import serving
from tests.world import KEYS, Installation
from workers.envelope import SigningKey
from workers.sira import Sira

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "proposals.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_an_alert_system_in_python_sends_an_alert_and_sees_what_was_decided(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key: SigningKey = KEYS["alerts"]
    key.write(tmp_path / "monitoring.key.json")
    urls = {"redis_url": installation.settings.redis_url, "database_url": installation.settings.database_url}
    first: dict[str, Any] = dict(urls)
    exec(block("python"), first)  # noqa: S102 - our own page
    assert (first["receipt"], first["known"]) == (None, None)
    installation.drain()
    again: dict[str, Any] = dict(urls)
    exec(block("python"), again)  # noqa: S102 - as above
    installation.drain()
    assert again["receipt"] is None
    assert again["known"]["waits_for_sira"]
    assert installation.answers(first["ticket"], again["ticket"]) == ["applied", "duplicate"]
    assert first["ticket"].action_id == again["ticket"].action_id


def test_sira_is_asked_as_the_page_says_and_answers_as_it_may() -> None:
    head, body = block("http").strip().split("\n\n")
    answer = json.loads(block("json"))
    asked: list[tuple[str, str, bytes]] = []

    def sira(handler: Any) -> None:
        said = handler.rfile.read(int(handler.headers["Content-Length"]))
        asked.append((handler.requestline, handler.headers["Content-Type"], said))
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(json.dumps(answer).encode())

    with serving(sira) as url:
        recommended, fallback = Sira(url).recommend(json.loads(body))
    assert fallback is None
    assert recommended.model_dump() == Recommendation.model_validate(answer).model_dump()
    assert asked == [("POST /v1/recommend HTTP/1.1", "application/json", body.encode())]
    assert head.splitlines()[:2] == ["POST {SIRA_URL}/v1/recommend HTTP/1.1", "Content-Type: application/json"]
    assert canonical(json.loads(body)).decode() == body


@pytest.mark.parametrize(("name", "type_name"), [("alert", "RemediateAlert"), ("recommendation", "RecommendAction")])
def test_the_examples_are_bodies_of_messages(name: str, type_name: str) -> None:
    BODIES[type_name].model_validate_json((ROOT / "examples" / f"{name}.json").read_text())
