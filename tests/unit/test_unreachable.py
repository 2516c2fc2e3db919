"""An approval that cannot come any more: the next step begins at once, and with none left it is told."""

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.in_memory import HOUR, NOW, InMemory, answer, directory

THREE = {"type": "role", "value": {"role": "finance_ops", "min_votes": 3}}
STRICT: dict[str, Any] = {"required_quorum": THREE, "required_ratio": 0.75}
FINANCE = {person: ["finance_ops"] for person in ("f1", "f2", "f3", "f4")}


def company(people: dict[str, list[str]], **rules: Any) -> InMemory:
    engine = InMemory(STRICT | rules)
    engine.world.directory = directory(people)
    return engine


def told(engine: InMemory, name: str) -> list[dict[str, Any]]:
    return [event.data for event in engine.world.changes.events if event.event == name]


def test_where_too_few_could_ever_approve_the_next_step_begins_at_creation() -> None:
    engine = company({"f1": ["finance_ops"], "f2": ["finance_ops"], "cfo": ["cfo"]})
    action = engine.created()
    assert engine.events(action) == ["created", "escalated"]
    (data,) = told(engine, "escalated")
    assert (data["reason"], data["missing"]) == ("out_of_reach", ["1 more of finance_ops"])
    assert not engine.action(action).unreachable  # f1, f2 and the cfo are three
    for person in ("f1", "f2", "cfo"):
        engine.vote(action, person)
    assert engine.status(action) == "approved"


def test_the_time_of_a_step_that_began_early_runs_from_then() -> None:
    engine = company(FINANCE | {"cfo": ["cfo"]})
    action = engine.created()
    engine.wait(600)
    engine.vote(action, "f1", "reject")
    assert engine.events(action) == ["created", "voted"]
    engine.vote(action, "f2", "reject")  # two of four for it are not three
    assert engine.events(action) == ["created", "voted", "voted", "escalated"]
    assert engine.action(action).expires_at == NOW + timedelta(seconds=600 + HOUR)
    assert engine.action(action).due_at == engine.action(action).expires_at
    assert engine.sweep(action) == "not_due"
    engine.wait(HOUR)
    assert engine.sweep(action) == "applied"
    assert engine.status(action) == "expired"


def test_steps_of_nobody_that_a_deadline_reached_take_no_time_whoever_noticed_when() -> None:
    chain = [{"role": role, "timeout_seconds": HOUR} for role in ("board", "council", "cfo")]
    engine = company(FINANCE | {"cfo": ["cfo"]}, escalation_role=None, escalation=chain)
    action = engine.created()
    engine.world.directory = directory({"f1": ["finance_ops"], "f2": ["finance_ops"], "cfo": ["cfo"]})
    engine.wait(HOUR + 600)
    engine.sweep(action)
    assert [data["reason"] for data in told(engine, "escalated")] == ["deadline_passed", "out_of_reach", "out_of_reach"]
    assert engine.action(action).expires_at == NOW + timedelta(hours=2)


def test_with_no_step_left_it_is_told_once_and_the_deadline_decides() -> None:
    engine = company(FINANCE, escalation_role=None)
    action = engine.created()
    for person in ("f1", "f2"):
        assert answer(engine.vote(action, person, "reject")) == "applied"
    assert (engine.status(action), engine.action(action).unreachable) == ("pending_approval", True)
    assert engine.action(action).due_at == NOW + timedelta(seconds=HOUR)
    engine.vote(action, "f3", "abstain")
    assert engine.events(action) == ["created", "voted", "voted", "unreachable", "voted"]
    assert told(engine, "unreachable") == [{"missing": ["1 more of finance_ops"]}]
    engine.wait(HOUR)
    engine.sweep(action)
    assert engine.events(action)[-1] == "expired"


def test_who_changes_their_vote_brings_it_into_reach_again_and_out_of_it_once_more() -> None:
    engine = company(FINANCE, escalation_role=None)
    action = engine.created()
    for vote in ("reject", "withdraw", "reject"):
        engine.vote(action, "f1", vote)
        engine.vote(action, "f2", "reject")
        assert engine.action(action).unreachable is (vote == "reject")
    assert engine.events(action).count("unreachable") == 2
    engine.vote(action, "f1")
    for person in ("f2", "f3"):
        engine.vote(action, person)
    assert (engine.status(action), engine.action(action).unreachable) == ("approved", False)


def test_a_ratio_can_be_out_of_reach_too() -> None:
    engine = company(FINANCE | {"f5": ["finance_ops"]}, escalation_role=None, required_ratio=0.7)
    action = engine.created()
    for person in ("f1", "f2"):
        engine.vote(action, person, "reject")
    assert told(engine, "unreachable") == [{"missing": ["an approval ratio of 0.7"]}]


