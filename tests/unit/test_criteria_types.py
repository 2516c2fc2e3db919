"""A value of another type than a policy asks for leaves the answer unsure, wherever it could change the answer."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from domain.criteria import parse
from domain.truth import NO, UNSURE, YES, Truth, all_of, any_of

MISSING = object()
PERHAPS = ~UNSURE
"""Unsure, and MongoDB says yes."""


def judge(condition: Any, value: Any) -> Truth:
    document = {"params": {} if value is MISSING else {"x": value}}
    return parse({"params.x": condition}).judge(document)


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        # equality
        (5, 5, YES),
        (5, 4, NO),
        (5, "5", UNSURE),
        (5, True, UNSURE),
        (True, 1, UNSURE),
        ("XOF", None, UNSURE),
        ("XOF", {"code": "XOF"}, UNSURE),
        ("XOF", ["EUR"], NO),
        ("XOF", ["EUR", 5], UNSURE),
        ("XOF", ["XOF", 5], YES),
        ("XOF", [], NO),
        ("XOF", [["XOF"]], UNSURE),
        ("XOF", MISSING, NO),
        # who asks for null asks whether there is a value, of whatever type
        (None, "whatever", NO),
        (None, {}, NO),
        (None, MISSING, YES),
        # the opposites
        ({"$ne": 5}, "5", PERHAPS),
        ({"$ne": 5}, 4, YES),
        ({"$ne": 5}, 5, NO),
        ({"$ne": 5}, MISSING, YES),
        ({"$ne": 5}, [5, "6"], NO),
        ({"$ne": 5}, [4, "5"], PERHAPS),
        ({"$ne": None}, "whatever", YES),
        ({"$nin": [5, 6]}, "5", PERHAPS),
        ({"$nin": [5, "6"]}, "5", YES),
        # lists: a value is expected to be of one of their types, null apart
        ({"$in": [1, "a"]}, "b", NO),
        ({"$in": [1, "a"]}, True, UNSURE),
        ({"$in": [1, None]}, "1", UNSURE),
        ({"$in": [1, None]}, None, YES),
        ({"$in": [1, None]}, MISSING, YES),
        ({"$in": [None]}, "1", NO),
        ({"$all": [1, "a"]}, ["a"], NO),
        ({"$all": [1, "a"]}, ["a", True], UNSURE),
        ({"$all": [1, 2]}, [1, "2"], UNSURE),
        ({"$all": [1, 2]}, [1, 2, "3"], YES),
        # orderings; an empty list is no number
        ({"$gte": 3}, 5, YES),
        ({"$gte": 3}, 1, NO),
        ({"$gte": 3}, "5", UNSURE),
        ({"$gte": 3}, None, UNSURE),
        ({"$gte": 3}, True, UNSURE),
        ({"$gte": 3}, {"value": 5}, UNSURE),
        ({"$gte": 3}, [1, "5"], UNSURE),
        ({"$gte": 3}, [5, "1"], YES),
        ({"$gte": 3}, [[5]], UNSURE),
        ({"$gte": 3}, [1, 2], NO),
        ({"$gte": 3}, [], UNSURE),
        ({"$gte": 3}, MISSING, NO),
        ({"$gte": "2026"}, 2026, UNSURE),
        # whether there is a value is never a matter of type
        ({"$exists": True}, {}, YES),
        ({"$exists": False}, None, NO),
        ({"$exists": False}, MISSING, YES),
        # texts and lists
        ({"$regex": "^5"}, 5, UNSURE),
        ({"$regex": "^5"}, ["4", 5], UNSURE),
        ({"$regex": "^5"}, [], NO),
        ({"$regex": "^5"}, MISSING, NO),
        ({"$size": 1}, "a", UNSURE),
        ({"$size": 1}, {"0": "a"}, UNSURE),
        ({"$size": 1}, MISSING, NO),
        ({"$elemMatch": {"$gte": 3}}, 5, UNSURE),
        ({"$elemMatch": {"$gte": 3}}, [1, "5"], UNSURE),
        ({"$elemMatch": {"$gte": 3}}, [5, "1"], YES),
        ({"$elemMatch": {"$gte": 3}}, [], NO),
        ({"$elemMatch": {"$gte": 3, "$lt": 9}}, ["5", 9], UNSURE),
        ({"$elemMatch": {"$gte": 3, "$lt": 9}}, [5, "9"], YES),
        ({"$elemMatch": {"$ne": 3}}, ["3"], PERHAPS),
        ({"$elemMatch": {"a": 1}}, {"a": 1}, UNSURE),
        ({"$elemMatch": {"a": 1}}, [{"a": "1"}], UNSURE),
        ({"$elemMatch": {"a": 1, "b": 2}}, [{"a": "1", "b": 3}], NO),
        ({"$elemMatch": {"a": 1}}, [{"a": 2}, "a"], UNSURE),
        ({"$elemMatch": {"a": 1}}, [{"a": 2}, None], NO),
        ({"$elemMatch": {"0": 1}}, [[1]], PERHAPS),
        ({"$elemMatch": {"0": 1}}, [[2]], UNSURE),
        ({"$all": [{"$elemMatch": {"a": 1}}, {"$elemMatch": {"b": 2}}]}, [{"a": 1}, {"b": "2"}], UNSURE),
        ({"$all": [{"$elemMatch": {"a": 1}}, {"$elemMatch": {"b": 2}}]}, [{"a": 3}, {"b": "2"}], NO),
        # negation leaves unsure what is
        ({"$not": {"$gte": 3}}, "5", PERHAPS),
        ({"$not": {"$gte": 3}}, 5, NO),
        ({"$not": {"$gte": 3, "$lt": 9}}, "5", PERHAPS),
        ({"$not": {"$ne": 3}}, "3", UNSURE),
        ({"$not": {"$size": 1}}, "a", PERHAPS),
        ({"$not": {"$elemMatch": {"$gte": 3}}}, [1, "5"], PERHAPS),
        ({"$not": {"$regex": "^5"}}, 5, PERHAPS),
        ({"$not": {"$in": [5]}}, "5", PERHAPS),
    ],
)
def test_a_value_of_another_type_than_the_operand_leaves_it_unsure(condition: Any, value: Any, expected: Truth) -> None:
    assert judge(condition, value) == expected


WRONG, RIGHT, OTHER = {"x": {"$gte": 3}}, {"a": 1}, {"a": 2}
"""On the document below: unsure, holds, does not hold."""


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"$and": [WRONG, RIGHT]}, UNSURE),
        ({"$and": [WRONG, OTHER]}, NO),
        ({"$or": [WRONG, RIGHT]}, YES),
        ({"$or": [RIGHT, WRONG]}, YES),
        ({"$or": [WRONG, OTHER]}, UNSURE),
        ({"$nor": [WRONG, RIGHT]}, NO),
        ({"$nor": [WRONG, OTHER]}, PERHAPS),
        ({"$nor": [{"$nor": [WRONG]}]}, UNSURE),
        ({"$or": [{"$and": [WRONG, OTHER]}, OTHER]}, NO),
        ({**WRONG, **OTHER}, NO),
        ({**WRONG, **RIGHT}, UNSURE),
        ({"$and": [{"x": {"$ne": 3}}, RIGHT]}, PERHAPS),
        ({"$and": [{"x": {"$ne": 3}}, WRONG]}, UNSURE),
    ],
)
def test_what_is_unsure_counts_only_where_it_can_change_the_answer(criteria: Any, expected: Truth) -> None:
    assert parse(criteria).judge({"x": "5", "a": 1}) == expected


@pytest.mark.parametrize(
    ("payout", "expected"),
    [
        ({"amount": 5}, YES),
        ({"amount": 1}, NO),
        ({}, NO),
        (MISSING, NO),
        (None, NO),
        ("5", UNSURE),
        (5, UNSURE),
        ([], NO),
        ([{"amount": 1}, None], NO),
        ([{"amount": 1}, "5"], UNSURE),
        ([{"amount": 5}, "5"], YES),
        ([[{"amount": 5}]], UNSURE),
    ],
)
def test_a_value_of_another_type_on_the_way_leaves_it_unsure_too(payout: Any, expected: Truth) -> None:
    """`{"payout": "2000000"}` must not slip past a policy for `params.payout.amount`."""
    document = {"params": {} if payout is MISSING else {"payout": payout}}
    assert parse({"params.payout.amount": {"$gte": 3}}).judge(document) == expected
    assert parse({"params.payout.amount": {"$not": {"$gte": 3}}}).judge(document) == ~expected


def test_only_the_named_item_of_a_list_can_be_in_the_way() -> None:
    asked = parse({"a.1.b": 1})
    assert asked.judge({"a": ["text", {"b": 1}]}) == YES
    assert asked.judge({"a": [{"b": 1}, "text"]}) == UNSURE
    assert asked.judge({"a": [{"b": 1}]}) == NO
    assert parse({"a.1": 1}).judge({"a": ["text", 1]}) == YES
    assert parse({"a.0": {"$ne": 5}}).judge({"a": [6]}) == YES
    assert parse({"a.0.b": {"$ne": 5}}).judge({"a": [{"b": 6}, "text"]}) == YES


def test_null_in_the_place_of_a_blocked_field_is_what_mongodb_says_and_unsure() -> None:
    assert parse({"a.b": None}).judge({"a": "text"}) == PERHAPS
    assert parse({"a.b": {"$ne": None}}).judge({"a": "text"}) == UNSURE
    assert parse({"a.b": {"$exists": False}}).judge({"a": "text"}) == PERHAPS
    assert parse({"a.b": {"$exists": True}}).judge({"a": ["text"]}) == UNSURE
    assert parse({"a.b": {"$exists": True}}).judge({"a": ["text", {"b": 1}]}) == YES


MISTAKES = st.sampled_from([True, "5", None])
NUMBERS = st.integers(0, 3)


def of_numbers(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])
    single = st.builds(lambda name, value: {name: value}, names, NUMBERS)
    several = st.builds(
        lambda name, values: {name: values},
        st.sampled_from(["$in", "$nin", "$all"]),
        st.lists(NUMBERS, min_size=1, max_size=2),
    )
    one = single | several
    operators = st.one_of(
        one,
        st.builds(lambda value: {"$not": value}, one),
        st.builds(lambda value: {"$elemMatch": value}, one | inner),
        st.builds(lambda value: {"$not": {"$elemMatch": value}}, one),
    )
    groups = st.builds(
        lambda name, members: {name: members},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner, min_size=1, max_size=3),
    )
    return groups | st.dictionaries(st.sampled_from(["a", "b", "a.b", "b.a"]), operators, min_size=1, max_size=2)


CRITERIA = st.recursive(
    st.dictionaries(st.sampled_from(["a", "b"]), NUMBERS, min_size=1, max_size=2), of_numbers, max_leaves=6
)
LEAVES = st.one_of(NUMBERS, MISTAKES, st.lists(NUMBERS | MISTAKES, min_size=1, max_size=3))
OBJECTS = st.dictionaries(st.sampled_from(["a", "b"]), LEAVES, max_size=2)
DOCUMENTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["a", "b"], LEAVES | OBJECTS | st.lists(OBJECTS | MISTAKES, max_size=3))
)


def corrected(value: Any, number: Callable[[], int]) -> Any:
    """The value as it may have been meant: a number in the place of each mistake."""
    match value:
        case dict():
            return {key: corrected(item, number) for key, item in value.items()}
        case list():
            return [corrected(item, number) for item in value]
        case bool() | str() | None:
            return number()
        case _:
            return value


@given(criteria=CRITERIA, document=DOCUMENTS, data=st.data())
def test_a_sure_answer_is_the_same_whatever_the_mistaken_values_were_meant_to_be(
    criteria: dict[str, Any], document: dict[str, Any], data: st.DataObject
) -> None:
    asked = parse(criteria)
    answer = asked.judge(document)
    meant = corrected(document, lambda: data.draw(NUMBERS))
    event(f"sure {answer.sure}, with mistakes {meant != document}")
    if answer.sure:
        assert asked.matches(meant) is answer.holds


def test_unsure_answers_combine_as_if_each_could_be_either() -> None:
    answers = (YES, NO, UNSURE, PERHAPS)
    for three in product(answers, repeat=3):
        readings = list(product(*((answer.holds,) if answer.sure else (True, False) for answer in three)))
        for combine, plain in ((any_of, any), (all_of, all)):
            outcomes = {plain(reading) for reading in readings}
            assert combine(three) == Truth(plain(answer.holds for answer in three), sure=len(outcomes) == 1)
    assert (any_of([]), all_of([])) == (NO, YES)
