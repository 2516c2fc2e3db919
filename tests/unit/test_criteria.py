"""Criteria that cannot be understood are errors that name their path; what was found can be told to people."""

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import criteria as bounds
from domain.conditions import Finding, in_words
from domain.criteria import CriteriaError, parse

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2)
)


@pytest.mark.parametrize(
    "condition",
    [
        {"$foo": 1},
        {"$gte": 1, "$where": "true"},
        {"$gte": 1, "lt": 2},
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
        {"$exists": 1},
        {"$exists": "false"},
        {"$exists": None},
        {"$not": 5},
        {"$not": {}},
        {"$not": {"y": 1}},
        {"$not": "abc"},
        {"$not": {"$foo": 1}},
        {"$and": [{"$gte": 1}]},
        {"$all": []},
        {"$all": 1},
        {"$all": [[1]]},
        {"$all": [{"$elemMatch": {"a": 1}}, 1]},
        {"$all": [{"$gte": 1}]},
        {"$size": -1},
        {"$size": 1.0},
        {"$size": True},
        {"$size": "1"},
        {"$size": {"$gte": 1}},
        {"$elemMatch": 5},
        {"$elemMatch": [1]},
        {"$elemMatch": {}},
        {"$elemMatch": {"$gte": 1, "y": 2}},
        {"$elemMatch": {"$gte": 1, "$or": [{"a": 1}]}},
        {"$elemMatch": {"a": {"$foo": 1}}},
        {"$regex": 5},
        {"$regex": ""},
        {"$regex": None},
        {"$regex": "("},
        {"$regex": "a", "$options": "m"},
        {"$regex": "a", "$options": "ii"},
        {"$regex": "a", "$options": None},
        {"$options": "i"},
        {"$eq": "a", "$options": "i"},
    ],
)
def test_a_condition_that_is_not_understood_is_an_error_with_its_path(condition: Any) -> None:
    with pytest.raises(CriteriaError, match=r"^'?params\.x\b"):
        parse({"params.x": condition})


@pytest.mark.parametrize(
    ("criteria", "where"),
    [
        ({"$or": [{"a": 1}, {"b": {"$foo": 1}}]}, r"^\$or\[1\]\.b: "),
        ({"$nor": [{"$and": [{"b": {"$in": []}}]}]}, r"^\$nor\[0\]\.\$and\[0\]\.b: "),
        ({"a": {"$elemMatch": {"b": {"$size": -1}}}}, r"^a\.\$elemMatch\.b: "),
        ({"a": {"$elemMatch": {"$size": -1}}}, r"^a\.\$elemMatch: "),
        ({"a": {"$not": {"$regex": "("}}}, r"^a\.\$not: "),
        ({"$or": []}, r"^\$or "),
        ({"$and": {"a": 1}}, r"^\$and "),
        ({"$nor": [{}]}, r"^\$nor\[0\]: "),
        ({"$or": [{"a": 1}, 5]}, r"^\$or\[1\]: "),
        ({"$or": [{"$gte": 1}]}, r"^'\$or\[0\]\.\$gte': "),
        ({"$not": {"a": 1}}, r"^'\$not': "),
    ],
)
def test_an_error_within_other_criteria_says_where_it_is(criteria: Any, where: str) -> None:
    with pytest.raises(CriteriaError, match=where):
        parse(criteria)


@pytest.mark.parametrize("operand", [math.nan, math.inf, date(2025, 2, 1), b"x", {1, 2}, (1, 2)])
@pytest.mark.parametrize("operator", ["$eq", "$gte", "$in", "$all"])
def test_what_json_cannot_hold_is_no_operand(operator: str, operand: Any) -> None:
    with pytest.raises(CriteriaError, match=r"params\.x"):
        parse({"params.x": {operator: [operand] if operator in {"$in", "$all"} else operand}})


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "$where", "$expr", "$not", "$eq", 5, None])
def test_what_is_no_path_is_an_error(path: Any) -> None:
    with pytest.raises(CriteriaError):
        parse({path: 1})


@pytest.mark.parametrize("document", [None, [], "action_type", 5, [{"a": 1}]])
def test_criteria_are_an_object(document: Any) -> None:
    with pytest.raises(CriteriaError):
        parse(document)


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {"a": 1}
    for _ in range(levels):
        document = {"$nor": [document]}
    return document


@pytest.mark.parametrize(
    ("fits", "too_much"),
    [
        (nested(7), nested(8)),
        (nested(7), nested(100_000)),
        ({f"a{number}": 1 for number in range(bounds.MOST_KEYS)}, {f"a{number}": 1 for number in range(201)}),
        (
            {"$or": [{f"a{number}": 1 for number in range(100)}, {f"b{number}": 1 for number in range(99)}]},
            {"$or": [{f"a{number}": 1 for number in range(100)}, {f"b{number}": 1 for number in range(100)}]},
        ),
        ({"a": {"$in": list(range(1000))}}, {"a": {"$in": list(range(1001))}}),
        ({"a": {"$all": list(range(100))}}, {"a": {"$all": list(range(101))}}),
        ({"$or": [{"a": 1}] * 100}, {"$or": [{"a": 1}] * 101}),
        ({".".join(["a"] * bounds.MOST_FIELDS): 1}, {".".join(["a"] * 17): 1}),
        ({"a": {"$regex": "^" + "a" * 199}}, {"a": {"$regex": "^" + "a" * 200}}),
    ],
)
def test_criteria_have_bounds(fits: Any, too_much: Any) -> None:
    assert parse(fits)
    with pytest.raises(CriteriaError, match=r"more than|at most|longer than"):
        parse(too_much)


