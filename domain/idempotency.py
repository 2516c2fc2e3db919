"""Idempotency keys that would fail their purpose: those that are another at the next try."""

import re

_SEPARATED = r"(?:^|[^0-9A-Za-z])"
_ZONE = r"(?:Z|[+-]\d\d:?\d\d)?"
_FRACTION = r"(?:[.,]\d{1,9})?"
_MONTH_DAY = r"(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])"
_TIME = rf"(?:[01]\d|2[0-3])[:.-]?[0-5]\d(?:[:.-]?[0-5]\d{_FRACTION})?"
_TO_THE_SECOND = r"(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\d{3})?"

_TIMESTAMP = re.compile(
    _SEPARATED
    + "(?:"
    # Seconds or milliseconds since 1970, from September 2001 to May 2033: later ones look like telephone numbers.
    + rf"1\d{{9}}(?:\d{{3}})?{_FRACTION}"
    # ISO 8601: 2025-11-12T10:00:00.5Z, 20251112T1000, 2025-11-12 10:00, and 20251112100000.
    + rf"|20\d\d-?{_MONTH_DAY}(?:[T ]{_TIME}|{_TO_THE_SECOND}){_ZONE}"
    + ")$",
    re.IGNORECASE,
)

_WARNING = (
    " Its idempotency key ends in what looks like a timestamp: asked for again under a later one, it would be a second "
    "action. Make the key of what the action is about."
)


def warning(key: str | None) -> str:
    """The sentence about a key that ends in what looks like a timestamp, with a space before it; nothing about others.

    A date alone says nothing: one action a day may be meant.
    """
    return _WARNING if key is not None and _TIMESTAMP.search(key) else ""
