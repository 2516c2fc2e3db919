"""Who was refused a ratification breaks no glass, and what they approved alone before stays an ordinary vote."""

from datetime import timedelta
from typing import Any

import pytest

from domain import deciding
from tests.unit.in_memory import InMemory, answer
from tests.unit.test_break_glass import ROLES, broken, created, engine_with, refused
from tests.unit.test_sync import snapshot


def synced(engine: InMemory, number: int, *without: str, **grant: Any) -> None:
    """A snapshot a minute later in which everybody but these holds their roles, by grants like this."""
    engine.wait(60)
    held = {person: [] if person in without else [{"role": role} | grant for role in ROLES[person]] for person in ROLES}
    assert snapshot(engine, number, **held) == "applied"
    engine.wait(60)


def test_a_role_granted_anew_does_not_bring_back_an_approval_that_was_not_ratified() -> None:
    engine = engine_with(uses=3)
    one, two = created(engine), created(engine, "two")
    for action in (one, two):
        assert broken(engine, action) == "applied"
    refused(engine, one)
    for action in (one, two):
        engine.ask_to_execute(action, "a3")
        assert engine.start(action, 1) == "not_approved"
    synced(engine, 1, "duty")
    synced(engine, 2)
    for action in (one, two):
        assert answer(engine.vote(action, "f1")) == "applied"
        assert engine.status(action) == "pending_approval"
    assert broken(engine, two) == "applied", "they may still do so again"
    assert engine.status(two) == "approved"


def test_an_approval_alone_that_was_not_ratified_is_recorded_as_one_that_no_longer_is_enough() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    refused(engine, action)
    synced(engine, 1, "duty")
    synced(engine, 2)
    engine.ask_to_execute(action, "a3")
    assert engine.start(action, 1) == "not_approved"
    (reopened,) = [event for event in engine.world.changes.events if event.event == "reopened"]
    assert [vote["may_break_glass"] for vote in reopened.data["votes"]] == [False]
    assert deciding.decide_from_record(engine.action(action), reopened, (), set()).verdict == "pending"


@pytest.mark.parametrize("days", [[None, 30, 60, None], [30, 31, 32]])
def test_a_role_that_only_ends_later_is_not_granted_anew(days: list[int | None]) -> None:
    engine = engine_with()
    start = engine.world.now
    ends: list[dict[str, Any]] = [{"ends_at": day and (start + timedelta(days=day)).isoformat()} for day in days]
    synced(engine, 1, **ends[0])
    action = created(engine)
    broken(engine, action)
    refused(engine, action)
    for number, grant in enumerate(ends[1:], 2):
        synced(engine, number, **grant)
        assert broken(engine, created(engine, f"after {number}")) == "break_glass_not_allowed"
