"""Definitions change once people agreed: what may be asked for, by whom, and what comes into force."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from domain.definitions import Definitions, Versioned
from domain.engine import step
from domain.executing import Perform
from domain.keys import Scope
from domain.policy import Policy
from tests.unit.in_memory import RULES, WHOLE, InMemory, answer, directory

ADMINS = {
    "admin": ["ops_admin"],
    "admin-2": ["ops_admin"],
    "admin-3": ["ops_admin"],
    "f1": ["finance_ops"],
    "f2": ["finance_ops"],
}
ASKING = WHOLE.model_copy(update={"types": ("CreateAction",), "action_types": ("CHANGE_DEFINITION",)})


def policy(**changes: Any) -> dict[str, Any]:
    """A policy for top-ups, written in full."""
    document = {"name": "P", "criteria": {"action_type": "TOP_UP"}, "policy": RULES} | changes
    return Policy.model_validate(document).model_dump(mode="json")


def needing(count: int, role: str = "finance_ops") -> dict[str, Any]:
    return RULES | {"required_quorum": {"type": "role", "value": {"role": role, "min_votes": count}}}


class Company(InMemory):
    """Top-ups need two of finance_ops, by version 1 of policy P."""

    def __init__(self, **others: dict[str, Any]) -> None:
        super().__init__()
        policies = [policy(), *(policy(name=name, **changes) for name, changes in others.items())]
        self.world.definitions = Definitions(
            policies=tuple(Versioned(1, Policy.model_validate(item)) for item in policies),
            action_types=self.world.definitions.action_types,
        )
        self.world.directory = directory(ADMINS)
        self._token = 0

    def ask(self, name: str = "P", *, replaces: int, definition: Any, scope: Scope = ASKING, **more: Any) -> str:
        params = {"kind": "policy", "name": name, "replaces": replaces, "definition": definition, "reason": "we grew"}
        body = {"action_type": "CHANGE_DEFINITION", "idempotency_key": None, "origin": "ops_ui", "created_by": "f1"}
        self.told = self.create(body | {"params": params | more.pop("params", {})} | more, scope=scope)
        return answer(self.told)

    def asked(self, name: str = "P", **more: Any) -> UUID:
        assert self.ask(name, **more) == "applied", self.told
        assert self.told.action_id is not None
        return self.told.action_id

    def agree(self, action: UUID, *people: str) -> None:
        for person in people or ("admin", "admin-2"):
            assert answer(self.vote(action, person)) == "applied"
        assert answer(self.ask_to_execute(action, "admin-3")) == "applied"

    def perform(self, action: UUID) -> str:
        self._token += 1
        assert self.start(action, self._token) == "applied"
        assert answer(step(self.world, Perform(action, self._token))) == "applied"
        return self.status(action)

    def change(self, name: str = "P", **more: Any) -> str:
        action = self.asked(name, **more)
        self.agree(action)
        return self.perform(action)

    def votes_for(self, action: UUID) -> str:
        """Which policy an action has, and of which version."""
        return f"{self.action(action).policy_name} {self.action(action).policy_version}"


def test_a_change_that_people_agreed_to_is_in_force_for_what_is_created_then_and_touches_nothing_else() -> None:
    engine = Company()
    before = engine.created()
    untouched = engine.action(before)
    change = engine.asked(replaces=1, definition=policy(policy=needing(3)))
    meanwhile = engine.created({"idempotency_key": "k2"})
    engine.agree(change)
    assert engine.perform(change) == "executed"
    after = engine.created({"idempotency_key": "k3"})
    assert [engine.votes_for(action) for action in (before, meanwhile, after)] == ["P 1", "P 1", "P 2"]
    assert engine.action(before) == untouched
    (version,) = engine.world.changes.definitions
    assert (version.version, version.created_by, version.agreed_in) == (2, "f1", change)
    assert version.body == policy(policy=needing(3))
    assert engine.action(change).result == {"kind": "policy", "name": "P", "version": 2}
    assert engine.events(change)[-2:] == ["executing", "executed"]


def test_an_action_type_changes_and_open_actions_keep_theirs() -> None:
    engine = Company()
    before = engine.created()
    (kind,) = engine.world.definitions.action_types
    slower = kind.definition.model_copy(update={"timeout_seconds": 60}).model_dump(mode="json")
    change = {"kind": "action_type"}
    assert engine.change("TOP_UP", replaces=1, definition=slower, params=change) == "executed"
    after = engine.created({"idempotency_key": "k2"})
    timeouts = [engine.world.action_type_of(engine.action(action)).timeout_seconds for action in (before, after)]
    assert timeouts == [10, 60]
    assert engine.change("TOP_UP", replaces=2, definition=None, params=change) == "executed"
    assert answer(engine.create({"idempotency_key": "k3"})) == "unknown_action_type"
    assert engine.world.action_type_of(engine.action(after)).timeout_seconds == 60


def test_a_removed_policy_is_not_in_force_and_its_name_can_be_defined_again() -> None:
    engine = Company()
    assert engine.change(replaces=1, definition=None) == "executed"
    assert engine.votes_for(engine.created()) == "Default 0"
    assert engine.ask(replaces=2, definition=None) == "definition_changed"
    assert engine.ask(replaces=0, definition=policy()) == "definition_changed"
    assert engine.change(replaces=2, definition=policy()) == "executed"
    assert engine.votes_for(engine.created({"idempotency_key": "k2"})) == "P 3"
    assert [item.version for item in engine.world.definitions.policies] == [1, 3]


def test_of_two_changes_of_one_version_the_second_is_rejected_and_nothing_is_overwritten() -> None:
    engine = Company()
    first, second = (engine.asked(replaces=1, definition=policy(policy=needing(count))) for count in (3, 1))
    for action in (first, second):
        engine.agree(action)
    assert (engine.perform(first), engine.perform(second)) == ("executed", "failed")
    assert "is at version 2 by now" in (engine.action(second).error or "")
    (version,) = engine.world.changes.definitions
    assert version.body == policy(policy=needing(3))


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ({"name": "P"}, "params.definition.criteria"),
        (policy() | {"priorty": 5}, "params.definition.priorty"),
        (policy() | {"criteria": {"amount": {"$above": 5}}}, "unknown operator"),
        (policy(name="Q"), "params.definition.name"),
        ({name: value for name, value in policy().items() if name != "enabled"}, "in full"),
        (policy() | {"policy": RULES}, "in full"),
    ],
)
def test_a_definition_that_is_not_understood_is_refused_with_its_path(definition: Any, says: str) -> None:
    engine = Company()
    assert engine.ask(replaces=1, definition=definition) == "invalid_params"
    assert says in engine.told.sentence


@pytest.mark.parametrize(
    "params", [{"kind": "role"}, {"replaces": -1}, {"replaces": "1"}, {"reason": ""}, {"definition": []}, {"more": 1}]
)
def test_a_change_says_wholly_what_it_is(params: dict[str, Any]) -> None:
    assert Company().ask(replaces=1, definition=None, params=params) == "invalid_params"


def test_a_definition_is_written_in_full_even_where_a_field_says_nothing() -> None:
    document = policy()
    del document["created_by"]
    engine = Company()
    assert engine.ask(replaces=1, definition=document) == "invalid_params"
    assert "created_by: write it in full" in engine.told.sentence


def test_nobody_defines_an_action_type_of_the_engines_own() -> None:
    engine = Company()
    (kind,) = engine.world.definitions.action_types
    own = kind.definition.model_copy(update={"name": "RETRY"}).model_dump(mode="json")
    assert engine.ask("RETRY", replaces=0, definition=own, params={"kind": "action_type"}) == "invalid_params"
    assert "own action type" in engine.told.sentence


def test_what_is_understood_no_more_when_it_is_carried_out_changes_nothing() -> None:
    engine = Company()
    change = engine.asked(replaces=1, definition=policy(policy=needing(3)))
    engine.agree(change)
    older = policy() | {"a_field_of_an_older_release": 1}
    action = engine.action(change)
    engine.world.actions[change] = replace(action, params=action.params | {"definition": older})
    assert engine.perform(change) == "failed"
    assert "not understood" in (engine.action(change).error or "")
    assert engine.world.changes.definitions == []


def test_a_change_is_critical_and_takes_two_ops_admins_that_did_not_ask_for_it() -> None:
    engine = Company()
    change = engine.asked(replaces=1, definition=policy(policy=needing(3)), created_by="admin")
    assert (engine.action(change).risk_level, engine.votes_for(change)) == ("critical", "Default 0")
    answers = [answer(engine.vote(change, person)) for person in ("admin", "f1", "admin-2", "admin-3")]
    assert answers == ["separation_of_duties", "not_eligible", "applied", "applied"]
    assert engine.status(change) == "approved"
    assert not engine.action(change).auto_execute


def test_a_policy_may_ask_for_more_and_is_in_force_for_its_own_weakening() -> None:
    strict = {"criteria": {"action_type": "CHANGE_DEFINITION"}, "policy": needing(3, "ops_admin")}
    engine = Company(Strict=strict)
    change = engine.asked("Strict", replaces=1, definition=policy(name="Strict", **strict, enabled=False))
    assert engine.votes_for(change) == "Strict 1"
    for person in ("admin", "admin-2"):
        engine.vote(change, person)
    assert engine.status(change) == "pending_approval"
    engine.vote(change, "admin-3")
    assert engine.status(change) == "approved"


@pytest.mark.parametrize("rules", [RULES | {"required_quorum": {"type": "none"}}, needing(1, "ops_admin")])
def test_a_policy_for_everything_does_not_let_one_alone_change_the_rules(rules: dict[str, Any]) -> None:
    engine = Company(Everything={"criteria": {}, "policy": rules, "priority": 1000})
    change = engine.asked(replaces=1, definition=None)
    assert engine.votes_for(change) == "Default 0"
    assert engine.votes_for(engine.created()) == "Everything 1"


@pytest.mark.parametrize(
    "criteria",
    [
        {"params.reason": {"$gt": 5}},
        {"params.replaces": {"$ne": "none"}},
        {"params.definition": {"$gt": 5}},
        {"$or": [{"origin": "alert"}, {"params.kind": 1}]},
        {"params.name": 5},
        {"params.kind": "policy", "params.name": 5},
        {"target_tenant_type": "definition", "params.name": 5},
    ],
    ids=["text", "number", "null", "within", "name", "of policies", "of definitions"],
)
def test_a_policy_that_would_have_its_own_removal_refused_is_not_asked_for(criteria: dict[str, Any]) -> None:
    engine = Company()
    shut = policy(name="Q", criteria=criteria, priority=900)
    assert engine.ask("Q", replaces=0, definition=shut) == "invalid_params"
    assert "the removal of this policy too" in engine.told.sentence
    named = {"action_type": "TOP_UP"} | criteria
    assert engine.ask("Q", replaces=0, definition=shut | {"criteria": named}) == "applied"
    assert engine.ask("Q", replaces=0, definition=shut | {"enabled": False}) == "applied"


def test_only_a_key_that_names_it_asks_for_a_change() -> None:
    engine = Company()
    assert engine.ask(replaces=1, definition=None, scope=WHOLE) == "out_of_scope"
    everything = ASKING.model_copy(update={"action_types": ("*",)})
    assert engine.ask(replaces=1, definition=None, scope=everything) == "out_of_scope"
    assert engine.ask(replaces=1, definition=None, scope=ASKING, created_by="stranger") == "creator_not_allowed"
    assert engine.ask(replaces=1, definition=None, scope=ASKING) == "applied"


@pytest.mark.parametrize("types", [("CreateAction", "CastVote"), ("*",)])
def test_a_key_that_votes_cannot_have_it_in_its_scope(types: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="may not"):
        Scope(types=types, action_types=("CHANGE_DEFINITION",))
    Scope(types=("CastVote", "ExecuteAction"), action_types=("CHANGE_DEFINITION",))


def test_whom_a_definition_is_named_after_is_not_kept_out() -> None:
    """Its name is chosen by who asks for it, who could so keep out whoever would say no."""
    strict = {
        "criteria": {"action_type": "CHANGE_DEFINITION"},
        "policy": needing(2, "ops_admin") | {"veto_roles": ["ops_admin"]},
        "priority": 900,
    }
    engine = Company(Strict=strict)
    wanted = policy(name="admin-3", criteria={"action_type": "TOP_UP"}, policy=RULES, priority=999)
    asked = engine.asked("admin-3", replaces=0, definition=wanted)
    assert answer(engine.vote(asked, "admin-3", "reject")) == "applied"
    assert engine.status(asked) == "rejected"