def test_several_ways_to_fill_it_are_all_looked_at() -> None:
    either = {"type": "any_of", "value": {"of": [THREE, {"type": "specific_users", "value": {"users": ["boss"]}}]}}
    engine = company({"f1": ["finance_ops"], "boss": ["nothing"]}, required_quorum=either, escalation_role=None)
    action = engine.created()
    assert not engine.action(action).unreachable
    engine.vote(action, "boss", "abstain")
    assert engine.action(action).unreachable
    assert told(engine, "unreachable") == [{"missing": ["1 more of boss"]}]


@pytest.mark.parametrize("kept_out", ["created_by", "triggered_by"])
def test_who_is_kept_out_is_not_waited_for(kept_out: str) -> None:
    people = {"f1": ["finance_ops"], "f2": ["finance_ops"], "f3": ["finance_ops", "ops_admin"]}
    engine = company(people, escalation_role=None)
    action = engine.created({kept_out: "f3"})
    assert engine.events(action) == ["created", "unreachable"]


def test_an_approval_that_fell_away_and_cannot_come_back_escalates() -> None:
    engine = company(FINANCE | {"cfo": ["cfo"], "admin": ["ops_admin"]})
    action = engine.approved(("f1", "f2", "f3"))
    engine.ask_to_execute(action)
    engine.world.directory = directory({"f1": ["finance_ops"], "f2": ["finance_ops"], "cfo": ["cfo"]})
    assert engine.start(action, 1) == "not_approved"
    assert engine.events(action)[-2:] == ["reopened", "escalated"]
    engine.vote(action, "cfo")
    assert engine.status(action) == "approved"


def test_others_are_those_who_are_here_and_could_fill_a_seat() -> None:
    engine = company({"f1": ["finance_ops"], "f2": ["finance_ops"], "cfo": ["cfo"], "eve": ["finance_ops"]})
    action = engine.action(engine.created({"triggered_by": "eve"}))
    electorate = action.live_requirement.electorate(engine.world.directory, engine.world.now)
    assert action.steps_reached == 1  # two of finance_ops are left, and the cfo
    assert {person for person, _ in electorate.others({"f1"})} == {"f2", "cfo"}


TWO = {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}
CFO_ALONE = {"role": "cfo", "min_votes": 1, "timeout_seconds": 600}
AS_MANY = {"role": "pay_admin", "timeout_seconds": 60}


@pytest.mark.parametrize("steps", [[CFO_ALONE], [AS_MANY, CFO_ALONE]])
@pytest.mark.parametrize(
    "asked",
    [
        {"required_quorum": {"type": "specific_users", "value": {"users": ["nobody"]}}},
        {"created_by": "f1", "origin": "alert", "triggered_by": "f2"},
    ],
)
def test_a_step_that_asks_for_fewer_is_not_had_by_asking_in_a_way_that_nobody_can_approve(
    steps: list[dict[str, Any]], asked: dict[str, Any]
) -> None:
    people = {"f1": ["finance_ops", "ops_admin"], "f2": ["finance_ops"], "cfo": ["cfo"], "pay": ["pay_admin"]}
    engine = company(people, required_quorum=TWO, escalation_role=None, escalation=steps)
    action = engine.created(asked)
    assert engine.events(action) == ["created", "unreachable"]
    for person in ("cfo", "pay"):
        assert answer(engine.vote(action, person)) == "not_eligible"
    engine.wait(HOUR)
    engine.sweep(action)
    assert engine.status(action) == "escalated"
    for _ in steps[1:]:
        engine.wait(60)
        engine.sweep(action)
    engine.vote(action, "cfo")
    assert engine.status(action) == "approved", "it is what the policy lets be decided after waiting"


def test_who_rejects_does_not_open_a_step_that_asks_for_fewer() -> None:
    engine = company(FINANCE | {"cfo": ["cfo"]}, escalation_role=None, escalation=[CFO_ALONE])
    action = engine.created()
    for person in ("f1", "f2"):
        engine.vote(action, person, "reject")
    assert engine.events(action)[-1] == "unreachable"
    assert engine.action(action).steps_reached == 0


def test_a_step_that_asks_for_as_many_begins_at_once_though_one_that_is_over_asked_for_fewer() -> None:
    engine = company(FINANCE | {"cfo": ["cfo"]}, escalation_role=None, escalation=[CFO_ALONE, AS_MANY])
    action = engine.created()
    engine.wait(HOUR)
    engine.sweep(action)
    assert engine.action(action).steps_reached == 1
    engine.vote(action, "cfo", "abstain")
    for person in ("f1", "f2"):
        engine.vote(action, person, "reject")
    assert engine.action(action).steps_reached == 2


def test_the_receipt_of_an_action_that_nobody_can_approve_warns() -> None:
    engine = company({"f1": ["finance_ops"], "f2": ["finance_ops"]}, escalation_role=None)
    receipt = engine.create()
    assert (receipt.outcome, "Nobody can approve it as things are" in receipt.sentence) == ("applied", True)
    others = company(FINANCE).create()
    assert "Nobody" not in others.sentence
