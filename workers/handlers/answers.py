"""What a service's answer says: its body within limits, a sentence of it for people, a result that can be kept."""

import json
import re
from typing import Any

import httpx

_BODY_LIMIT_BYTES = 64 * 1024
_REASON_LIMIT = 200
_RETRY_AFTER_LIMIT_SECONDS = 24 * 3600
_DEPTH_LIMIT = 32
_INTEGER_LIMIT = 2**53 - 1


def read(response: httpx.Response) -> tuple[bytes, bool]:
    """Return the body, up to the limit, and whether that is all of it."""
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > _BODY_LIMIT_BYTES:
            return bytes(body[:_BODY_LIMIT_BYTES]), False
    return bytes(body), True


def seconds(retry_after: str | None) -> float | None:
    """How long a Retry-After header asks to wait."""
    # Dates are ignored: they would need the service's clock. A huge value must not park an action for ever.
    if retry_after is None or not re.fullmatch(r"[0-9]{1,9}", retry_after):
        return None
    return float(min(int(retry_after), _RETRY_AFTER_LIMIT_SECONDS))


def said(status: int, body: bytes) -> str:
    """The status, and what the body says of the reason."""
    text = body.decode(errors="replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        names = ("error", "detail", "message", "title")
        text = next((value[name] for name in names if isinstance(value.get(name), str)), "")
    elif text.lstrip().startswith("<"):
        text = ""  # a proxy's page says less than its status
    reason = printable(text)
    return f"HTTP {status}: {reason}" if reason else f"HTTP {status}"


def printable(text: str) -> str:
    """The beginning of a text, on one line."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * _REASON_LIMIT])
    return " ".join(shown.split())[:_REASON_LIMIT]


def state(body: bytes) -> Any:
    """What the JSON object in `body` has as `state`, whatever else it holds; None if it is none, or repeats a key."""
    try:
        value = json.loads(
            body.decode(), parse_int=str, parse_constant=_no_constant, object_pairs_hook=_without_repeats
        )
    except (ValueError, RecursionError):
        return None
    return value.get("state") if isinstance(value, dict) else None


class _UnkeepableError(ValueError):
    """JSON that neither jsonb nor canonical JSON can hold."""


def result(status: int, body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`; the status when there is none or it could not be stored: the effect happened."""
    try:
        value = json.loads(
            body.decode(), parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_without_repeats
        )
        if isinstance(value, dict):
            _check(value, 1)
            return value
    except RecursionError:
        return {"http_status": status, "note": "The service's answer was not kept: it is nested too deeply."}
    except _UnkeepableError as exc:
        return {"http_status": status, "note": f"The service's answer was not kept: {exc}."}
    except ValueError:
        pass  # not JSON
    return {"http_status": status}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    # Checked before the conversion: Python refuses thousands of digits with an error that reads as "not JSON".
    if len(digits) > len(str(-_INTEGER_LIMIT)):
        raise _UnkeepableError("it holds an integer beyond 2^53 - 1")
    return int(digits)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _UnkeepableError("it repeats a key")
    return found


def _check(value: object, depth: int) -> None:
    match value:
        case str():
            if "\x00" in value:
                raise _UnkeepableError("it holds the character \\u0000")
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise _UnkeepableError("it holds half a character")
        case int():
            if abs(value) > _INTEGER_LIMIT:
                raise _UnkeepableError("it holds an integer beyond 2^53 - 1")
        case float():
            # Larger ones are written as integers by canonical JSON, and would be read back as such.
            if abs(value) > _INTEGER_LIMIT:  # infinite too; NaN was no JSON
                raise _UnkeepableError("it holds a number too large to be exact")
        case dict() | list():
            if depth > _DEPTH_LIMIT:
                raise _UnkeepableError("it is nested too deeply")
            for part in (*value, *value.values()) if isinstance(value, dict) else value:
                _check(part, depth + 1)
