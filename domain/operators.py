"""What each operator of criteria asks of one value, with MongoDB's meaning, and whether the value can answer at all.

In MongoDB a value of another type than the operand's is simply not equal, greater or less. Here that answer is unsure.
"""

import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

from domain.paths import Absent
from domain.pattern import Pattern
from domain.truth import NO, UNSURE, YES, Truth

Test = Callable[[Any], Truth]
"""What is asked of one value; it may be `Absent.MISSING`."""

ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def type_name(value: Any) -> str:
    """The type of a JSON value as MongoDB tells them apart: 1 and 1.0 are of one, true is of another."""
    for types, name in (
        (bool, "boolean"),
        ((int, float), "number"),
        (str, "string"),
        (list, "array"),
        (Mapping, "object"),
    ):
        if isinstance(value, types):
            return name
    return "null" if value is None else "other"


def equals_one_of(operands: Collection[Any], among: Collection[Any] = ()) -> Test:
    """Equal to one of some single values; null equals a missing field too.

    A value is expected to have the type of one of them, or of one of those that they are `among`; with only null to compare
    with, any type.
    """
    keys = frozenset((type_name(operand), operand) for operand in operands)
    expected = {type_name(operand) for operand in (*operands, *among)} - {"null"}

    def test(value: Any) -> Truth:
        if value is Absent.MISSING:
            return Truth(("null", None) in keys)
        name = type_name(value)
        if name in {"array", "object"}:
            return Truth(holds=False, sure=not expected or value == [])
        holds = (name, value) in keys
        return Truth(holds, sure=holds or not expected or name in expected)

    return test


def compares(name: str, operand: Any) -> Test:
    """Greater or less than an operand, by one of `ORDERINGS`."""
    compare, expected = ORDERINGS[name], type_name(operand)

    def test(value: Any) -> Truth:
        if value is Absent.MISSING:
            return NO
        return Truth(compare(value, operand)) if type_name(value) == expected else UNSURE

    return test


def fits(pattern: Pattern) -> Test:
    """A text in which a pattern is found."""

    def test(value: Any) -> Truth:
        if value is Absent.MISSING or value == []:
            return NO
        return Truth(pattern.is_found_in(value)) if isinstance(value, str) else UNSURE

    return test


def exists(value: Any) -> Truth:
    """Any value, null too."""
    return NO if value is Absent.MISSING else YES


def is_list(of_list: Callable[[list[Any]], Truth]) -> Test:
    """A list of which something holds."""

    def test(value: Any) -> Truth:
        if value is Absent.MISSING:
            return NO
        return of_list(value) if isinstance(value, list) else UNSURE

    return test
