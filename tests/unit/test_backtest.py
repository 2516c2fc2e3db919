"""What past actions would have come to: the same rules give what was, other rules what they say."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import backtest
from domain.backtest import Past, Replayed
from domain.definitions import Definitions, Versioned
from domain.messages import CreateAction
from domain.policy import Policy
from domain.refusals import Code, Refusal
from domain.trail import EventName
from tests.unit.in_memory import BODY, HOUR, NOW, RULES, TYPE, InMemory
from tests.unit.test_break_glass import GLASS, broken, created, engine_with
from tests.unit.test_delegation import acting

THREE = {"required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 3}}}
ONE = {"required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 1}}}
NOBODY = {"required_quorum": {"type": "none"}, "escalation_role": None}
ADMIN = {"required_quorum": {"type": "role", "value": {"role": "ops_admin", "min_votes": 1}}}
LATER = NOW + timedelta(days=9)

Story = list[tuple[str, str] | int]
"""Votes as person and choice, and seconds of waiting in between."""

APPROVED: Story = [("f1", "approve"), ("f2", "approve")]
REJECTED: Story = [("f1", "approve"), ("f2", "reject"), ("f3", "reject")]
EXPIRED: Story = [("f1", "approve"), HOUR, HOUR]
ESCALATED: Story = [("f1", "approve"), HOUR, ("cfo", "approve")]
OPEN: Story = [("f1", "approve")]
TAKEN_BACK: Story = [("f1", "approve"), ("f1", "withdraw"), ("f3", "approve"), ("f2", "approve")]


def lived(story: Story, wishes: dict[str, Any] | None = None, rules: dict[str, Any] | None = None) -> Past:
    engine = InMemory(rules)
    action = engine.created(wishes)
    for part in story:
        if isinstance(part, int):
            engine.wait(part)
            engine.sweep(action)
        else:
            assert engine.vote(action, *part).outcome == "applied"
    return past(engine, action, wishes)


def past(engine: InMemory, action: UUID, wishes: dict[str, Any] | None) -> Past:
    return Past(
        action=engine.action(action),
        body=CreateAction.model_validate(BODY | (wishes or {})),
        action_type=Versioned(1, TYPE),
        caused_by=None,
        events=tuple(event for event in engine.world.changes.events if event.action_id == action),
        directory=engine.world.directory,
        compromised={},
    )


def replayed(was: Past, rules: dict[str, Any], now: datetime = LATER, **more: Any) -> Replayed | Refusal:
    asked = RULES | rules
    policy = Policy.model_validate({"name": "Draft", "criteria": {}, "policy": asked, **more})
    return backtest.replay(was, Definitions(policies=(Versioned(1, policy),)), now)


def came_to(was: Past, rules: dict[str, Any], now: datetime = LATER) -> str:
    found = replayed(was, rules, now)
    assert isinstance(found, Replayed)
    return found.came_to


@pytest.mark.parametrize("story", [APPROVED, REJECTED, EXPIRED, ESCALATED, OPEN, TAKEN_BACK])
@pytest.mark.parametrize("wishes", [{}, {"required_ratio": 0.9}, {"timeout_seconds": 600}])
def test_under_the_same_rules_an_action_comes_to_what_it_came_to(story: Story, wishes: dict[str, Any]) -> None:
    if wishes.get("required_ratio") and story is REJECTED:
        story = story[:2]  # and is rejected at once
    if wishes.get("timeout_seconds") and story is ESCALATED:
        story = [("f1", "approve"), 600, ("cfo", "approve")]
    was = lived(story, wishes)
    now = was.action.updated_at
    found = replayed(was, {}, now)
    assert isinstance(found, Replayed)
    assert found.came_to == was.came_to
    assert found.action.requirement == was.action.requirement
    assert found.action.steps_reached == was.action.steps_reached


@pytest.mark.parametrize(
    ("story", "rules", "was", "by_draft"),
    [
        (APPROVED, THREE, "approved", "pending"),
        (APPROVED, ADMIN, "approved", "pending"),
        (REJECTED, ONE, "rejected", "approved"),
        (REJECTED, {"required_ratio": 1}, "rejected", "rejected"),
        (REJECTED, NOBODY, "rejected", "approved"),
        (EXPIRED, ONE, "expired", "approved"),
        (EXPIRED, {"timeout_seconds": 5 * HOUR}, "expired", "pending"),
        (ESCALATED, {"escalation_role": None}, "approved", "expired"),
        (ESCALATED, {"timeout_seconds": 5 * HOUR}, "approved", "pending"),
        (OPEN, ONE, "pending", "approved"),
        (OPEN, {}, "pending", "expired"),
        (APPROVED, {"veto_roles": ["finance_ops"]}, "approved", "approved"),
        (REJECTED, {"veto_roles": ["finance_ops"]}, "rejected", "rejected"),
    ],
)
def test_under_other_rules_it_comes_to_what_these_say(
    story: Story, rules: dict[str, Any], was: str, by_draft: str
) -> None:
    found = lived(story)
    assert found.came_to == was
    assert came_to(found, rules) == by_draft


def test_the_vote_of_who_is_kept_out_by_the_draft_counts_for_nothing() -> None:
    was = lived(APPROVED, {"triggered_by": "f2"}, {"allow_self_approval": True})
    assert was.came_to == "approved"
    assert came_to(was, {"allow_self_approval": True}) == "approved"
    assert came_to(was, {}) == "pending"


def test_who_had_a_part_in_what_led_to_it_is_kept_out_of_it_there_too() -> None:
    was = lived(APPROVED)
    engine = InMemory()
    before = engine.action(engine.created({"triggered_by": "f2"}))
    assert came_to(replace(was, caused_by=before), {}) == "pending"


def test_who_acts_for_somebody_does_so_there_too() -> None:
    engine = InMemory()
    engine.world.directory = acting(("deputy", "f1"))
    action = engine.created()
    for person in ("deputy", "f2"):
        engine.vote(action, person)
    was = past(engine, action, None)
    assert was.came_to == "approved"
    assert came_to(was, {}) == "approved"


def test_what_happened_after_the_decision_is_not_lived_again() -> None:
    was = lived(APPROVED)
    executed = replace(was.events[-1], event=EventName.EXECUTING, at=LATER)
    assert came_to(replace(was, events=(*was.events, executed)), THREE) == "pending"


def test_a_vote_whose_key_was_compromised_by_then_counts_for_nothing() -> None:
    was = lived(APPROVED)
    assert came_to(was, {}) == "approved"
    later = Past(**{name: getattr(was, name) for name in Past.__slots__} | {"compromised": {"tooling-1": LATER}})
    assert came_to(later, {}) == "approved"
    before = Past(**{name: getattr(was, name) for name in Past.__slots__} | {"compromised": {"tooling-1": NOW}})
    assert came_to(before, {}) == "pending"


def test_who_broke_glass_approves_alone_where_the_draft_lets_them() -> None:
    engine = engine_with()
    action = created(engine)
    assert broken(engine, action) == "applied"
    was = past(engine, action, None)
    assert was.came_to == "approved"
    assert came_to(was, {"break_glass": GLASS}) == "approved"
    assert came_to(was, {"break_glass": GLASS | {"role": "ops_admin"}}) == "pending"
    assert came_to(was, {}) == "pending"


def test_where_no_policy_can_be_chosen_it_is_refused() -> None:
    was = lived(APPROVED)
    policy = {"name": "D", "criteria": {"params.amount": "five"}, "policy": RULES}
    found = backtest.replay(was, Definitions(policies=(Versioned(1, Policy.model_validate(policy)),)), LATER)
    assert isinstance(found, Refusal)
    assert found.code is Code.CRITERIA_TYPE_MISMATCH


def test_the_producers_own_wishes_stay() -> None:
    was = lived(APPROVED, {"required_quorum": ADMIN["required_quorum"]} | {"auto_execute": True})
    found = replayed(was, ONE)
    assert isinstance(found, Replayed)
    assert found.action.auto_execute
    assert found.action.required_quorum["type"] == "all_of"
