"""Trying again, saying what became of a call, rolling back: actions like all others, carried out on another action."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.action_type import LEASE_MARGIN_SECONDS
from domain.definitions import Definitions, Versioned
from domain.engine import step
from domain.executing import Perform
from domain.internal import made_by
from domain.internal_types import INTERNAL_TYPES
from domain.messages import CancelAction
from domain.outcome import Done, Rejected, Retry, Unknown
from domain.policy import Policy
from domain.trail import verify
from tests.unit.in_memory import HOUR, RULES, InMemory, answer, directory
from workers import definition_files
from workers.definition_files import DefinitionFileError

ADMINS = {
    "admin": ["ops_admin"],
    "admin-2": ["ops_admin"],
    "admin-3": ["ops_admin"],
    "f1": ["finance_ops"],
    "f2": ["finance_ops"],
}


class Company(InMemory):
    """Top-ups need finance_ops; what is done about them needs two ops_admin."""

    def __init__(self, **action_type: Any) -> None:
        super().__init__(action_type={"guarantee": "neither", "max_attempts": 2} | action_type)
        only = Policy.model_validate({"name": "P", "criteria": {"action_type": "TOP_UP"}, "policy": RULES})
        kinds = self.world.definitions.action_types
        self.world.definitions = Definitions(policies=(Versioned(1, only),), action_types=kinds)
        self.world.directory = directory(ADMINS)
        self._token = 0

    def ended(self, *outcomes: Done | Rejected | Unknown, **asked: Any) -> UUID:
        """A top-up whose attempts came to this."""
        action = self.approved(**asked)
        assert answer(self.ask_to_execute(action)) == "applied"
        for outcome in outcomes:
            self.try_at(action)
            self.finish(action, self._token, outcome)
        return action

    def try_at(self, action: UUID) -> str:
        self._token += 1
        told = self.start(action, self._token)
        if told == "applied" and self.action(action).action_type in INTERNAL_TYPES:
            return answer(step(self.world, Perform(action, self._token)))
        return told

    def ask(self, kind: str, subject: UUID, **more: Any) -> str:
        """Ask for something to be done about an action, in a message."""
        params = {"action_id": str(subject), "reason": "we looked into it"} | more.pop("params", {})
        wanted = {"action_type": kind, "params": params, "idempotency_key": None, "created_by": "ops-console"} | more
        self.told = self.create(wanted)
        return answer(self.told)

    def agreed(self, kind: str, subject: UUID, **params: Any) -> UUID:
        """Have it agreed, and its execution asked for; the id of the action that is to do it."""
        assert self.ask(kind, subject, params=params) == "applied"
        action = self.told.action_id
        assert action is not None
        for person in ("admin", "admin-2"):
            assert answer(self.vote(action, person)) == "applied"
        assert answer(self.ask_to_execute(action, "admin-3")) == "applied"
        return action

    def do(self, kind: str, subject: UUID, **params: Any) -> UUID:
        """Have it agreed and executed; the id of the action that did it."""
        action = self.agreed(kind, subject, **params)
        assert self.try_at(action) == "applied"
        return action

    def cut_off(self, kind: str, subject: UUID) -> UUID:
        """Have it agreed and begun, by a worker that says no more; the id of the action that was to do it."""
        action = self.agreed(kind, subject)
        assert self.start(action, 90) == "applied"
        self.wait(60)
        self.sweep(action)
        return action


REMEDY = {"agent_id": "agent-1", "amount": 5, "alert_id": "a-1"}
FAILED, KNOWN, UNKNOWN = (Rejected("no"),), (Done({"balance": 5}),), (Unknown("timeout"),)


def test_a_failed_action_is_tried_again_once_people_agree_with_attempts_as_for_the_first_time() -> None:
    engine = Company()
    action = engine.ended(*FAILED)
    retry = engine.do("RETRY", action)
    assert (engine.status(retry), engine.status(action)) == ("executed", "approved")
    assert engine.action(retry).caused_by == action
    assert engine.action(retry).result == {"action_id": str(action), "status": "approved"}
    assert engine.action(retry).target_tenant_type == "action"
    assert engine.action(action).executable_at(engine.world.now)
    assert engine.try_at(action) == "applied"
    engine.finish(action, engine._token, Done())
    assert engine.status(action) == "executed"
    assert engine.events(action)[-4:] == ["failed", "retry_scheduled", "executing", "executed"]
    assert engine.events(retry)[-2:] == ["executing", "executed"]


def test_what_is_tried_again_has_as_many_attempts_and_as_short_pauses_as_the_first_time() -> None:
    engine = Company(max_attempts=3)
    action = engine.ended()

    def busy() -> list[float]:
        pauses = []
        while engine.status(action) == "approved":
            assert engine.try_at(action) == "applied"
            engine.finish(action, engine._token, Retry("busy"))
            next_at = engine.action(action).next_attempt_at or engine.world.now
            pauses.append((next_at - engine.world.now).total_seconds())
            engine.wait(pauses[-1])
        return pauses

    first = busy()
    engine.do("RETRY", action)
    again = busy()
    for pauses in (first, again):
        assert [0.8 * most <= pause <= most for pause, most in zip(pauses, (2, 4, 0), strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("become", "told"),
    [
        (None, "requested"),
        (UNKNOWN, "outcome_unknown"),
        (KNOWN, "executed"),
        (FAILED, None),
        ("cancelled", None),
        ("expired", None),
    ],
)
def test_what_failed_for_an_alert_is_not_tried_again_while_another_may_remedy_it_or_has(
    become: tuple[Done | Rejected | Unknown] | str | None, told: str | None
) -> None:
    engine = Company()
    first = engine.ended(*FAILED, params=REMEDY)
    if isinstance(become, tuple):
        other = engine.ended(*become, params=REMEDY, idempotency_key="other")
    else:
        other = engine.created({"params": REMEDY, "idempotency_key": "other"})
    if become == "cancelled":
        engine.tell(CancelAction(action_id=other, cancelled_by="sira-system"))
    if become == "expired":  # and no sweep comes
        engine.wait(2 * HOUR)
    retry = engine.agreed("RETRY", first)
    assert engine.try_at(retry) == "applied"
    assert (engine.status(retry), engine.status(first)) == (("failed", "failed") if told else ("executed", "approved"))
    if told:
        assert engine.action(retry).error == (
            f"Action {other} is for the same alert; it is {told}. Ask again if that comes to nothing; "
            "if the alert takes more, ask for an action of its own."
        )


def test_what_failed_for_one_alert_is_tried_again_whatever_is_done_about_another() -> None:
    engine = Company()
    first = engine.ended(*FAILED, params=REMEDY)
    engine.ended(*KNOWN, params=REMEDY | {"alert_id": "a-2"}, idempotency_key="other")
    assert engine.status(engine.do("RETRY", first)) == "executed"
    assert engine.status(first) == "approved"


@pytest.mark.parametrize(
    ("found", "status", "state"),
    [("executed", "executed", "succeeded"), ("failed", "failed", "rejected"), ("approved", "approved", "retry")],
)
def test_an_unknown_outcome_is_settled_as_people_found_it(found: str, status: str, state: str) -> None:
    engine = Company()
    action = engine.ended(*UNKNOWN)
    engine.wait(10 + LEASE_MARGIN_SECONDS)
    resolved = engine.do("RESOLVE_OUTCOME", action, outcome=found)
    assert (engine.status(resolved), engine.status(action)) == ("executed", status)
    assert engine.action(resolved).result == {"action_id": str(action), "status": status}
    assert engine.world.attempts[action][1].state == state
    events = [event for event in engine.world.changes.events if event.action_id == action]
    verify(events)
    assert events[-1].data["agreed_in"] == str(resolved)
    assert engine.events(action)
    if found == "approved":
        assert engine.try_at(action) == "applied"


def test_what_happened_in_an_earlier_attempt_is_settled_as_that_attempts_doing() -> None:
    engine = Company(guarantee="deduplicates", max_attempts=2)
    action = engine.approved()
    engine.ask_to_execute(action)
    for outcome in (Unknown("timeout"), Rejected("the key is in use")):
        engine.wait(60)
        engine.try_at(action)
        engine.finish(action, engine._token, outcome)
    assert engine.status(action) == "outcome_unknown"
    engine.do("RESOLVE_OUTCOME", action, outcome="executed", result={"balance": 5})
    assert engine.status(action) == "executed"
    assert [item.state.value for item in engine.world.attempts[action].values()] == ["succeeded", "rejected"]
    assert engine.action(action).result == {"balance": 5}


def test_what_is_found_out_later_does_not_change_when_an_attempt_was_over() -> None:
    engine = Company(guarantee="deduplicates")
    action = engine.ended(*UNKNOWN)
    engine.wait(10)
    engine.try_at(action)
    engine.finish(action, engine._token, Rejected("no"))
    engine.wait(10 + LEASE_MARGIN_SECONDS)
    engine.do("RESOLVE_OUTCOME", action, outcome="executed")
    first, second = engine.world.attempts[action].values()
    assert first.state == "succeeded"
    assert first.finished_at is not None
    assert first.finished_at < second.started_at


def test_that_nothing_happened_is_not_said_while_it_may_still_happen() -> None:
    engine = Company(timeout_seconds=300)
    action = engine.ended(*UNKNOWN)
    wait_seconds = 300 + LEASE_MARGIN_SECONDS
    resolved = engine.do("RESOLVE_OUTCOME", action, outcome="approved")
    assert (engine.status(resolved), engine.status(action)) == ("approved", "outcome_unknown")
    assert engine.action(resolved).next_attempt_at == engine.world.now + timedelta(seconds=wait_seconds)
    engine.wait(wait_seconds - 1)
    late = engine.do("RESOLVE_OUTCOME", action, outcome="failed")
    assert (engine.status(late), engine.status(action)) == ("approved", "outcome_unknown")
    engine.wait(1)
    assert engine.try_at(resolved) == "applied"
    assert (engine.status(resolved), engine.status(action)) == ("executed", "approved")


def test_what_happened_is_rolled_back_by_an_action_of_its_own_which_its_own_policy_decides_on() -> None:
    inverse = {"action_type": "TOP_UP", "copies": ["agent_id"], "params": {"amount": -5}}
    engine = Company(inverse=inverse)
    action = engine.ended(*KNOWN)
    rolled = engine.do("ROLL_BACK", action)
    assert engine.status(rolled) == "executed"
    (undone,) = [item for item in engine.world.actions.values() if item.caused_by == action and item.id != rolled]
    assert (undone.action_type, undone.params) == ("TOP_UP", {"agent_id": "agent-1", "amount": -5})
    assert (undone.status, undone.issuer, undone.created_by) == ("requested", "ops-approval", "ops-console")
    assert engine.action(rolled).result == {"action_id": str(action), "rolled_back_by": str(undone.id)}
    assert undone.id == made_by(rolled) != made_by(action)
    assert undone.idempotency_key == str(rolled)
    assert answer(engine.vote(undone.id, "admin")) == "not_eligible"
    assert answer(engine.vote(undone.id, "f1")) == "applied"
    again = engine.do("ROLL_BACK", action)
    assert engine.status(again) == "failed"
    assert "already" in (engine.action(again).error or "")


def test_what_was_to_roll_back_and_came_to_nothing_in_time_is_asked_for_again_swept_or_not() -> None:
    engine = Company(inverse={"action_type": "TOP_UP", "copies": ["agent_id"], "params": {"undo": True}})
    action = engine.ended(*KNOWN)
    first = made_by(engine.do("ROLL_BACK", action))
    second = engine.agreed("ROLL_BACK", action)
    engine.wait(3 * HOUR)
    engine.try_at(second)
    assert (engine.status(second), engine.status(first)) == ("executed", "expired")
    assert engine.status(made_by(second)) == "requested"
    assert engine.events(first)[-1] == "expired"


def test_what_may_still_roll_back_once_its_time_has_come_is_not_made_twice() -> None:
    """The deadline passes, unswept, and with it an escalation step begins for which the votes are enough."""
    engine = Company(inverse={"action_type": "TOP_UP", "copies": ["agent_id"], "params": {"undo": True}})
    engine.world.directory = directory(ADMINS | {"f1": ["finance_ops", "cfo"]})
    rules = RULES | {"escalation": [{"role": "cfo", "min_votes": 1, "timeout_seconds": HOUR}]}
    del rules["escalation_role"]
    later = Policy.model_validate({"name": "Q", "criteria": {"params.undo": True}, "policy": rules, "priority": 900})
    found = engine.world.definitions
    engine.world.definitions = Definitions((*found.policies, Versioned(1, later)), found.action_types)
    action = engine.ended(*KNOWN)
    inverse = made_by(engine.do("ROLL_BACK", action))
    engine.vote(inverse, "f1")
    second = engine.agreed("ROLL_BACK", action)
    engine.wait(HOUR)
    engine.try_at(second)
    assert (engine.status(second), engine.status(inverse)) == ("failed", "approved")
    assert "rolls it back already; it is approved" in (engine.action(second).error or "")


def test_what_failed_to_roll_back_is_tried_again_and_not_made_twice() -> None:
    engine = Company(inverse={"action_type": "TOP_UP", "copies": ["agent_id"], "params": {"amount": -5}})
    action = engine.ended(*KNOWN)
    inverse = UUID((engine.action(engine.do("ROLL_BACK", action)).result or {})["rolled_back_by"])
    for person in ("f1", "f2"):
        engine.vote(inverse, person)
    engine.ask_to_execute(inverse, "admin-3")
    engine.try_at(inverse)
    engine.finish(inverse, engine._token, Rejected("no"))
    again = engine.do("ROLL_BACK", action)
    assert engine.status(again) == "failed"
    assert "RETRY" in (engine.action(again).error or "")
    engine.do("RETRY", inverse)
    assert engine.status(inverse) == "approved"


@pytest.mark.parametrize("params", [{"amount": -5}, {"amount": -5, "agent_id": "agent-1"}])
def test_what_took_back_is_not_undone_by_taking_back_again(params: dict[str, Any]) -> None:
    engine = Company(inverse={"action_type": "TOP_UP", "copies": ["agent_id"], "params": params})
    taken_back = engine.approved(params={"agent_id": "agent-1", "amount": -5})
    engine.ask_to_execute(taken_back)
    engine.try_at(taken_back)
    engine.finish(taken_back, engine._token, Done())
    rolled = engine.do("ROLL_BACK", taken_back)
    assert engine.status(rolled) == "failed"
    assert len(engine.world.actions) == 2


def test_rolling_back_comes_from_where_it_was_asked_for() -> None:
    """A policy may ask less of what systems want among themselves; this is a person's wish."""
    engine = Company(inverse={"action_type": "TOP_UP", "copies": ["agent_id"], "params": {"amount": -5}})
    rules = {"required_quorum": {"type": "none"}, "auto_execute": True}
    easy = Policy.model_validate({"name": "Q", "criteria": {"origin": "system"}, "policy": rules, "priority": 999})
    found = engine.world.definitions
    engine.world.definitions = Definitions((*found.policies, Versioned(1, easy)), found.action_types)
    asked = {"origin": "ops_ui", "created_by": "admin-3", "triggered_by": "alert-7"}
    assert engine.ask("ROLL_BACK", engine.ended(*KNOWN), **asked) == "applied"
    rolled = engine.told.action_id
    assert rolled is not None
    for person in ("admin", "admin-2"):
        engine.vote(rolled, person)
    engine.ask_to_execute(rolled, "admin-3")
    engine.try_at(rolled)
    inverse = engine.action(UUID((engine.action(rolled).result or {})["rolled_back_by"]))
    assert (inverse.origin, inverse.status) == ("ops_ui", "requested")
    assert {"admin-3", "alert-7"} <= {*inverse.requirement.excluded}


