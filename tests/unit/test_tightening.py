"""A producer's own wishes for who must agree: they can only make it stricter."""

from decimal import Decimal
from typing import Any

import pytest

from domain import quorum_tree
from domain.messages import CreateAction, parse_body
from domain.refusals import Code, Refusal
from tests.unit.in_memory import BODY, InMemory

TWO_OPS = {"type": "role", "value": {"role": "ops_admin", "min_votes": 1}}


def test_both_quorums_must_be_filled_and_by_different_people() -> None:
    engine = InMemory()
    action = engine.created({"required_quorum": TWO_OPS})
    for person in ("f1", "f2"):
        engine.vote(action, person)
    assert engine.status(action) == "pending_approval"
    engine.vote(action, "admin")
    assert engine.status(action) == "approved"
    found = engine.action(action).required_quorum
    assert found["type"] == "all_of"
    assert found["value"]["of"][1] == TWO_OPS


def test_a_policy_that_asks_for_nobody_does_not_silence_a_producer_who_does() -> None:
    engine = InMemory({"required_quorum": {"type": "none"}})
    assert engine.status(engine.created()) == "approved"
    assert engine.status(engine.created({"required_quorum": TWO_OPS, "idempotency_key": "other"})) == "requested"


def test_a_producer_cannot_ask_for_less() -> None:
    engine = InMemory({"required_ratio": 0.75, "timeout_seconds": 600})
    action = engine.action(
        engine.created({"required_ratio": 0.5, "timeout_seconds": 6000, "required_quorum": {"type": "none"}})
    )
    assert (action.required_ratio, action.timeout_seconds) == (Decimal("0.75"), 600)
    assert action.required_quorum["type"] == "role"


def test_two_of_three_are_less_than_a_ratio_that_is_just_above_two_thirds() -> None:
    engine = InMemory({"escalation_role": None})
    action = engine.created({"required_ratio": "0.66666666666666666667"})
    for person, choice in (("f3", "reject"), ("f1", "approve"), ("f2", "approve")):
        engine.vote(action, person, choice)
    assert engine.status(action) == "pending_approval"
    engine.vote(action, "f3", "abstain")
    assert engine.status(action) == "approved"


def test_the_higher_ratio_and_the_shorter_time_count() -> None:
    engine = InMemory({"required_ratio": 0.6, "timeout_seconds": 600, "escalation_role": "cfo"})
    action = engine.action(engine.created({"required_ratio": 0.9, "timeout_seconds": 60}))
    assert (action.required_ratio, action.timeout_seconds) == (Decimal("0.9"), 60)
    assert (action.expires_at - action.created_at).total_seconds() == 60
    assert [step.timeout_seconds for step in action.requirement.escalation] == [60]


@pytest.mark.parametrize(
    "wishes",
    [
        {"required_ratio": 0},
        {"required_ratio": 0.4},
        {"required_ratio": True},
        {"required_ratio": "0.66666666666666666666666666666666666667"},  # times 3 it would be rounded to 2
        {"timeout_seconds": 0},
        {"timeout_seconds": "60"},
        {"required_quorum": {}},
        {"required_quorum": {"type": "all_of", "value": {"of": []}}},
        {"required_quorum": {"type": "k_of", "value": {"of": [TWO_OPS], "k": 0}}},
        {"required_quorum": {"type": "k_of", "value": {"of": [TWO_OPS], "k": True}}},
        {"required_quorum": {"type": "any_of", "value": {"of": [TWO_OPS, {"type": "none"}]}}},
        {"required_quorum": {"type": "k_of", "value": {"of": [TWO_OPS] * 8, "k": 4}}},  # 70 ways
    ],
)
def test_a_wish_that_is_not_understood_is_refused_and_never_dropped(wishes: dict[str, Any]) -> None:
    answer = parse_body("CreateAction", BODY | wishes)
    assert isinstance(answer, Refusal)
    assert answer.code is Code.INVALID_BODY


def test_wishes_survive_the_wire_as_numbers() -> None:
    body = parse_body("CreateAction", BODY | {"required_ratio": 0.75, "timeout_seconds": 60})
    assert isinstance(body, CreateAction)
    assert body.model_dump(mode="json", exclude_unset=True)["required_ratio"] == 0.75


def test_a_quorum_that_could_be_filled_in_too_many_ways_is_refused() -> None:
    pair = {"type": "k_of", "value": {"of": [TWO_OPS] * 8, "k": 2}}  # 28 ways
    assert quorum_tree.parse(pair) is not None
    with pytest.raises(ValueError, match="784 ways"):
        quorum_tree.parse({"type": "all_of", "value": {"of": [pair, pair]}})


def test_both_quorums_together_can_be_filled_in_64_ways_and_no_more() -> None:
    eight = {"type": "any_of", "value": {"of": [TWO_OPS] * 8}}
    engine = InMemory({"required_quorum": eight})
    assert engine.create({"required_quorum": eight}).outcome == "applied"
    nine = {"type": "any_of", "value": {"of": [TWO_OPS] * 7 + [{"type": "any_of", "value": {"of": [TWO_OPS] * 2}}]}}
    refused = engine.create({"required_quorum": nine, "idempotency_key": "other"})
    assert refused.code == Code.TOO_MANY_WAYS
    assert "There are 72, and at most 64" in refused.sentence
    assert len(engine.world.actions) == 1
