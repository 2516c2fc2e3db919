"""Deadlines and chains of escalation steps: the same whenever somebody looks, and waiting never makes it easier."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.policy import MOST_STEPS, Rules
from domain.trail import timestamp
from domain.world import World
from tests.unit.in_memory import HOUR, NOW, RULES, InMemory, answer, directory

CHAIN: dict[str, Any] = {
    "escalation_role": None,
    "escalation": [
        {"role": "cfo", "timeout_seconds": 600},
        {"role": "ceo", "min_votes": 1, "timeout_seconds": 300},
        {"role": "board", "min_votes": 3, "timeout_seconds": 60},
    ],
}
ENDS = (HOUR, HOUR + 600, HOUR + 900, HOUR + 960)
"""When the action's own time and that of each step are over."""

PEOPLE = {
    "f1": ["finance_ops"],
    "f2": ["finance_ops"],
    "both": ["finance_ops", "cfo"],
    "cfo": ["cfo"],
    "ceo": ["ceo"],
    "board": ["board"],
    "admin": ["ops_admin"],
}
AWAY = {f"away-{number}": ["finance_ops"] for number in range(6)}
"""They do not vote; while they could, an approval is in reach."""


ESCALATED = {"event": "escalated", "reason": "deadline_passed"}


def chained(rules: dict[str, Any] | None = None) -> InMemory:
    engine = InMemory(CHAIN | (rules or {}))
    engine.world.directory = directory(PEOPLE | AWAY)
    return engine


def told(world: World, action_id: UUID) -> list[dict[str, Any]]:
    """What the trail tells of the passing of time, but for when it was noticed."""
    names = {"escalated", "expired"}
    events = [event for event in world.changes.events if event.action_id == action_id]
    return [{"event": event.event.value} | event.data for event in events if event.event.value in names]


@pytest.mark.parametrize("looks", [ENDS, ENDS[2:], ENDS[3:]], ids=["each in time", "two missed", "all missed"])
def test_each_step_follows_the_deadline_before_it_whenever_a_sweep_comes(looks: tuple[int, ...]) -> None:
    engine = chained()
    action = engine.created()
    for look in looks:
        engine.wait((NOW + timedelta(seconds=look) - engine.world.now).total_seconds())
        assert engine.sweep(action) == "applied"
    deadlines = [timestamp(NOW + timedelta(seconds=end)) for end in ENDS]
    assert told(engine.world, action) == [
        ESCALATED | {"step": 1, "role": "cfo", "deadline": deadlines[1]},
        ESCALATED | {"step": 2, "role": "ceo", "deadline": deadlines[2]},
        ESCALATED | {"step": 3, "role": "board", "deadline": deadlines[3]},
        {"event": "expired", "was": "escalated", "deadline": deadlines[3]},
    ]
    assert (engine.status(action), engine.action(action).due_at) == ("expired", None)
    assert engine.sweep(action) == "not_due"


VOTES = st.lists(
    st.tuples(
        st.integers(0, ENDS[3] + 10),
        st.sampled_from(sorted(PEOPLE)),
        st.sampled_from(["approve", "approve", "reject", "withdraw"]),
    ),
    max_size=6,
)


@given(votes=VOTES, sweeps=st.lists(st.integers(0, ENDS[3] + 10) | st.sampled_from(ENDS), max_size=6))
def test_sweeps_change_nothing_but_when_it_is_noticed(votes: list[tuple[int, str, str]], sweeps: list[int]) -> None:
    """A vote that comes after a deadline finds the action as if that had been acted on in time, swept or not."""

    def play(sweeps: list[int]) -> Any:
        engine, answers = chained(), []
        action = engine.created()
        looks = [(second, "", "") for second in [*sweeps, ENDS[3] + 10]]
        for second, person, vote in sorted([*looks, *votes], key=lambda moment: (moment[0], moment[1])):
            engine.world.now = NOW + timedelta(seconds=second)
            if person:
                answers.append(answer(engine.vote(action, person, vote)))
            else:
                engine.sweep(action)
        row = engine.action(action)
        ended = (row.status, row.steps_reached, row.expires_at, row.votes_approve, row.votes_reject)
        return answers, ended, engine.events(action), told(engine.world, action)

    assert play(sweeps) == play([])


def test_a_roles_votes_count_once_its_step_is_reached_and_go_on_counting() -> None:
    engine = chained()
    action = engine.created()
    assert answer(engine.vote(action, "ceo", "abstain")) == "not_eligible"
    for step, person in enumerate(("cfo", "ceo", "board")):
        engine.wait((NOW + timedelta(seconds=ENDS[step]) - engine.world.now).total_seconds())
        assert answer(engine.vote(action, person, "abstain")) == "applied"
    assert answer(engine.vote(action, "cfo")) == "applied"
    assert engine.status(action) == "escalated"
    assert answer(engine.vote(action, "f1")) == "applied"
    assert engine.status(action) == "approved"


@pytest.mark.parametrize(("people", "ended"), [(("cfo",), "escalated"), (("cfo", "f1"), "approved")])
def test_a_step_asks_for_as_many_people_as_the_quorum_unless_it_says_how_many(
    people: tuple[str, ...], ended: str
) -> None:
    engine = chained()
    action = engine.created()
    engine.wait(HOUR)
    for person in people:
        engine.vote(action, person)
    assert engine.status(action) == ended


