"""What each operator means, as a table: MongoDB's meaning, with the examples of its manual further down."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.criteria import parse

MISSING = object()
NUMBERS = st.integers(-5, 5) | st.floats(-5, 5)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2)
)

ITEMS = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]

MEANING: dict[str, list[tuple[Any, Any, bool]]] = {
    "equality": [
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
        (None, MISSING, True),
        (None, None, True),
        (None, 0, False),
        (None, "", False),
        (None, [], False),
        (None, {}, False),
        (None, [1, None], True),
        (5, [1, 5], True),
        (5, [1, [5]], False),
        (5, [], False),
    ],
    "$eq": [
        ({"$eq": 5}, 5, True),
        ({"$eq": 5}, [1, 5], True),
        ({"$eq": None}, MISSING, True),
        ({"$eq": 1}, True, False),
    ],
    "$ne": [
        ({"$ne": 5}, 4, True),
        ({"$ne": 5}, "5", True),
        ({"$ne": 5}, MISSING, True),
        ({"$ne": 5}, [1, 5], False),
        ({"$ne": 5}, [1, 2], True),
        ({"$ne": 5}, [[5]], True),
        ({"$ne": None}, MISSING, False),
        ({"$ne": None}, None, False),
        ({"$ne": None}, 0, True),
        ({"$ne": None}, [], True),
        ({"$ne": 1}, True, True),
    ],
    "$gt": [({"$gt": 5}, 5, False), ({"$gt": 5}, 5.1, True), ({"$gt": "a"}, "b", True), ({"$gt": "a"}, 98, False)],
    "$gte": [
        ({"$gte": 5}, 5, True),
        ({"$gte": 5}, "9", False),
        ({"$gte": 0}, True, False),
        ({"$gte": 0}, None, False),
        ({"$gte": 0}, MISSING, False),
        ({"$gte": 0}, {"y": 1}, False),
        ({"$gte": 5}, [1, 5], True),
        ({"$gte": 6}, [1, 5], False),
        ({"$gte": 0}, [], False),
        ({"$gte": 0}, [[5]], False),
    ],
    "$lt": [({"$lt": 5}, 4.999, True), ({"$lt": 5}, 5, False), ({"$lt": "b"}, "a", True), ({"$lt": 5}, MISSING, False)],
    "$lte": [({"$lte": 5}, 5, True), ({"$lte": 5}, 6, False), ({"$lte": "a"}, "", True), ({"$lte": 5}, [9, 5], True)],
    "$in": [
        ({"$in": [1, "a"]}, "a", True),
        ({"$in": [1, "a"]}, 1.0, True),
        ({"$in": [1, "a"]}, True, False),
        ({"$in": [1, None]}, MISSING, True),
        ({"$in": [1, None]}, None, True),
        ({"$in": [1]}, MISSING, False),
        ({"$in": [1]}, [3, 1], True),
        ({"$in": [1]}, [[1]], False),
    ],
    "$nin": [
        ({"$nin": [1, "a"]}, "a", False),
        ({"$nin": [1, "a"]}, "b", True),
        ({"$nin": [1, "a"]}, MISSING, True),
        ({"$nin": [1, None]}, MISSING, False),
        ({"$nin": [1]}, [3, 1], False),
        ({"$nin": [1]}, [3, 2], True),
    ],
    "$exists": [
        ({"$exists": True}, 0, True),
        ({"$exists": True}, None, True),
        ({"$exists": True}, [], True),
        ({"$exists": True}, MISSING, False),
        ({"$exists": False}, MISSING, True),
        ({"$exists": False}, None, False),
        ({"$exists": False}, [], False),
    ],
    "$not": [
        ({"$not": {"$gte": 5}}, 4, True),
        ({"$not": {"$gte": 5}}, 5, False),
        ({"$not": {"$gte": 5}}, MISSING, True),
        ({"$not": {"$gte": 5}}, "9", True),
        ({"$not": {"$gte": 5}}, [1, 9], False),
        ({"$not": {"$gte": 3, "$lt": 5}}, 4, False),
        ({"$not": {"$gte": 3, "$lt": 5}}, 5, True),
        ({"$not": {"$not": {"$eq": 5}}}, 5, True),
        ({"$not": {"$exists": True}}, MISSING, True),
        ({"$not": {"$regex": "^a"}}, "b", True),
        ({"$not": {"$regex": "^a"}}, "ab", False),
        ({"$not": {"$size": 2}}, [1], True),
    ],
    "$all": [
        ({"$all": [1, 2]}, [3, 2, 1], True),
        ({"$all": [1, 2]}, [1, 3], False),
        ({"$all": [1]}, 1, True),
        ({"$all": [1, 2]}, 1, False),
        ({"$all": [1]}, [], False),
        ({"$all": [1]}, MISSING, False),
        ({"$all": [None]}, MISSING, True),
        ({"$all": [1, True]}, [True], False),
        ({"$all": [{"$elemMatch": {"a": 1}}, {"$elemMatch": {"b": 4}}]}, ITEMS, True),
        ({"$all": [{"$elemMatch": {"a": 1, "b": 4}}]}, ITEMS, False),
    ],
    "$size": [
        ({"$size": 0}, [], True),
        ({"$size": 2}, [1, 2], True),
        ({"$size": 2}, [[1, 2]], False),
        ({"$size": 1}, [[1, 2]], True),
        ({"$size": 1}, 1, False),
        ({"$size": 0}, MISSING, False),
        ({"$size": 1}, {"0": 1}, False),
    ],
    "$elemMatch": [
        ({"$elemMatch": {"$gte": 3, "$lt": 5}}, [2, 4], True),
        ({"$elemMatch": {"$gte": 3, "$lt": 4}}, [2, 4], False),
        ({"$elemMatch": {"$gte": 3}}, 4, False),
        ({"$elemMatch": {"$gte": 3}}, [[4]], False),
        ({"$elemMatch": {"$ne": 3}}, [3, 4], True),
        ({"$elemMatch": {"$ne": 3}}, [3], False),
        ({"$elemMatch": {"$not": {"$gte": 3}}}, [4, 1], True),
        ({"$elemMatch": {"$in": [1, None]}}, [None], True),
        ({"$elemMatch": {"$exists": True}}, [], False),
        ({"$elemMatch": {"$elemMatch": {"$eq": 1}}}, [[1]], True),
        ({"$elemMatch": {"$size": 1}}, [[1]], True),
        ({"$elemMatch": {"a": 1, "b": 2}}, ITEMS, True),
        ({"$elemMatch": {"a": 1, "b": 4}}, ITEMS, False),
        ({"$elemMatch": {"a": 1}}, {"a": 1}, False),
        ({"$elemMatch": {"c": None}}, [{"a": 1}], True),
        ({"$elemMatch": {"c": None}}, [1, None], False),
        ({"$elemMatch": {"$or": [{"a": 9}, {"b": 4}]}}, ITEMS, True),
        ({"$elemMatch": {"$nor": [{"a": 1}, {"b": 4}]}}, ITEMS, False),
        ({"$elemMatch": {"a": 1}}, MISSING, False),
    ],
    "$regex": [
        ({"$regex": "^PAUSE_"}, "PAUSE_PAYOUT", True),
        ({"$regex": "^PAUSE_"}, "UNPAUSE_PAYOUT", False),
        ({"$regex": "PAUSE"}, "UNPAUSE_PAYOUT", True),
        ({"$regex": "^pause"}, "PAUSE_PAYOUT", False),
        ({"$regex": "^pause", "$options": "i"}, "PAUSE_PAYOUT", True),
        ({"$options": "i", "$regex": "é"}, "É", True),
        ({"$regex": "a|^b", "$options": "i"}, "B", True),
        ({"$regex": "1"}, 1, False),
        ({"$regex": "."}, MISSING, False),
        ({"$regex": "."}, None, False),
        ({"$regex": "^b$"}, ["a", "b"], True),
        ({"$regex": "^b$"}, [["b"]], False),
    ],
    "two operators": [
        ({"$gte": 3, "$lt": 5}, 4, True),
        ({"$gte": 3, "$lt": 5}, 5, False),
        ({"$gte": 3, "$lt": 3}, [2, 4], True),  # of which different items may be the proof
        ({"$exists": True, "$nin": [5, 15]}, 3, True),
        ({"$exists": True, "$nin": [5, 15]}, MISSING, False),
    ],
}


def holds(condition: Any, value: Any) -> bool:
    document = {"params": {} if value is MISSING else {"x": value}}
    return parse({"params.x": condition}).matches(document)


@pytest.mark.parametrize(
    ("operator", "condition", "value", "expected"),
    [(operator, *row) for operator, rows in MEANING.items() for row in rows],
)
def test_operators_have_the_meaning_of_mongodb(operator: str, condition: Any, value: Any, *, expected: bool) -> None:
    assert holds(condition, value) is expected, operator


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"$and": [{"a": 1}, {"b": 2}]}, True),
        ({"$and": [{"a": 1}, {"b": 3}]}, False),
        ({"$or": [{"a": 9}, {"b": 2}]}, True),
        ({"$or": [{"a": 9}, {"b": 3}]}, False),
        ({"$or": [{"a": 1, "b": 3}, {"a": 9, "b": 2}]}, False),  # what one of them asks for must hold together
        ({"$nor": [{"a": 9}, {"b": 3}]}, True),
        ({"$nor": [{"a": 9}, {"b": 2}]}, False),
        ({"$nor": [{"a": 1, "b": 3}]}, True),
        ({"$nor": [{"c": 1}]}, True),  # also where the field is missing
        ({"$or": [{"$and": [{"a": 1}, {"b": 2}]}, {"c": 1}]}, True),
        ({"$nor": [{"$or": [{"a": 9}, {"$nor": [{"b": 2}]}]}]}, True),
        ({"a": 1, "$or": [{"b": 2}, {"b": 3}]}, True),
        ({"a": 2, "$or": [{"b": 2}, {"b": 3}]}, False),
        ({"$or": [{"b": 2}], "$nor": [{"a": 1}]}, False),
        ({}, True),
    ],
)
def test_groups_combine_criteria(criteria: Any, *, expected: bool) -> None:
    assert parse(criteria).matches({"a": 1, "b": 2}) is expected


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("params.a.b", {"a": {"b": 1}}, True),
        ("params.a.b", {"a": [{"b": 2}, {"b": 1}]}, True),
        ("params.a.b", {"a": [{"b": [2, 1]}]}, True),
        ("params.a.b.c", {"a": [{"b": [{"c": 1}]}]}, True),
        ("params.a.1.b", {"a": [{"b": 2}, {"b": 1}]}, True),
        ("params.a.0.b", {"a": [{"b": 2}, {"b": 1}]}, False),
        ("params.a.0.b", {"a": [[{"b": 1}]]}, True),
        ("params.a.0", {"a": [1]}, True),
        ("params.a.0", {"a": {"0": 1}}, True),
        ("params.a.0", {"a": {"0": [1]}}, True),
        ("params.a.0", {"a": [[1]]}, False),  # a list that is named by its index is not opened
        ("params.a.0", {"a": [{"0": 1}]}, True),
        ("params.a.00", {"a": [1]}, False),
        ("params.a.٠", {"a": [1]}, False),  # noqa: RUF001 - a digit, but not the index
        ("params.a.9", {"a": [1]}, False),
        ("params.a.b", {"a": [[{"b": 1}]]}, False),  # lists of lists are not looked into
        ("params.a.b", {"a.b": 1}, False),
        ("params.a.b", {"a": 1}, False),
        ("params.a.b", {"a": "b"}, False),
    ],
)
def test_dotted_paths_go_through_objects_and_lists_of_objects(path: str, params: Any, *, expected: bool) -> None:
    assert parse({path: 1}).matches({"params": params}) is expected


@pytest.mark.parametrize(
    ("a", "is_null", "exists"),
    [
        (MISSING, True, False),
        (None, True, False),
        (4, True, False),
        ({}, True, False),
        ({"b": None}, True, True),
        ({"b": "hi"}, False, True),
        ([], False, False),
        ([1, "text"], False, False),
        ([None], False, False),
        ([[]], False, False),
        ([[{"b": None}]], False, False),
        ([{"b": 1}, {"b": 3}], False, True),
        ([{"b": 1}, {}], True, True),
        ([{"b": None}, {"b": 3}], True, True),
        ([4, {"b": 3}], False, True),
    ],
)
def test_null_on_the_way_and_at_the_end_of_a_path_is_what_mongodb_makes_of_it(
    a: Any, *, is_null: bool, exists: bool
) -> None:
    document = {} if a is MISSING else {"a": a}
    for condition in (None, {"$eq": None}, {"$in": [None, 75]}, {"$not": {"$ne": None}}):
        assert parse({"a.b": condition}).matches(document) is is_null
    for condition in ({"$ne": None}, {"$nin": [None, 75]}):
        assert parse({"a.b": condition}).matches(document) is not is_null
    assert parse({"a.b": {"$exists": True}}).matches(document) is exists
    assert parse({"a.b": {"$exists": False}}).matches(document) is not exists


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