def test_what_names_no_inverse_is_not_rolled_back() -> None:
    engine = Company()
    rolled = engine.do("ROLL_BACK", engine.ended(*KNOWN))
    assert engine.status(rolled) == "failed"
    assert len(engine.world.actions) == 2


@pytest.mark.parametrize(
    ("kind", "outcomes", "expected"),
    [
        ("RETRY", FAILED, "applied"),
        ("RETRY", KNOWN, "subject_not_in_state"),
        ("RETRY", UNKNOWN, "subject_not_in_state"),
        ("RETRY", (), "subject_not_in_state"),
        ("RESOLVE_OUTCOME", UNKNOWN, "applied"),
        ("RESOLVE_OUTCOME", KNOWN, "subject_not_in_state"),
        ("ROLL_BACK", KNOWN, "applied"),
        ("ROLL_BACK", FAILED, "subject_not_in_state"),
    ],
)
def test_only_what_can_be_done_is_asked_for(
    kind: str, outcomes: tuple[Done | Rejected | Unknown, ...], expected: str
) -> None:
    engine = Company()
    params = {"outcome": "failed"} if kind == "RESOLVE_OUTCOME" else {}
    assert engine.ask(kind, engine.ended(*outcomes), params=params) == expected
    assert engine.ask(kind, uuid4(), params=params) == "subject_not_in_state"


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("RETRY", {"action_id": "no id"}),
        ("RETRY", {"action_id": 5}),
        ("RETRY", {"reason": ""}),
        ("RETRY", {"outcome": "executed"}),
        ("RESOLVE_OUTCOME", {}),
        ("RESOLVE_OUTCOME", {"outcome": "cancelled"}),
        ("RESOLVE_OUTCOME", {"outcome": "executed", "result": 5}),
        ("RESOLVE_OUTCOME", {"outcome": "executed", "attempt": 0}),
        ("RESOLVE_OUTCOME", {"outcome": "executed", "attempt": "1"}),
        ("RESOLVE_OUTCOME", {"outcome": "executed", "attempt": True}),
        ("RESOLVE_OUTCOME", {"outcome": "executed", "attempt": None}),
    ],
)
def test_what_is_asked_for_must_be_said_wholly(kind: str, params: dict[str, Any]) -> None:
    engine = Company()
    assert engine.ask(kind, engine.ended(*UNKNOWN), params=params) == "invalid_params"


