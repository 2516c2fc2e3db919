"""Asking SIRA what to do about an alert: over HTTP, outside every transaction, for five seconds at most.

Whatever SIRA does, there is an answer: where it gives none that can be used, `manual_review` with a confidence of 0.5 stands
in for it, with the reason. Asking twice is harmless, as one answer counts.
"""

from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import ConfigDict, SecretStr, ValidationError

from db import proposals
from domain import mistakes
from domain.exact_json import canonical, parse_json
from domain.proposal import FALLBACK, Recommendation, written
from domain.remedying import Recommended
from workers.apply import Applied, Applier
from workers.handlers import answers
from workers.handlers.wire import Wire

SECONDS = 5.0
"""How long the whole exchange may take."""


class _Answer(Recommendation):
    """What SIRA answers; it may say more than is looked at."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True)
class Sira:
    """Where SIRA is asked, and with which key; nowhere without a URL."""

    url: str | None = None
    key: SecretStr | None = None

    def decide(self, applier: Applier, alert_id: str) -> Applied:
        """Ask about an alert that waits for it, and decide about it; nothing if it waits no longer."""
        with applier.connections() as conn:
            waiting = proposals.get_waiting(conn, alert_id)
        if waiting is None:
            return Applied()
        recommendation, fallback = self.recommend(written(waiting.alert))
        return applier.apply([Recommended(waiting.alert, waiting.issuer, recommendation, fallback)])

    def recommend(self, alert: dict[str, Any]) -> tuple[Recommendation, str | None]:
        """What SIRA recommends; or the fallback, and why it stands in."""
        if self.url is None:
            return FALLBACK, "Nobody was asked: SIRA_URL is not set."
        wire, url = Wire(), f"{self.url.rstrip('/')}/v1/recommend"
        answer = wire.within(SECONDS, lambda: self._exchange(url, alert, wire))
        match answer:
            case Recommendation():
                return answer, None
            case str():
                return FALLBACK, answer
            case None:
                return FALLBACK, f"SIRA gave no complete answer within {SECONDS:g} s."

    def _exchange(self, url: str, alert: dict[str, Any], wire: Wire) -> Recommendation | str:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key.get_secret_value()}"
        try:
            with (
                httpx.Client(trust_env=False, timeout=SECONDS, headers=headers) as client,
                client.stream("POST", url, content=canonical(alert), extensions={"trace": wire.trace}) as response,
            ):
                body, whole = answers.read(response)
        except Exception as error:  # noqa: BLE001 - whatever an odd answer provokes in the client, there must be an answer
            return f"SIRA could not be asked: {type(error).__name__}."  # without its text, which may quote the key
        if not response.is_success:
            return f"SIRA answered HTTP {response.status_code}."
        return _read(body) if whole else "SIRA's answer is too long."


def _read(body: bytes) -> Recommendation | str:
    try:
        return _Answer.model_validate(parse_json(body))
    except ValidationError as error:
        return f"SIRA's answer is not a recommendation: {mistakes.told(error, 'answer')[0]}."
    except ValueError as error:
        return f"SIRA's answer is not JSON that can be kept: {error}."
