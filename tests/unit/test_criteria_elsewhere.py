"""Criteria mean what another implementation of MongoDB's operators says, written by somebody else.

That one is mgqpy, whose authors compare it with MongoDB 7 and 8. Where it is wrong, what is drawn here leaves it out: its `\\w`
and `\\b` take letters of every script (MongoDB's `\\w` only those of ASCII), so no text and no pattern here is beyond ASCII.
"""

from typing import Any

from hypothesis import event, example, given
from hypothesis import strategies as st
from mgqpy import Query

from domain.criteria import parse

SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 1.0, 1.5, -1, "", "a", "b", "ab", "A", "1"])
FIELDS = st.sampled_from(["a", "b", "0"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(FIELDS, VALUES, max_size=3)
PATHS = st.sampled_from(["a", "b", "a.b", "b.a", "a.a.b", "a.0", "a.1", "a.0.b", "a.0.0", "a.b.0", "a.00", "a.b.a.b"])
PATTERNS = st.sampled_from(
    ["a", "^a", "b$", "^$", "^(a|b)$", "[ab]+", "(a+)+$", "^.$", "^[^a]", "A", r"\d", r"^\w\w$", "a?b"]
)


def operators(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Operators on one path; `inner` are criteria for the objects of a list."""
    values = st.lists(SCALARS, min_size=1, max_size=3)
    comparisons = st.sampled_from(["$gt", "$gte", "$lt", "$lte"])
    simple = st.one_of(
        st.builds(lambda value: {"$eq": value}, SCALARS),
        st.builds(lambda value: {"$ne": value}, SCALARS),
        st.builds(lambda name, value: {name: value}, comparisons, st.sampled_from([0, 1, 1.5, "a", "ab"])),
        st.builds(lambda name, value: {name: value}, st.sampled_from(["$in", "$nin", "$all"]), values),
        st.builds(lambda value: {"$exists": value}, st.booleans()),
        st.builds(lambda value: {"$size": value}, st.integers(0, 3)),
        st.builds(lambda text, options: {"$regex": text, "$options": options}, PATTERNS, st.sampled_from(["", "i"])),
    )
    together = simple | st.builds(lambda one, other: one | other, simple, simple)
    of_items = together | st.builds(lambda value: {"$not": value}, together)
    of_lists = st.builds(lambda value: {"$elemMatch": value}, of_items | inner)
    return st.one_of(
        together,
        of_lists,
        st.builds(lambda value: {"$not": value}, together | of_lists),
        st.builds(lambda value: {"$all": value}, st.lists(of_lists, min_size=1, max_size=2)),
    )


def criteria(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.dictionaries(PATHS, SCALARS | operators(inner), min_size=1, max_size=2),
        st.builds(
            lambda name, members: {name: members},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=2),
        ),
    )


CRITERIA = st.recursive(st.dictionaries(PATHS, SCALARS, min_size=1, max_size=1), criteria, max_leaves=4)


@given(criteria=CRITERIA, document=DOCUMENTS)
@example(criteria={"a.b": None}, document={"a": [1]})
@example(criteria={"a.0": 1}, document={"a": [[1]]})
@example(criteria={"a": {"$elemMatch": {"0": 1}}}, document={"a": [[1]]})
@example(criteria={"a.0": None}, document={"a": [{"b": 1}]})
def test_criteria_match_what_another_implementation_says(criteria: dict[str, Any], document: dict[str, Any]) -> None:
    expected = Query(criteria).test(document)
    event("matches" if expected else "does not match")
    assert parse(criteria).matches(document) is expected