def test_explaining_names_what_was_seen_and_what_was_asked() -> None:
    criteria = parse({"action_type": "A", "params.x": {"$gte": 3, "$lt": 9}})
    assert criteria.explain({"action_type": "A", "params": {"x": [1, 5]}}) == (
        Finding("action_type", "$eq", "A", 'action_type = "A"', ("A",), holds=True, type_mismatch=False),
        Finding("params.x", "$gte", 3, "params.x gte 3", ([1, 5],), holds=True, type_mismatch=False),
        Finding("params.x", "$lt", 9, "params.x lt 9", ([1, 5],), holds=True, type_mismatch=False),
    )
    gte = criteria.explain({})[1]
    assert (gte.seen, gte.holds, gte.type_mismatch) == ((), False, False)
    gte = criteria.explain({"params": {"x": "5"}})[1]
    assert (gte.seen, gte.holds, gte.type_mismatch) == (("5",), False, True)


def test_explaining_tells_what_is_within_combined_conditions_too() -> None:
    criteria = parse({"$or": [{"a": 1, "b": 2}, {"c": {"$not": {"$gte": 3}}}], "d": {"$all": [4, 5]}})
    either, everything = criteria.explain({"a": 1, "b": 3, "c": 3, "d": [4]})
    assert (either.operator, either.holds, either.seen) == ("$or", False, ())
    both, negated = either.within
    assert [(found.words, found.holds, found.seen) for found in both.within] == [
        ("a = 1", True, (1,)),
        ("b = 2", False, (3,)),
    ]
    assert (negated.path, negated.operator, negated.holds) == ("c", "$not", False)
    assert [(found.words, found.holds, found.seen) for found in negated.within] == [("c gte 3", True, (3,))]
    assert (everything.words, everything.holds) == ("d all [4, 5]", False)
    assert [(found.operand, found.holds, found.seen) for found in everything.within] == [
        (4, True, ([4],)),
        (5, False, ([4],)),
    ]


@pytest.mark.parametrize(
    ("operator", "operand"),
    [
        ("$and", [{"a": 1}]),
        ("$or", [{"a": 1}, {"b": 2}]),
        ("$nor", [{"a": 1}]),
        ("$not", {"$gte": 3}),
        ("$all", [4, 5]),
        ("$elemMatch", {"$gte": 1}),
        ("$size", 2),
        ("$exists", False),
    ],
)
def test_explaining_names_what_was_asked_whatever_the_operator(operator: str, operand: Any) -> None:
    on_a_path = operator not in {"$and", "$or", "$nor"}
    (found,) = parse({"a": {operator: operand}} if on_a_path else {operator: operand}).explain({})
    assert (found.path, found.operator, found.operand) == ("a" if on_a_path else "", operator, operand)


@given(value=VALUES, criteria=st.sampled_from([
    {"params.x": 1}, {"params.x.0": None}, {"$or": [{"params.x.a.b": {"$exists": True}}, {"other": 1}]},
    {"params.x": {"$not": {"$elemMatch": {"$gte": 1}}}}, {"params": {"$elemMatch": {"x": {"$regex": "a"}}}},
]))  # fmt: skip
def test_findings_say_what_the_criteria_say_and_no_document_makes_them_raise(value: Any, criteria: Any) -> None:
    asked, document = parse(criteria), {"params": {"x": value}}
    found = asked.explain(document)
    assert asked.matches(document) is all(finding.holds for finding in found)
    if not any(finding.type_mismatch for finding in found):
        assert asked.judge(document).sure


@pytest.mark.parametrize(
    ("criteria", "words"),
    [
        ({}, ""),
        ({"a": 1, "b": {"$gte": 2, "$lt": 3}}, "a = 1 and b gte 2 and b lt 3"),
        ({"a": {"$in": ["x", "y"]}}, 'a in ["x", "y"]'),
        ({"a": {"$exists": False}}, "a exists false"),
        ({"a": {"$all": [1, 2]}}, "a all [1, 2]"),
        ({"a": {"$not": {"$gte": 1, "$lt": 3}}}, "not (a gte 1 and a lt 3)"),
        ({"$or": [{"a": 1, "b": 2}, {"c": 3}]}, "((a = 1 and b = 2) or c = 3)"),
        ({"$nor": [{"a": 1}, {"c": 3}], "b": 2}, "not (a = 1 or c = 3) and b = 2"),
        ({"$and": [{"a": 1}, {"b": 2}]}, "(a = 1 and b = 2)"),
        ({"a": {"$elemMatch": {"b": 1, "c": {"$gte": 2}}}}, 'a elemMatch {"b": 1, "c": {"$gte": 2}}'),
        ({"a": {"$regex": "^x", "$options": "i"}}, 'a regex "^x"'),
    ],
)
def test_criteria_are_told_in_words(criteria: Any, words: str) -> None:
    assert in_words(parse(criteria).conditions) == words