def test_what_changed_meanwhile_is_left_alone() -> None:
    engine = Company()
    action = engine.ended(*FAILED)
    first, second = engine.do("RETRY", action), None
    assert engine.status(first) == "executed"
    assert engine.ask("RETRY", action) == "subject_not_in_state"
    engine.try_at(action)
    engine.finish(action, engine._token, Rejected("no"))
    assert engine.ask("RETRY", action) == "applied"
    second = engine.told.action_id
    third = engine.do("RETRY", action)
    assert engine.status(third) == "executed"
    assert second is not None
    for person in ("admin", "admin-2"):
        engine.vote(second, person)
    engine.ask_to_execute(second, "admin-3")
    engine.try_at(second)
    assert engine.status(second) == "failed"
    assert engine.status(action) == "approved"


@pytest.mark.parametrize(("kind", "outcomes"), [("RETRY", FAILED), ("RESOLVE_OUTCOME", UNKNOWN)])
def test_what_was_agreed_about_one_attempt_is_not_said_of_the_next(
    kind: str, outcomes: tuple[Rejected | Unknown, ...]
) -> None:
    engine = Company()
    action = engine.ended(*outcomes)
    engine.wait(HOUR)
    params = {"outcome": "failed"} if kind == "RESOLVE_OUTCOME" else {}
    assert engine.ask(kind, action, params=params) == "applied"
    late = engine.told.action_id
    assert late is not None
    engine.do(kind, action, **({"outcome": "approved"} if params else {}))
    engine.wait(1)
    engine.try_at(action)
    engine.finish(action, engine._token, *outcomes)
    engine.wait(60)
    for person in ("admin", "admin-2"):
        engine.vote(late, person)
    engine.ask_to_execute(late, "admin-3")
    engine.try_at(late)
    assert engine.status(late) == "failed"
    assert "since" in (engine.action(late).error or "")
    assert engine.status(action) == ("outcome_unknown" if params else "failed")


