"""Taking an action back: who may, and until when."""

from uuid import uuid4

import pytest

from domain.messages import CancelAction
from domain.outcome import Done, Rejected, Retry
from tests.unit.in_memory import WHOLE, InMemory, answer


def cancel(engine: InMemory, action_id: object, person: str, **envelope: object) -> str:
    body = CancelAction.model_validate({"action_id": action_id, "cancelled_by": person, "reason": "a mistake"})
    return answer(engine.tell(body, **envelope))


@pytest.mark.parametrize(
    ("creator", "person", "envelope", "expected"),
    [
        ("sira-system", "sira-system", {}, "applied"),
        ("sira-system", "sira-system", {"issuer": "another"}, "canceller_not_allowed"),
        ("sira-system", "admin", {"issuer": "another"}, "applied"),
        ("sira-system", "f1", {}, "canceller_not_allowed"),
        ("sira-system", "stranger", {}, "canceller_not_allowed"),
        ("f3", "f3", {}, "applied"),
        ("f3", "f3", {"issuer": "another"}, "applied"),
        ("f3", "f3", {"scope": WHOLE.model_copy(update={"roles": ()})}, "canceller_not_allowed"),
        ("f3", "f1", {}, "canceller_not_allowed"),
        ("f3", "admin", {"scope": WHOLE.model_copy(update={"roles": ("finance_ops",)})}, "canceller_not_allowed"),
        ("f3", "admin", {"scope": WHOLE.model_copy(update={"action_types": ("OTHER",)})}, "out_of_scope"),
        ("f3", "admin", {"scope": WHOLE.model_copy(update={"types": ("CastVote",)})}, "out_of_scope"),
    ],
)
def test_who_created_it_or_an_ops_admin_takes_it_back(
    creator: str, person: str, envelope: dict[str, object], expected: str
) -> None:
    engine = InMemory()
    action = engine.created({"created_by": creator})
    assert cancel(engine, action, person, **envelope) == expected
    assert engine.status(action) == ("cancelled" if expected == "applied" else "requested")
    engine.events(action)


def test_nothing_happens_to_a_cancelled_action_any_more() -> None:
    engine = InMemory()
    action = engine.approved()
    engine.ask_to_execute(action)
    assert cancel(engine, action, "admin") == "applied"
    assert engine.start(action, 1) == "not_approved"
    assert answer(engine.vote(action, "f3")) == "action_closed"
    assert answer(engine.ask_to_execute(action)) == "not_approved"
    engine.wait(10**6)
    assert engine.sweep(action) == "not_due"
    assert cancel(engine, action, "admin") == "action_closed"
    assert engine.events(action)[-1] == "cancelled"


@pytest.mark.parametrize("outcome", [None, Retry("busy"), Done(), Rejected("no")])
def test_what_has_begun_is_not_taken_back(outcome: Done | Retry | Rejected | None) -> None:
    engine = InMemory()
    action = engine.approved()
    engine.ask_to_execute(action)
    engine.start(action, 1)
    if outcome is not None:
        engine.finish(action, 1, outcome)
    status = engine.status(action)
    assert cancel(engine, action, "admin") == "already_started"
    assert engine.status(action) == status


def test_what_is_over_by_now_is_not_taken_back_and_what_is_not_there_neither() -> None:
    engine = InMemory({"escalation_role": None})
    action = engine.created()
    engine.wait(3600)
    assert cancel(engine, action, "admin") == "action_closed"
    assert engine.status(action) == "expired"
    assert cancel(engine, uuid4(), "admin") == "unknown_action"
