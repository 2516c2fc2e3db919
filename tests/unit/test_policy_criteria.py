"""What the criteria of policies may ask of an action, and that no mistake in a type chooses between policies."""

from typing import Any

import pytest

from domain import choosing
from domain.policy import Policy
from domain.refusals import Code, Refusal
from tests.unit.test_policy import chosen, definitions, make


@pytest.mark.parametrize(
    "criteria",
    [
        {"risk_level": {"$in": ["high", "critical"]}},
        {"target_tenant_id": {"$exists": False}},
        {"target_tenant_type": None},
        {"action_type": {"$regex": "^FREEZE_"}},
        {"$nor": [{"created_by": {"$ne": "eve"}}]},
        {"params": {"$exists": True}},
        {"params.items": {"$elemMatch": {"amount": {"$gte": 5}}}},
    ],
)
def test_criteria_may_ask_of_an_action_whatever_it_can_answer(criteria: dict[str, Any]) -> None:
    assert Policy.model_validate(make(criteria=criteria).model_dump(mode="json")).criteria == criteria


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        # the first one would match by the mistake, and may be the weaker one
        ({"params.x": {"$ne": 5}}, Code.CRITERIA_TYPE_MISMATCH),
        ({"params.x": {"$nin": [5, 6]}}, Code.CRITERIA_TYPE_MISMATCH),
        ({"params.x": {"$not": {"$gte": 5}}}, Code.CRITERIA_TYPE_MISMATCH),
        ({"$nor": [{"params.x": {"$gte": 5}}]}, Code.CRITERIA_TYPE_MISMATCH),
        ({"params.x.y": {"$exists": False}}, Code.CRITERIA_TYPE_MISMATCH),
        # it would not match, by the mistake
        ({"$or": [{"params.x": {"$gte": 5}}, {"origin": "alert"}]}, Code.CRITERIA_TYPE_MISMATCH),
        ({"params.x": {"$all": [5]}}, Code.CRITERIA_TYPE_MISMATCH),
        ({"params.x": {"$size": 1}}, Code.CRITERIA_TYPE_MISMATCH),
        ({"params.x": {"$elemMatch": {"$gte": 5}}}, Code.CRITERIA_TYPE_MISMATCH),
        ({"params.y": {"$elemMatch": {"z": 5}}}, Code.CRITERIA_TYPE_MISMATCH),
        # whatever the mistaken value was meant to be, the answer is the same
        ({"$or": [{"params.x": {"$gte": 5}}, {"origin": "sira"}]}, "first"),
        ({"params.x": {"$ne": 5}, "origin": "alert"}, "second"),
        ({"$nor": [{"params.x": 5}, {"origin": "sira"}]}, "second"),
        ({"params.x": {"$exists": True}}, "first"),
    ],
)
def test_a_mistaken_type_refuses_wherever_it_decides_which_policy_wins(criteria: dict[str, Any], expected: str) -> None:
    found = definitions(make("first", criteria, priority=200), make("second"))
    assert chosen(found, origin="sira", params={"x": "7", "y": [{"z": "5"}]}) == expected


def test_a_refusal_for_a_mistaken_type_names_the_condition_that_it_comes_from() -> None:
    either = {"$or": [{"origin": "sira", "params.y": 5}, {"params.z": {"$in": [1, 2]}}]}
    answer = choosing.choose(definitions(make(criteria=either)), {"origin": "alert", "params": {"y": "5", "z": "1"}})
    assert isinstance(answer, Refusal)
    assert answer.detail == "Policy 'A' asks for params.z in [1, 2]."


@pytest.mark.parametrize(
    "criteria",
    [
        {"risk_level": "High"},
        {"risk_level": None},
        {"risk_level": {"$in": ["high", "severe"]}},
        {"risk_level": {"$ne": "Low"}},
        {"risk_level": {"$all": ["high", "urgent"]}},
        {"origin": "SIRA"},
        {"origin": {"$not": {"$in": ["console"]}}},
        {"$nor": [{"origin": {"$nin": ["sira", "ops-ui"]}}]},
    ],
)
def test_a_risk_level_or_an_origin_that_there_is_not_is_an_error(criteria: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"criteria: (null|\".*\") is no (risk_level; there are low|origin; there are sira)"
    ):
        make(criteria=criteria)
    assert make(criteria={"params": {"$exists": True}, "params.risk_level": "High", "params.origin": "console"})