def test_who_asked_for_something_does_not_say_what_became_of_it() -> None:
    engine = Company()
    action = engine.approved(created_by="admin")
    engine.ask_to_execute(action, "admin-3")
    engine.try_at(action)
    engine.finish(action, engine._token, Unknown("timeout"))
    assert engine.ask("RESOLVE_OUTCOME", action, params={"outcome": "failed"}) == "applied"
    resolution = engine.told.action_id
    assert resolution is not None
    assert answer(engine.vote(resolution, "admin")) == "separation_of_duties"
    assert answer(engine.vote(resolution, "admin-2")) == "applied"


def test_nobody_defines_an_action_type_of_the_engines_own() -> None:
    text = "action_types: [{name: RETRY, service: x, path: /x}]"
    with pytest.raises(DefinitionFileError, match="own action type"):
        definition_files.parse(text, "x.yaml")


def test_a_step_that_was_cut_off_is_done_once_it_is_tried_again() -> None:
    engine = Company()
    action = engine.ended(*FAILED)
    retry = engine.cut_off("RETRY", action)
    engine.wait(60)
    assert answer(step(engine.world, Perform(retry, 90))) == "stale_token"
    assert engine.status(action) == "failed"
    engine._token = 91
    assert engine.try_at(retry) == "applied"
    assert (engine.status(retry), engine.status(action)) == ("executed", "approved")


