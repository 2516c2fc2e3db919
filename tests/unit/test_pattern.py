"""Patterns take linear time; what could not is refused when it is written."""

import pytest

from domain.pattern import MOST_CHARACTERS, Pattern

LENGTH = 10_000


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("(a+)+$", "a" * LENGTH + "!", False),
        ("(a+)+$", "a" * LENGTH, True),
        ("^(a|aa)+$", "a" * LENGTH + "b", False),
        ("^(a|a?)+$", "a" * LENGTH + "b", False),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * LENGTH, False),
        ("(.*)*x.*y.*z", "x" * LENGTH, False),
        ("(x+x+)+y", "x" * LENGTH, False),
        ("(x+x+)+y", "x" * LENGTH + "y", True),
        ("[ab]*a[ab]{20}c", "abbab" * (LENGTH // 5), False),
    ],
)
def test_a_pattern_that_takes_others_for_ever_gives_the_right_answer(
    pattern: str, text: str, *, expected: bool
) -> None:
    assert Pattern(pattern).is_found_in(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a", "bab", True),
        ("^a$", "a", True),
        ("^a$", "a\n", False),  # the end is the end, also before a line break
        ("^b", "a\nb", False),
        ("a.c", "a\nc", False),
        (r"^\d{3}$", "123", True),
        (r"^\d$", "٣", False),
        (r"^\w$", "é", False),
        (r"^\w$", "_", True),
        ("^(?:XOF|XAF)$", "XAF", True),
        ("^(a|b)$", "b", True),
        (r"a\(?", "a", True),
        (r"^\(?:$", "(:", True),
        (r"^[(?=+]\++$", "=++", True),
        (r"^[]a]$", "]", True),
        ("É", "é", False),
    ],
)
def test_a_pattern_is_found_where_it_fits(pattern: str, text: str, *, expected: bool) -> None:
    assert Pattern(pattern).is_found_in(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("abc", "xABCx"), ("a|^b", "B"), ("^B$", "b"), ("É", "é"), ("^[a-c]+$", "ABC"), ("^(get|put)$", "PUT")],
)
def test_case_is_ignored_where_that_is_asked_for(pattern: str, text: str) -> None:
    assert Pattern(pattern, ignores_case=True).is_found_in(text)
    assert not Pattern(pattern).is_found_in(text)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)b", "look-around"),
        ("(?!a)b", "look-around"),
        ("(?<=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(?>a)", "look-around"),
        ("(?s)a.b", "flags"),
        ("(?i:a)b", "flags"),
        ("(?P<x>a)", "only"),
        (r"\\(?=a)", "look-around"),
        (r"(a)\1", "back-reference"),
        (r"\k<x>", "back-reference"),
        ("a++", "possessive"),
        ("a*+a", "possessive"),
        (r"\d{2}+", "possessive"),
        ("[[:alpha:]]", "alpha"),
        (r"\<a\>", "are not taken"),
        ("(", "error"),
        ("a)(?:b", "error"),
        ("[", "error"),
        ("a{2,1}", "error"),
        (r"\K", "error"),
        (r"\Qa\E", "error"),
        ("(a{1,100}){1,100}", "repeats too much"),
        ("a{100000}", "repeats too much"),
        ("[^a]{1,100}", "repeats too much"),
        ("a" * (MOST_CHARACTERS + 1), "200 characters"),
    ],
)
def test_a_pattern_that_is_not_taken_is_an_error_with_its_reason(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}$",
        r"^[\w.+-]+@[\w-]+\.[\w.]+$",
        "^merchant-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "^[0-9a-f]{64}$",
        r"^\+221\d{9}$",
    ],
)
def test_patterns_for_identifiers_are_within_the_bounds(pattern: str) -> None:
    assert not Pattern(pattern).is_found_in("")
