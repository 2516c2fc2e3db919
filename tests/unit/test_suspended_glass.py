"""Who was refused a ratification breaks no glass, and what they approved alone before stays an ordinary vote."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import deciding
from domain.engine import step
from domain.executing import Perform
from domain.outcome import Retry
from tests.unit.in_memory import HOUR, NOW, InMemory, answer
from tests.unit.test_break_glass import (
    DAY,
    ROLES,
    broken,
    company,
    created,
    engine_with,
    put_in_force,
    ratification,
    refused,
)
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


def test_what_is_not_ratified_goes_back_to_its_voters_at_once() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    refused(engine, action)
    assert engine.events(action)[-2:] == ["ratification_refused", "reopened"]
    for person in ("f1", "f2"):
        assert answer(engine.vote(action, person)) == "applied"
    assert engine.status(action) == "approved"


def test_what_the_person_approved_alone_elsewhere_goes_back_when_somebody_turns_to_it() -> None:
    engine = engine_with(uses=3)
    one, two = created(engine), created(engine, "two")
    for action in (one, two):
        broken(engine, action)
    refused(engine, one)
    assert answer(engine.vote(two, "f1")) == "applied"
    assert engine.events(two)[-2:] == ["reopened", "voted"]


def test_an_approval_alone_with_a_compromised_key_goes_back_too() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    engine.world.compromised.add("tooling-1")
    engine.wait(600)
    engine.sweep(action)
    assert engine.events(action)[-1] == "reopened"


def test_what_a_quorum_approves_then_is_good_for_the_usual_time() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    refused(engine, action)
    for person in ("f1", "f2"):
        engine.vote(action, person)
    engine.wait(DAY - 1)
    engine.sweep(action)
    assert answer(engine.ask_to_execute(action, "a3")) == "applied"


def test_so_is_what_the_quorum_had_approved_too() -> None:
    """Both are there at the refusal: the vote that broke glass, without which it is approved as well."""
    engine = engine_with()
    action = created(engine)
    engine.vote(action, "f1")
    engine.world.directory = company({**ROLES, "duty": ["duty", "finance_ops"]})
    broken(engine, action)
    refused(engine, action)
    assert engine.status(action) == "approved"
    engine.wait(600)
    assert engine.sweep(action) == "applied"
    assert engine.action(action).due_at == NOW + timedelta(seconds=DAY)
    assert engine.sweep(action) == "not_due"


def agreed(engine: InMemory, action: UUID) -> UUID:
    """What ratifies the approval of an action alone; people have agreed to it, and nobody has carried it out."""
    asked = ratification(engine, action).id
    for person in ("a1", "a2"):
        assert answer(engine.vote(asked, person)) == "applied"
    assert engine.status(asked) == "approved"
    return asked


def carried_out(engine: InMemory, asked: UUID, token: int) -> None:
    assert engine.start(asked, token) == "applied"
    assert answer(step(engine.world, Perform(asked, token))) == "applied"


def test_what_people_have_ratified_stays_so_however_late_it_is_carried_out() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    asked = agreed(engine, action)
    engine.wait(9 * DAY)
    engine.sweep(asked)
    carried_out(engine, asked, 1)
    assert engine.events(action)[-1] == "ratified"


def test_and_however_often_it_was_cut_off() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    asked = agreed(engine, action)
    for token in range(1, 61):
        assert engine.start(asked, token) == "applied"  # whose worker is killed
        engine.wait(2 * HOUR)
        engine.sweep(asked)
        engine.wait(HOUR)
    carried_out(engine, asked, 61)
    assert engine.events(action)[-1] == "ratified"


def overdue() -> tuple[InMemory, UUID]:
    """What was approved alone, whose ratification's time is over without that anybody has noticed."""
    engine = engine_with(valid_seconds=3 * HOUR)
    two_admins = {"type": "role", "value": {"role": "ops_admin", "min_votes": 2}}
    put_in_force(engine, {"action_type": "RATIFY"}, {"required_quorum": two_admins, "timeout_seconds": 600})
    action = created(engine)
    broken(engine, action)
    engine.ask_to_execute(action, "a3")
    engine.wait(HOUR / 2)
    assert engine.status(ratification(engine, action).id) == "requested"
    return engine, action


def test_a_ratification_whose_time_is_over_is_refused_though_no_sweep_has_noticed() -> None:
    engine, action = overdue()
    assert engine.start(action, 1) == "not_approved"
    assert engine.events(action)[-1] == "reopened"
    assert engine.status(ratification(engine, action).id) == "expired"


def test_nor_does_the_person_break_glass_again() -> None:
    engine, _ = overdue()
    assert broken(engine, created(engine, "two")) == "break_glass_not_allowed"


def test_what_was_begun_is_not_decided_again_when_it_is_not_ratified() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    engine.ask_to_execute(action, "a3")
    assert engine.start(action, 1) == "applied"
    assert engine.finish(action, 1, Retry("busy")) == "applied"
    refused(engine, action)
    assert engine.events(action)[-1] == "ratification_refused"
    assert engine.status(action) == "approved"


def test_the_record_says_who_had_lost_the_role_by_which_they_broke_glass() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    engine.ask_to_execute(action, "a3")
    engine.world.directory = company(ROLES | {"duty": ["viewer"]})
    assert engine.start(action, 1) == "not_approved"
    (reopened,) = [event for event in engine.world.changes.events if event.event == "reopened"]
    assert [vote["may_break_glass"] for vote in reopened.data["votes"]] == [False]