def test_a_step_that_was_cut_off_and_not_tried_again_in_time_has_failed_for_certain() -> None:
    engine = Company()
    action = engine.ended(*FAILED)
    retry = engine.cut_off("RETRY", action)
    assert engine.status(retry) == "approved"
    engine.wait(3 * HOUR)
    engine.sweep(retry)
    assert (engine.status(retry), engine.status(action)) == ("failed", "failed")


def test_the_engine_carries_out_nothing_but_its_own_types() -> None:
    engine = Company()
    action = engine.approved()
    engine.ask_to_execute(action)
    engine.start(action, 1)
    assert answer(step(engine.world, Perform(action, 1))) == "applied"
    assert engine.status(action) == "failed"


@pytest.mark.parametrize(
    "quorum",
    [{"type": "none"}, {"type": "role", "value": {"role": "finance_ops", "min_votes": 1}}],
    ids=["nobody", "one"],
)
def test_a_policy_that_lets_one_person_alone_is_not_for_what_the_engine_does_itself(quorum: dict[str, Any]) -> None:
    company = Company()
    unknown = company.ended(Unknown("no answer"))
    rules = {"required_quorum": quorum, "auto_execute": True}
    everything = Policy.model_validate({"name": "Everything", "criteria": {}, "policy": rules, "priority": 900})
    kinds = company.world.definitions.action_types
    company.world.definitions = Definitions(policies=(Versioned(1, everything),), action_types=kinds)
    assert company.ask("RESOLVE_OUTCOME", unknown, params={"outcome": "executed"}) == "applied"
    assert company.told.action_id is not None
    asked = company.action(company.told.action_id)
    assert (asked.policy_name, asked.status, asked.auto_execute) == ("Default", "requested", False)


@pytest.mark.parametrize("asked", ["RETRY", "RESOLVE_OUTCOME"])
def test_what_is_to_be_tried_again_ends_by_itself_when_nobody_comes_to_that(asked: str) -> None:
    engine = Company()
    action = engine.ended(Rejected("no") if asked == "RETRY" else Unknown("timeout"))
    engine.wait(HOUR)
    engine.do(asked, action, **({} if asked == "RETRY" else {"outcome": "approved"}))
    assert engine.status(action) == "approved"
    engine.wait(30 * 24 * HOUR)
    assert engine.sweep(action) == "applied"
    assert engine.status(action) == "failed"
    assert engine.try_at(action) == "not_approved"
