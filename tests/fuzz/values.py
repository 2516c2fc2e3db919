"""JSON of every shape, and text that looks like it."""

import json
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = [
    "",
    "\x00",
    "\ud800",
    "\udfff x",
    "\u202e",
    "\x1b[2J",
    "\u200b",
    "é",
    "a" * 300,
    "\U0001d7d9" * 5000,
    "NaN",
    "1e400",
]
TEXTS = st.text(max_size=8) | st.text(st.characters(), max_size=8) | st.sampled_from(ODD_TEXTS)

NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([True, False, 0, 1, -1, -0.0, 2**53 - 1, 2**53, -(2**53), 2**63, 2**64, 10**400, 5e-324, 1e22])
)

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)

NOT_OURS = [
    "NaN",
    "-Infinity",
    "1e400",
    "9007199254740992",
    "-9007199254740992.0",
    "9" * 5000,
    "[" * 33 + "]" * 33,
    '{"a":' * 40 + "1" + "}" * 40,
    "[" * 20_000,
    '{"a": 1, "a": 1}',
    '{"a": 1, "\\u0061": 2}',
    '"\\u0000"',
    '"\\ud800"',
    '{"\\udc00": 1}',
    '"' + "x" * 40_000 + '"',
    '"\x01"',
    "01",
    "1.",
    "tru",
    "'a'",
    "[1,]",
    "/**/1",
    "",
    "{",
]
"""Texts of which no JSON that holds one in place of a value is taken, whatever else it says."""


def dumped(value: Any) -> bytes:
    """Its text in ASCII; lone surrogates are escaped."""
    return json.dumps(value).encode()
