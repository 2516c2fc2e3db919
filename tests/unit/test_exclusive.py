"""One incident, one action: of those with the same exclusive key one at a time is open."""

from typing import Any
from uuid import UUID

import pytest

from domain.action_type import LONGEST_KEY_BYTES, ActionType
from domain.exclusive import holder
from domain.lifecycle import FINAL, HOLDING, Status
from domain.messages import CancelAction
from domain.outcome import Done, Outcome, Rejected, Unknown
from tests.unit.in_memory import HOUR, TYPE, InMemory, answer
from tests.unit.test_engine_internal import Company
from workers import definition_files


def exclusive(**action_type: Any) -> InMemory:
    return InMemory(action_type={"exclusive_params": ["agent_id"]} | action_type)


def asked(engine: InMemory, key: str, agent: str = "agent-1", **more: Any) -> str:
    """An action for an agent, under a key of its own; the answer in one word."""
    return answer(engine.create({"idempotency_key": key, "params": {"agent_id": agent, "amount": 5}} | more))


def held(engine: InMemory, first: UUID) -> bool:
    """Whether the first action keeps another from being open."""
    return holder(engine.world, engine.action(first).exclusive_key) is engine.action(first)


def test_a_second_open_action_for_the_same_is_refused_and_named_the_first() -> None:
    engine = exclusive()
    first = engine.created()
    told = engine.create({"idempotency_key": "k2", "origin": "alert", "params": {"agent_id": "agent-1", "amount": 9}})
    assert (told.outcome, told.code, told.action_id) == ("refused", "already_open", first)
    assert f"It is action {first}, which is requested." in told.sentence
    assert len(engine.world.actions) == 1
    assert answer(engine.create()) == "duplicate"
    assert asked(engine, "k3", agent="agent-2") == "applied"


def test_without_exclusive_params_as_many_are_open_as_come() -> None:
    engine = InMemory()
    assert [asked(engine, f"k{number}") for number in range(3)] == ["applied"] * 3
    assert {action.exclusive_key for action in engine.world.actions.values()} == {None}


def test_an_action_holds_its_key_until_its_effect_cannot_come_by_itself_any_more() -> None:
    assert FINAL | {Status.FAILED} | HOLDING == frozenset(Status)
    assert {str(status) for status in HOLDING} == {
        "requested",
        "pending_approval",
        "escalated",
        "approved",
        "executing",
        "outcome_unknown",
    }


@pytest.mark.parametrize(
    ("outcome", "holds"), [(None, True), (Unknown("lost"), True), (Rejected("no"), False), (Done(), False)]
)
def test_what_an_attempt_came_to_decides_whether_the_key_is_free(outcome: Outcome | None, holds: bool) -> None:
    engine = exclusive(guarantee="neither")
    first = engine.approved()
    engine.ask_to_execute(first)
    engine.start(first, 1)
    if outcome is not None:
        engine.finish(first, 1, outcome)
    assert held(engine, first) is holds
    assert asked(engine, "k2") == ("already_open" if holds else "applied")


@pytest.mark.parametrize("end", ["rejected", "cancelled", "expired"])
def test_once_the_first_has_ended_another_may_be_open(end: str) -> None:
    engine = InMemory({"escalation_role": None}, {"exclusive_params": ["agent_id"]})
    first = engine.created()
    if end == "rejected":
        for person in ("f1", "f2", "f3"):
            engine.vote(first, person, "reject")
    elif end == "cancelled":
        engine.tell(CancelAction(action_id=first, cancelled_by="sira-system"))
    else:
        engine.wait(HOUR)  # and no sweep comes
    assert asked(engine, "k2") == "applied"
    assert engine.status(first) == end


def test_a_deadline_that_has_passed_escalates_the_first_and_frees_nothing() -> None:
    engine = exclusive()
    first = engine.created()
    engine.wait(HOUR)
    told = engine.create({"idempotency_key": "k2"})
    assert answer(told) == "already_open"
    assert "which is escalated" in told.sentence
    assert engine.status(first) == "escalated"


