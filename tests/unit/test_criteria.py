"""Criteria mean what they mean in MongoDB, and what cannot be understood is an error that names its path."""

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.criteria import CriteriaError, Finding, parse

MISSING = object()
NUMBERS = st.integers(-5, 5) | st.floats(-5, 5)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2)
)


def holds(condition: Any, value: Any, path: str = "params.x") -> bool:
    document = {"params": {} if value is MISSING else {"x": value}}
    return parse({path: condition}).matches(document)


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        # equality
        (5, 5, True),
        (5, 5.0, True),
        (5, "5", False),
        (5, MISSING, False),
        (5, None, False),
        (1, True, False),
        (True, 1, False),
        (0, False, False),
        (True, True, True),
        ("a", "A", False),
        ("", "", True),
        ("", MISSING, False),
        # null: missing equals null, and so does null inside an array, but not an empty array
        (None, MISSING, True),
        (None, None, True),
        (None, 0, False),
        (None, "", False),
        (None, [], False),
        (None, [1, None], True),
        ({"$ne": None}, MISSING, False),
        ({"$ne": None}, 0, True),
        # arrays: any element will do, of the first level only
        (5, [1, 5], True),
        (5, [1, [5]], False),
        (5, [], False),
        ({"$ne": 5}, [1, 5], False),
        ({"$ne": 5}, [1, 2], True),
        ({"$ne": 5}, MISSING, True),
        ({"$gt": 4}, [1, 5], True),
        ({"$gt": 5}, [1, 5], False),
        # comparisons: within one type only
        ({"$gte": 5}, 5, True),
        ({"$gt": 5}, 5, False),
        ({"$lte": 5}, 5, True),
        ({"$lt": 5}, 5, False),
        ({"$lt": 5}, 4.999, True),
        ({"$gte": 5}, "9", False),
        ({"$gte": 0}, True, False),
        ({"$gte": 0}, None, False),
        ({"$gte": 0}, MISSING, False),
        ({"$gte": 0}, {"y": 1}, False),
        ({"$gt": "a"}, "b", True),
        ({"$gt": "a"}, 98, False),
        # lists
        ({"$in": [1, "a"]}, "a", True),
        ({"$in": [1, "a"]}, True, False),
        ({"$in": [1, None]}, MISSING, True),
        ({"$in": [1]}, [3, 1], True),
        ({"$nin": [1, "a"]}, "a", False),
        ({"$nin": [1, "a"]}, MISSING, True),
        ({"$nin": [1, None]}, MISSING, False),
        ({"$nin": [1]}, [3, 1], False),
        # two operators on one path are two conditions, of which different elements may be the proof
        ({"$gte": 3, "$lt": 5}, 4, True),
        ({"$gte": 3, "$lt": 5}, 5, False),
        ({"$gte": 3, "$lt": 3}, [2, 4], True),
    ],
)
def test_operators_have_the_meaning_of_mongodb(condition: Any, value: Any, *, expected: bool) -> None:
    assert holds(condition, value) is expected


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("params.a.b", {"a": {"b": 1}}, True),
        ("params.a.b", {"a": [{"b": 2}, {"b": 1}]}, True),
        ("params.a.b", {"a": [{"b": [2, 1]}]}, True),
        ("params.a.b.c", {"a": [{"b": [{"c": 1}]}]}, True),
        ("params.a.1.b", {"a": [{"b": 2}, {"b": 1}]}, True),
        ("params.a.0.b", {"a": [{"b": 2}, {"b": 1}]}, False),
        ("params.a.0", {"a": [1]}, True),
        ("params.a.0", {"a": {"0": 1}}, True),
        ("params.a.9", {"a": [1]}, False),
        ("params.a.b", {"a": [[{"b": 1}]]}, False),  # MongoDB does not look into arrays of arrays
        ("params.a.b", {"a.b": 1}, False),
        ("params.a.b", {"a": 1}, False),
        ("params.a.b", {"a": "b"}, False),
    ],
)
def test_dotted_paths_go_through_objects_and_arrays_of_objects(path: str, params: Any, *, expected: bool) -> None:
    assert parse({path: 1}).matches({"params": params}) is expected


def test_null_is_found_where_one_of_several_objects_lacks_the_field() -> None:
    assert parse({"params.a.b": None}).matches({"params": {"a": [{"b": 1}, {}]}})


def test_every_condition_must_hold_and_no_condition_always_does() -> None:
    both = parse({"action_type": "A", "params.x": {"$gte": 3}})
    assert both.matches({"action_type": "A", "params": {"x": 3}})
    assert not both.matches({"action_type": "A", "params": {"x": 2}})
    assert not both.matches({"action_type": "B", "params": {"x": 3}})
    assert parse({}).matches({})


