"""Who asked for an action votes on it only where its policy says so in as many words; its target never does."""

from typing import Any

import pytest

from domain.outcome import Rejected
from domain.policy import Rules
from tests.unit.in_memory import RULES, WHOLE, InMemory, answer, directory

ROLES = {"eve": ["finance_ops", "ops_admin"], "f1": ["finance_ops"], "f2": ["finance_ops"], "agent-1": ["finance_ops"]}


def company(**rules: Any) -> InMemory:
    engine = InMemory(rules)
    engine.world.directory = directory(ROLES)
    return engine


@pytest.mark.parametrize("part", ["created_by", "triggered_by"])
@pytest.mark.parametrize(
    ("rules", "expected"), [({"allow_self_approval": True}, "applied"), ({}, "separation_of_duties")]
)
def test_who_asked_for_it_votes_only_where_the_policy_allows_it(
    part: str, rules: dict[str, Any], expected: str
) -> None:
    engine = company(**rules)
    action = engine.created({part: "eve"})
    assert answer(engine.vote(action, "eve")) == expected


def test_who_asked_for_it_fills_one_seat_like_others() -> None:
    engine = company(allow_self_approval=True)
    action = engine.created({"created_by": "eve"})
    engine.vote(action, "eve")
    assert engine.status(action) == "pending_approval"
    engine.vote(action, "f1")
    assert engine.status(action) == "approved"


def test_the_target_does_not_vote_whatever_the_policy_allows() -> None:
    engine = company(allow_self_approval=True)
    action = engine.created({"created_by": "eve"})
    assert answer(engine.vote(action, "agent-1")) == "separation_of_duties"
    assert engine.action(action).requirement.excluded == ("agent-1",)


def test_who_creates_an_action_for_themselves_is_its_target() -> None:
    engine = company(allow_self_approval=True)
    action = engine.created({"created_by": "eve", "params": {"agent_id": "eve", "amount": 5}})
    assert answer(engine.vote(action, "eve")) == "separation_of_duties"


def test_what_an_action_led_to_is_not_approved_by_who_had_a_part_in_either() -> None:
    engine = company(allow_self_approval=True)
    engine.world.directory = directory(ROLES | {"ops": ["ops_admin"]})
    subject = engine.approved(("eve", "f1"), created_by="eve", triggered_by="f2")
    engine.ask_to_execute(subject, "ops")
    engine.start(subject, 1)
    engine.finish(subject, 1, Rejected("no"))
    asked = {"action_type": "RETRY", "params": {"action_id": str(subject), "reason": "again"}, "idempotency_key": None}
    retry = engine.created(asked | {"created_by": "ops"})
    assert engine.action(retry).requirement.excluded == tuple(sorted(["agent-1", "eve", "f2", "ops", str(subject)]))


def test_who_asks_for_a_change_of_the_rules_does_not_vote_on_it_whatever_the_policy_allows() -> None:
    engine = company(allow_self_approval=True)
    params = {"kind": "policy", "name": "P", "replaces": 1, "definition": None, "reason": "nobody needs it"}
    names_it = WHOLE.model_copy(update={"types": ("CreateAction",), "action_types": ("CHANGE_DEFINITION",)})
    asked = engine.create(
        {"action_type": "CHANGE_DEFINITION", "params": params, "created_by": "eve", "triggered_by": "f1"},
        scope=names_it,
    )
    assert asked.action_id is not None
    assert answer(engine.vote(asked.action_id, "f2")) == "applied"
    for person in ("eve", "f1"):
        assert answer(engine.vote(asked.action_id, person)) == "separation_of_duties"


@pytest.mark.parametrize("given", [1, "true", None, []])
def test_the_flag_is_true_or_false_and_nothing_else(given: Any) -> None:
    with pytest.raises(ValueError, match="allow_self_approval"):
        Rules.model_validate(RULES | {"allow_self_approval": given})