@pytest.mark.parametrize("params", [{}, {"agent_id": None}, {"agent_id": ["agent-1"]}, {"agent_id": {"id": 1}}])
def test_params_that_do_not_say_what_it_is_for_are_refused(params: dict[str, Any]) -> None:
    engine = exclusive(target=None)
    told = engine.create({"params": params})
    assert answer(told) == "invalid_params"
    assert "params.agent_id: needed" in told.sentence


def test_a_key_too_long_for_an_index_is_refused() -> None:
    engine = exclusive()
    kind = engine.world.definitions.action_types[0].definition
    room = LONGEST_KEY_BYTES - len((kind.exclusive_key({"agent_id": ""}) or "").encode())
    assert asked(engine, "longest", agent="a" * room) == "applied"
    assert asked(engine, "too long", agent="a" * (room + 1)) == "invalid_params"
    assert asked(engine, "too long", agent="é" * (room // 2 + 1)) == "invalid_params"


def test_an_exclusive_key_is_one_spelling_of_type_and_values() -> None:
    kind = ActionType.model_validate(TYPE.model_dump() | {"exclusive_params": ["b", "a"]})
    assert kind.exclusive_key({"a": "x", "b": 1, "c": 2}) == '["TOP_UP",{"a":"x","b":1}]'
    assert kind.exclusive_key({"b": 1.0, "a": "x"}) == kind.exclusive_key({"a": "x", "b": 1})
    assert kind.exclusive_key({"a": "x", "b": "1"}) != kind.exclusive_key({"a": "x", "b": 1})
    assert kind.exclusive_key({"a": "x"}) is None


@pytest.mark.parametrize(
    ("action_type", "param"),
    [("FREEZE_MERCHANT", "merchant_id"), ("PAUSE_PAYOUT", "merchant_id"), ("ADJUST_FLOAT", "agent_id")],
)
def test_the_shipped_action_types_are_exclusive_for_whom_they_are_about(action_type: str, param: str) -> None:
    (found,) = [item for _, item in definition_files.shipped() if item.name == action_type]
    assert isinstance(found, ActionType)
    assert found.exclusive_params == (param,)


class Guarded(Company):
    """The company of internal actions, whose top-ups are exclusive for their agent."""

    def __init__(self, **action_type: Any) -> None:
        super().__init__(exclusive_params=["agent_id"], **action_type)

    def error(self, action_id: UUID) -> str:
        return self.action(action_id).error or ""


def test_a_failed_action_is_not_tried_again_while_another_is_open_for_the_same() -> None:
    engine = Guarded()
    failed = engine.ended(Rejected("no"))
    second = engine.created({"idempotency_key": "k2"})
    retry = engine.do("RETRY", failed)
    assert (engine.status(retry), engine.status(failed)) == ("failed", "failed")
    assert f"Action {second} is open for the same by now; it is requested." in engine.error(retry)
    engine.tell(CancelAction(action_id=second, cancelled_by="sira-system"))
    assert engine.status(engine.do("RETRY", failed)) == "executed"
    assert engine.status(failed) == "approved"
    assert asked(engine, "k3") == "already_open"


@pytest.mark.parametrize("found", ["approved", "failed"])
def test_an_unknown_outcome_keeps_its_key_until_people_say_that_it_failed(found: str) -> None:
    engine = Guarded()
    first = engine.ended(Unknown("lost"))
    assert asked(engine, "k2") == "already_open"
    engine.wait(60)
    assert engine.status(engine.do("RESOLVE_OUTCOME", first, outcome=found)) == "executed"
    assert asked(engine, "k3") == ("already_open" if found == "approved" else "applied")


def test_rolling_back_is_rejected_while_what_it_would_create_is_open_for_the_same() -> None:
    engine = Guarded(inverse={"action_type": "TOP_UP", "copies": ["agent_id"], "params": {"amount": -5}})
    done = engine.ended(Done())
    second = engine.created({"idempotency_key": "k2"})
    back = engine.do("ROLL_BACK", done)
    assert engine.status(back) == "failed"
    assert f"It is action {second}, which is requested." in engine.error(back)
    engine.tell(CancelAction(action_id=second, cancelled_by="sira-system"))
    assert engine.status(engine.do("ROLL_BACK", done)) == "executed"
    assert asked(engine, "k3") == "already_open"