@pytest.mark.parametrize(
    "condition",
    [
        {"$foo": 1},
        {"$gte": 1, "$where": "true"},
        {"$gte": 1, "lt": 2},
        {"$regex": "(a+)+"},
        {"$gte": None},
        {"$gte": True},
        {"$gt": []},
        {"$lt": {}},
        {"$in": []},
        {"$in": 1},
        {"$in": "abc"},
        {"$nin": None},
        {"$in": [{"$gte": 1}]},
        {"$in": [[1]]},
        {"$eq": [1]},
        {"$ne": {"a": 1}},
        [1],
        {},
        {"y": 1},
    ],
)
def test_a_condition_that_is_not_understood_is_an_error_with_its_path(condition: Any) -> None:
    with pytest.raises(CriteriaError, match=r"^params\.x: "):
        parse({"params.x": condition})


@pytest.mark.parametrize("operand", [math.nan, math.inf, date(2025, 2, 1), b"x", {1, 2}, (1, 2)])
@pytest.mark.parametrize("operator", ["$eq", "$gte", "$in"])
def test_what_json_cannot_hold_is_no_operand(operator: str, operand: Any) -> None:
    with pytest.raises(CriteriaError, match=r"params\.x"):
        parse({"params.x": {operator: [operand] if operator == "$in" else operand}})


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "$or", "$and", "$where", 5, None])
def test_what_is_no_path_is_an_error(path: Any) -> None:
    with pytest.raises(CriteriaError):
        parse({path: 1})


@pytest.mark.parametrize("document", [None, [], "action_type", 5, [{"a": 1}]])
def test_criteria_are_an_object(document: Any) -> None:
    with pytest.raises(CriteriaError):
        parse(document)


def test_explaining_names_what_was_seen_and_what_was_asked() -> None:
    criteria = parse({"action_type": "A", "params.x": {"$gte": 3, "$lt": 9}})
    assert criteria.explain({"action_type": "A", "params": {"x": [1, 5]}}) == (
        Finding("action_type", "$eq", "A", ("A",), holds=True, type_mismatch=False),
        Finding("params.x", "$gte", 3, ([1, 5],), holds=True, type_mismatch=False),
        Finding("params.x", "$lt", 9, ([1, 5],), holds=True, type_mismatch=False),
    )
    assert criteria.explain({})[1] == Finding("params.x", "$gte", 3, (), holds=False, type_mismatch=False)


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ({"$gte": 3}, "5", True),
        ({"$gte": 3}, None, True),
        ({"$gte": 3}, True, True),
        ({"$gte": 3}, {"value": 5}, True),
        ({"$gte": 3}, [1, "5"], True),
        ({"$gte": 3}, [[5]], True),
        ({"$gte": 3}, [1, 5], False),
        ({"$gte": 3}, 1, False),
        ({"$gte": 3}, MISSING, False),
        ({"$gte": 3}, [], True),  # an empty array is no number either
        ({"$ne": 3}, "3", True),
        ({"$in": [1, "a"]}, "b", False),
        ({"$in": [1, "a"]}, True, True),
        (None, "whatever", False),
    ],
)
def test_a_value_of_another_type_than_the_operand_is_a_mismatch(condition: Any, value: Any, *, expected: bool) -> None:
    document = {"params": {} if value is MISSING else {"x": value}}
    assert parse({"params.x": condition}).explain(document)[0].type_mismatch is expected


def test_a_value_of_another_type_on_the_way_to_the_field_is_a_mismatch_too() -> None:
    """`{"payout": "2000000"}` must not slip past a policy for `params.payout.amount`."""
    assert parse({"params.payout.amount": {"$gte": 3}}).explain({"params": {"payout": "5"}})[0].type_mismatch


@given(operand=SCALARS, value=VALUES)
def test_ne_and_nin_are_the_opposites_of_eq_and_in(operand: Any, value: Any) -> None:
    assert holds({"$ne": operand}, value) is not holds({"$eq": operand}, value)
    assert holds({"$nin": [operand]}, value) is not holds({"$in": [operand]}, value)
    assert holds({"$in": [operand]}, value) is holds({"$eq": operand}, value)


@given(operand=NUMBERS, value=NUMBERS)
def test_for_two_numbers_exactly_one_of_less_equal_and_greater_holds(operand: float, value: float) -> None:
    found = [operator for operator in ("$lt", "$eq", "$gt") if holds({operator: operand}, value)]
    assert len(found) == 1
    assert holds({"$gte": operand}, value) is (found != ["$lt"])
    assert holds({"$lte": operand}, value) is (found != ["$gt"])


@given(operand=SCALARS, value=VALUES, path=st.sampled_from(["params.x", "params.x.0", "params.x.a.b", "other"]))
def test_no_document_makes_an_examination_raise(operand: Any, value: Any, path: str) -> None:
    parse({path: operand}).explain({"params": {"x": value}})