def test_a_step_may_ask_for_fewer_only_by_saying_so() -> None:
    engine = chained()
    action = engine.created()
    engine.wait(HOUR + 600)
    engine.vote(action, "ceo")
    assert engine.events(action) == ["created", "escalated", "escalated", "voted", "approved"]


@pytest.mark.parametrize(("vote", "ended"), [("approve", "approved"), ("reject", "rejected")])
@pytest.mark.parametrize("late_seconds", [0, 500, 5000])
def test_votes_already_cast_decide_at_the_step_that_they_fill_though_later_ones_were_missed_too(
    vote: str, ended: str, late_seconds: int
) -> None:
    engine = chained({"required_ratio": 0.75})
    action = engine.created()
    for person, said in (("f1", "reject"), ("f2", "approve"), ("both", vote)):
        engine.vote(action, person, said)
    assert engine.status(action) == "pending_approval"
    engine.wait(HOUR + late_seconds)
    engine.sweep(action)
    assert engine.events(action)[-2:] == ["escalated", ended]
    assert engine.action(action).steps_reached == 1


def test_an_approval_that_falls_away_after_its_deadline_goes_to_the_next_step() -> None:
    engine = chained()
    action = engine.approved()
    engine.wait(HOUR + 1)
    engine.ask_to_execute(action)
    engine.world.compromised.add("tooling-1")
    engine.start(action, token=1)
    assert engine.events(action)[-2:] == ["reopened", "escalated"]
    assert engine.action(action).expires_at == NOW + timedelta(seconds=ENDS[1])


@pytest.mark.parametrize("left", [{"f1": ["finance_ops"]}, {"f1": ["finance_ops"], "f3": ["finance_ops"]}])
def test_one_that_falls_away_after_every_deadline_has_expired_in_reach_or_not(left: dict[str, list[str]]) -> None:
    engine = InMemory()
    action = engine.approved(("f1", "f2"))
    engine.wait(5 * HOUR)
    engine.ask_to_execute(action)
    engine.world.directory = directory(left | {"cfo": ["cfo"], "admin": ["ops_admin"]})
    assert engine.start(action, token=1) == "not_approved"
    assert engine.events(action)[-3:] == ["reopened", "escalated", "expired"]


def test_a_producers_shorter_time_brings_steps_forward_and_makes_none_easier() -> None:
    engine = chained()
    action = engine.action(engine.created({"timeout_seconds": 60}))
    steps = [(step.role, step.min_votes, step.timeout_seconds) for step in action.requirement.escalation]
    assert steps == [("cfo", None, 600), ("ceo", None, 300), ("board", 3, 60)]
    engine.wait(60 + 600)
    engine.vote(action.id, "ceo")
    assert engine.status(action.id) == "escalated"
    engine.vote(action.id, "cfo")
    assert engine.status(action.id) == "approved"


@pytest.mark.parametrize("wish", [{}, {"timeout_seconds": HOUR}, {"timeout_seconds": 9 * HOUR}])
def test_a_time_that_is_not_shorter_changes_no_step(wish: dict[str, Any]) -> None:
    engine = chained()
    requirement = engine.action(engine.created(wish)).requirement
    assert requirement.escalation == Rules.model_validate(RULES | CHAIN).escalation


def test_the_one_role_of_the_spec_is_a_chain_of_one_step_as_long_as_the_actions_own_time() -> None:
    for rules in ({}, {"escalation_role": None, "escalation": [{"role": "cfo", "timeout_seconds": HOUR}]}):
        engine = InMemory(rules)
        action = engine.action(engine.created())
        assert [step.model_dump() for step in action.requirement.escalation] == [
            {"role": "cfo", "min_votes": None, "timeout_seconds": HOUR}
        ]
        assert action.escalation_role == "cfo"


@pytest.mark.parametrize(
    "rules",
    [
        {"escalation_role": "cfo", "escalation": [{"role": "ceo", "timeout_seconds": 60}]},
        {"escalation": [{"role": "ceo", "timeout_seconds": 60}] * (MOST_STEPS + 1)},
        {"escalation": [{"role": "ceo"}]},
        {"escalation": [{"timeout_seconds": 60}]},
        {"escalation": [{"role": "*", "timeout_seconds": 60}]},
        {"escalation": [{"role": "ceo", "timeout_seconds": 0}]},
        {"escalation": [{"role": "ceo", "timeout_seconds": True}]},
        {"escalation": [{"role": "ceo", "timeout_seconds": 10**12}]},
        {"escalation": [{"role": "ceo", "timeout_seconds": 60, "min_votes": 0}]},
        {"escalation": [{"role": "ceo", "timeout_seconds": 60, "min_votes": True}]},
        {"escalation": [{"role": "ceo", "timeout_seconds": 60, "votes": 2}]},
        {"escalation": "ceo"},
    ],
)
def test_a_chain_that_is_not_understood_is_an_error_at_load(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate({name: value for name, value in RULES.items() if name != "escalation_role"} | rules)


def test_a_look_at_what_is_to_be_executed_leaves_it_due() -> None:
    engine = InMemory()
    action = engine.approved()
    engine.wait(60)
    engine.ask_to_execute(action)
    assert answer(engine.vote(action, "f3")) == "action_closed"
    assert engine.action(action).due_at == engine.world.now
