"""JSON of which there is one reading and one spelling: what is parsed, hashed and signed."""

import json
import math
from typing import Any

import rfc8785

MAX_BYTES = 32 * 1024
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader holds exactly (RFC 8259 section 6, RFC 8785)."""


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value that is hashed and signed (RFC 8785); raises ValueError for what has none."""
    return rfc8785.dumps(value)


def parse_json(data: bytes, max_bytes: int = MAX_BYTES) -> Any:
    """JSON that every reader and Postgres's jsonb understand alike; raises ValueError naming what is wrong.

    Refused: more than `max_bytes` (32 KiB), deeper than 32, duplicate keys, NaN and infinities, numbers beyond 2^53, the character
    with code 0, and lone surrogates.
    """
    if len(data) > max_bytes:
        raise ValueError(f"longer than {max_bytes} bytes")
    text = data.decode()  # UnicodeDecodeError is a ValueError
    _check_depth(text)
    value = json.loads(
        text,
        object_pairs_hook=_object,
        parse_constant=_no_constant,
        parse_int=_bounded_int,
        parse_float=_bounded_float,
    )
    _check_text(value)
    return value


def _check_depth(text: str) -> None:
    """Count brackets before parsing, so that no parser recurses on a stranger's word."""
    depth, in_string, escaped = 0, False, False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
        elif character in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("JSON with the same key twice in an object")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _bounded_int(text: str) -> int:
    if len(text) > len(str(-MAX_INTEGER)) or abs(value := int(text)) > MAX_INTEGER:
        raise ValueError("JSON with an integer beyond 2^53, which not every reader holds exactly")
    return value


def _bounded_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or abs(value) > MAX_INTEGER:
        raise ValueError("JSON with a number beyond 2^53, which not every reader holds exactly")
    return value


def _check_text(value: Any) -> None:
    match value:
        case str():
            if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise ValueError("text with \\u0000 or half a surrogate pair, which the database cannot hold")
        case list():
            for item in value:
                _check_text(item)
        case dict():
            for key, item in value.items():
                _check_text(key)
                _check_text(item)
