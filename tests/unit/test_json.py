"""JSON that every reader, Postgres included, understands alike; everything else is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exact_json import canonical, parse_json


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'"' + b"a" * 33 * 1024 + b'"', "longer"),
        (b"[" * 33 + b"]" * 33, "nested"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested"),
        (b"[" * 30_000, "nested"),
        (b"[" * 31 + b"[]," * 40 + b"[[" + b"]" * 33, "nested"),  # what was closed before buys no depth
        (b'{"a":1,"a":2}', "twice"),
        (b'[{"b":{"a":1,"\\u0061":1}}]', "twice"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b"1e999", "2\\^53"),
        (b"-1e999", "2\\^53"),
        (b"9007199254740992", "2\\^53"),
        (b"-9007199254740992", "2\\^53"),
        (b"9007199254740992.0", "2\\^53"),
        (b"1e16", "2\\^53"),
        (b"1" * 5000, "2\\^53"),
        (b'"\\u0000"', "u0000"),
        (b'{"a\\u0000":1}', "u0000"),
        (b'["\\u0000"]', "u0000"),
        (b'{"a":"\\u0000"}', "u0000"),
        (b'"\\ud800"', "surrogate"),
        (b'["\\udc00\\ud800"]', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'"\xed\xa0\x80"', "utf-8"),
        (b'"\xff"', "utf-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ("{}".encode("utf-16"), "utf-8"),
        ("{}".encode("utf-32-le"), "."),
        (b"", "."),
        (b"{", "."),
        (b"{} {}", "."),
        (b"{'a':1}", "."),
        (b"[1,]", "."),
        (b"01", "."),
        (b'"\n"', "."),
    ],
)
def test_json_that_not_everybody_understands_alike_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[" * 32 + b"]" * 32, None),
        (b'"' + b"[" * 40 + b'"', "[" * 40),
        (b'"\\"' + b"[" * 40 + b'"', '"' + "[" * 40),
        (b'"\\\\"', "\\"),
        (b"9007199254740991", 2**53 - 1),
        (b"-9007199254740991", -(2**53) + 1),
        (b"9007199254740991.0", 2**53 - 1),
        (b"0.1", 0.1),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
    ],
)
def test_json_at_the_bounds_is_read(data: bytes, expected: Any) -> None:
    found = parse_json(data)
    assert expected is None or found == expected


def test_exactly_32_kib_are_read() -> None:
    assert len(parse_json(b'"' + b"a" * (32 * 1024 - 2) + b'"')) == 32 * 1024 - 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_that_is_read_has_one_canonical_spelling(value: Any) -> None:
    try:
        found = parse_json(json.dumps(value).encode())
    except ValueError:
        return
    again = parse_json(canonical(found))
    assert canonical(again) == canonical(found)
    assert again == found


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0d8e1.-+ntf', max_size=30).map(str.encode))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    try:
        parse_json(data)
    except ValueError:
        return
