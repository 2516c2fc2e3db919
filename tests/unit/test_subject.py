"""What an internal action is about: the attempt that people knew when they were asked, told by its number."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.action import Action
from domain.content import content_hash_of
from domain.definitions import Definitions, Versioned
from domain.explaining import explain
from domain.messages import CreateAction
from domain.outcome import Done, Rejected, Unknown
from domain.policy import Policy
from tests.unit.test_engine_internal import FAILED, KNOWN, UNKNOWN, Company


def test_a_clock_that_steps_back_does_not_make_one_attempt_of_two() -> None:
    engine = Company()
    action = engine.ended(*UNKNOWN)
    engine.wait(600)
    two = engine.agreed("RESOLVE_OUTCOME", action, outcome="approved")
    engine.wait(5)
    one = engine.agreed("RESOLVE_OUTCOME", action, outcome="failed")
    engine.wait(-3)
    engine.try_at(two)
    engine.try_at(action)  # before `one` was asked for, by the clock
    engine.finish(action, engine._token, *UNKNOWN)
    engine.wait(60)
    engine.try_at(one)
    assert (engine.status(one), engine.status(action)) == ("failed", "outcome_unknown")
    assert "since" in (engine.action(one).error or "")


@pytest.mark.parametrize(
    ("kind", "outcomes", "params"),
    [("RETRY", FAILED, {}), ("RESOLVE_OUTCOME", UNKNOWN, {"outcome": "executed"}), ("ROLL_BACK", KNOWN, {})],
)
def test_a_clock_that_stepped_back_keeps_nobody_from_what_they_agreed_to(
    kind: str, outcomes: tuple[Done | Rejected | Unknown, ...], params: dict[str, Any]
) -> None:
    engine = Company(inverse={"action_type": "TOP_UP", "copies": ["agent_id"], "params": {"amount": -5}})
    action = engine.ended(*outcomes)
    engine.wait(-60)
    assert engine.status(engine.do(kind, action, **params)) == "executed"


def again(engine: Company) -> UUID:
    """A top-up that has failed at its second attempt."""
    action = engine.ended(*FAILED)
    engine.do("RETRY", action)
    engine.try_at(action)
    engine.finish(action, engine._token, *FAILED)
    return action


@pytest.mark.parametrize("named", [{}, {"attempt": 2}, {"attempt": 2.0}])
def test_people_see_which_attempt_they_decide_about_whether_it_was_named_or_not(named: dict[str, Any]) -> None:
    engine = Company()
    action = again(engine)
    assert engine.ask("RETRY", action, params=named, idempotency_key="r") == "applied"
    assert engine.told.action_id is not None
    asked = engine.action(engine.told.action_id)
    assert asked.params == {"action_id": str(action), "reason": "we looked into it", "attempt": 2}
    assert asked.content_hash == content_hash_of(asked)
    assert content_hash_of(replace(asked, params=asked.params | {"attempt": 1})) != asked.content_hash
    assert engine.ask("RETRY", action, params=named, idempotency_key="r") == "duplicate"
    assert engine.ask("RETRY", action, params={"attempt": 2, "reason": "x"}, idempotency_key="r") == (
        "idempotency_conflict"
    )


@pytest.mark.parametrize("attempt", [1, 3])
def test_what_is_asked_about_another_attempt_than_the_last_is_refused(attempt: int) -> None:
    engine = Company()
    assert engine.ask("RETRY", again(engine), params={"attempt": attempt}) == "subject_not_in_state"
    assert engine.told.sentence.endswith("It is failed; its last attempt is number 2.")


def test_the_same_again_is_a_duplicate_though_the_action_was_tried_since() -> None:
    engine = Company()
    action = engine.ended(*FAILED)
    assert engine.ask("RETRY", action, idempotency_key="r") == "applied"
    engine.do("RETRY", action)
    engine.try_at(action)
    engine.finish(action, engine._token, *FAILED)
    assert engine.ask("RETRY", action, idempotency_key="r") == "duplicate"


def test_what_was_asked_for_before_attempts_were_named_is_to_be_asked_for_again() -> None:
    engine = Company()
    action = engine.ended(*FAILED)
    old = engine.agreed("RETRY", action)
    params = {name: value for name, value in engine.action(old).params.items() if name != "attempt"}
    engine.world.actions[old] = replace(engine.action(old), params=params)
    engine.try_at(old)
    assert (engine.status(old), engine.status(action)) == ("failed", "failed")
    assert "Ask again" in (engine.action(old).error or "")


def test_a_policy_may_look_at_which_attempt_it_is_and_that_is_explained() -> None:
    engine = Company()
    action = again(engine)
    rules = {"required_quorum": {"type": "role", "value": {"role": "ops_admin", "min_votes": 3}}}
    criteria = {"action_type": "RETRY", "params.attempt": {"$gte": 2}}
    careful = Policy.model_validate({"name": "Again", "criteria": criteria, "policy": rules, "priority": 900})
    found = engine.world.definitions
    engine.world.definitions = Definitions((*found.policies, Versioned(1, careful)), found.action_types)
    assert engine.ask("RETRY", action) == "applied"
    assert engine.told.action_id is not None
    assert engine.action(engine.told.action_id).policy_name == "Again"
    params = {"action_id": str(action), "reason": "we looked into it"}
    body = CreateAction(origin="sira", action_type="RETRY", params=params, created_by="ops-console")
    told = explain(engine.world, body)
    assert isinstance(told.answer, Action)
    assert told.facts is not None
    assert told.facts["params"] == told.answer.params == params | {"attempt": 2}
    assert [each.policy.definition.name for each in told.verdicts if each.state == "applies"] == ["Again"]
