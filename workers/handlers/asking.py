"""Asks a service what became of a call of which nobody knows: one GET, which changes nothing.

`GET query_path` with the headers Idempotency-Key and Attempt-Token of the call: a service that says that it did not happen
can refuse that token from then on, should the call come late after all. Only two answers settle it, both HTTP 200:
`{"state": "executed", "result": {…}}` and `{"state": "not_executed"}`. Whatever else comes, `{"state": "in_progress"}` too,
leaves it unknown.
"""

from typing import Any

import httpx

from domain.outcome import Done, Outcome, Retry, Unknown
from workers.handlers import Call, answers
from workers.handlers.signing import Signer
from workers.handlers.wire import Wire


def ask(endpoint: str, client: httpx.Client, call: Call, signer: Signer | None = None) -> Outcome:
    """What the service says became of the call with this idempotency key, within the call's timeout and without raising."""
    headers = {
        "Idempotency-Key": call.idempotency_key,
        "Attempt-Token": str(call.token),
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if signer is not None:
        headers |= signer.headers(call, b"")
    wire = Wire()

    def exchange() -> Outcome:
        try:
            request = client.build_request(
                "GET", endpoint, headers=headers, timeout=call.timeout_seconds, extensions={"trace": wire.trace}
            )
            response = client.send(request, stream=True, follow_redirects=False)
            try:
                body, whole = answers.read(response)
            finally:
                response.close()
            return _told(response.status_code, body, whole=whole)
        except Exception as error:  # noqa: BLE001 - whatever it provokes in the client, nobody knows more than before
            return Unknown(f"the service could not be asked: {type(error).__name__}")

    return wire.within(call.timeout_seconds, exchange) or Unknown("the service did not answer in time")


def _told(status: int, body: bytes, *, whole: bool) -> Outcome:
    if status != httpx.codes.OK or not whole:
        return Unknown(f"the service did not say what happened: {answers.said(status, body)}")
    match answers.state(body):
        case "executed":
            return Done(_kept(answers.result(status, body)))
        case "not_executed":
            return Retry("the service says that it did not happen")
        case _:
            return Unknown("the service does not know yet")


def _kept(told: dict[str, Any]) -> dict[str, Any]:
    """The result in an answer; the note about it where the answer could not be kept: it happened all the same."""
    if "state" not in told:
        return told
    result = told.get("result", {})
    return result if isinstance(result, dict) else {"result": result}
