"""Which policy an action falls under, what it asks for, and which policies are refused."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain import choosing, policy
from domain.action_type import ActionType
from domain.definitions import Definitions, Versioned
from domain.policy import DEFAULT_POLICY, Policy, Rules
from domain.quorum_tree import Need, People
from domain.refusals import Code, Refusal
from domain.requirement import EscalationStep
from workers import definition_files
from workers.definition_files import DefinitionFileError

ONE_ADMIN = {"type": "role", "value": {"role": "ops_admin", "min_votes": 1}}
SHIPPED = definition_files.shipped()


def make(
    name: str = "A", criteria: dict[str, Any] | None = None, rules: dict[str, Any] | None = None, **more: Any
) -> Policy:
    asked = {"required_quorum": ONE_ADMIN} | (rules or {})
    return Policy.model_validate({"name": name, "criteria": criteria or {}, "policy": asked, **more})


def definitions(*policies: Policy) -> Definitions:
    return Definitions(policies=tuple(Versioned(1, item) for item in policies))


def chosen(found: Definitions, **facts: Any) -> str:
    answer = choosing.choose(found, facts)
    return answer.code.value if isinstance(answer, Refusal) else answer.definition.name


def shipped(name: str) -> Policy:
    return next(item for _, item in SHIPPED if isinstance(item, Policy) and item.name == name)


@pytest.mark.parametrize(
    ("name", "criteria", "role", "votes", "ratio", "timeout", "escalates_to", "auto_execute", "priority"),
    [
        (
            "High Value Payout",
            {"action_type": "PAUSE_PAYOUT", "params.amount": {"$gte": 1_000_000}},
            "finance_ops",
            2,
            "0.75",
            14400,
            "pay_admin",
            False,
            100,
        ),
        ("Merchant Freeze", {"action_type": "FREEZE_MERCHANT"}, "pay_admin", 2, "0.66", 7200, "ops_admin", False, 90),
        ("Low Risk Action", {"risk_level": "low"}, "ops_admin", 1, "0.50", 3600, None, True, 50),
    ],
)
def test_a_shipped_policy_says_what_the_table_of_the_spec_says(
    name: str,
    criteria: dict[str, Any],
    role: str,
    votes: int,
    ratio: str,
    timeout: int,
    escalates_to: str | None,
    *,
    auto_execute: bool,
    priority: int,
) -> None:
    found = shipped(name)
    assert found.criteria == criteria
    assert (found.priority, found.enabled) == (priority, True)
    assert found.policy.tree == Need(count=votes, people=People(role=role))
    assert (found.policy.required_ratio, found.policy.timeout_seconds) == (Decimal(ratio), timeout)
    assert (found.policy.escalation_role, found.policy.auto_execute) == (escalates_to, auto_execute)
    steps = (EscalationStep(role=escalates_to, timeout_seconds=timeout),) if escalates_to else ()
    assert found.policy.terms(None, None, None).escalation == steps


def test_the_policies_of_the_spec_are_all_that_is_shipped() -> None:
    names = {item.name for _, item in SHIPPED if isinstance(item, Policy)}
    assert names == {"High Value Payout", "Merchant Freeze", "Low Risk Action"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"action_type": "PAUSE_PAYOUT", "risk_level": "medium", "params": {"amount": 1_000_000}}, "High Value Payout"),
        ({"action_type": "PAUSE_PAYOUT", "risk_level": "medium", "params": {"amount": 999_999}}, "Default"),
        ({"action_type": "PAUSE_PAYOUT", "risk_level": "low", "params": {"amount": 999_999}}, "Low Risk Action"),
        ({"action_type": "PAUSE_PAYOUT", "risk_level": "low", "params": {}}, "Low Risk Action"),
        (
            {"action_type": "PAUSE_PAYOUT", "risk_level": "low", "params": {"amount": "2000000"}},
            "criteria_type_mismatch",
        ),
        ({"action_type": "PAUSE_PAYOUT", "risk_level": "low", "params": {"amount": None}}, "criteria_type_mismatch"),
        ({"action_type": "OTHER", "risk_level": "low", "params": {"amount": "2000000"}}, "Low Risk Action"),
        ({"action_type": "FREEZE_MERCHANT", "risk_level": "low", "params": {}}, "Merchant Freeze"),
    ],
)
def test_the_shipped_policies_are_chosen_by_what_an_action_is(facts: dict[str, Any], expected: str) -> None:
    found = definitions(*(item for _, item in SHIPPED if isinstance(item, Policy)))
    assert chosen(found, **facts) == expected


def test_by_default_two_ops_admin_must_agree() -> None:
    answer = choosing.choose(Definitions(), {})
    assert isinstance(answer, Versioned)
    assert (answer.version, answer.definition) == (0, DEFAULT_POLICY)
    rules = answer.definition.policy
    assert rules.tree == Need(count=2, people=People(role="ops_admin"))
    assert (rules.required_ratio, rules.timeout_seconds, rules.auto_execute) == (Decimal("0.60"), 86400, False)


def test_the_highest_priority_wins_and_of_equal_ones_the_first_name() -> None:
    assert chosen(definitions(make("A", priority=1), make("B", priority=2))) == "B"
    assert chosen(definitions(make("C"), make("B"), make("D"))) == "B"
    assert chosen(definitions(make("B", {"origin": "sira"}, priority=200), make("A")), origin="alert") == "A"


def test_a_mistaken_type_refuses_instead_of_falling_through_to_a_weaker_policy() -> None:
    strict = make("strict", {"params.x": {"$gte": 5}, "origin": "sira"}, priority=200)
    found = definitions(strict, make("weak"))
    assert chosen(found, origin="sira", params={"x": "7"}) == Code.CRITERIA_TYPE_MISMATCH
    assert chosen(found, origin="alert", params={"x": "7"}) == "weak"  # it would not have matched anyway
    assert chosen(definitions(strict.model_copy(update={"priority": 1}), make("weak")), params={"x": "7"}) == "weak"
    answer = choosing.choose(found, {"origin": "sira", "params": {"x": "7"}})
    assert isinstance(answer, Refusal)
    assert "'strict'" in answer.detail
    assert "params.x" in answer.detail
    assert "7" not in answer.detail


@pytest.mark.parametrize(
    "rules",
    [
        {"required_ratio": 0.4},
        {"required_ratio": 0},
        {"required_ratio": 1.1},
        {"required_ratio": None},
        {"required_ratio": True},
        {"required_ratio": "NaN"},
        {"timeout_seconds": 0},
        {"timeout_seconds": True},
        {"timeout_seconds": None},
        {"timeout_seconds": 2**40},  # no calendar reaches that far
        {"execute_within_seconds": 0},
        {"execute_within_seconds": 2**40},
        {"required_quorum": None},
        {"required_quorum": {}},
        {"required_quorum": {"type": "role", "value": {"role": "ops_admin", "min_votes": 0}}},
        {"escalation_role": ""},
        {"escalation_role": "*"},
        {"auto_execute": "yes"},
        {"auto_execute": 1},
        {"veto_role": "cfo"},
    ],
)
def test_rules_that_would_fail_open_are_errors(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(rules=rules)


def test_a_quorum_must_not_be_left_out() -> None:
    with pytest.raises(ValidationError, match="required_quorum"):
        Rules.model_validate({})


@pytest.mark.parametrize(
    "criteria",
    [
        {"amount": 5},
        {"action_type.x": "A"},
        {"status": "approved"},
        {"params.x": {"$foo": 1}},
        {"risk_level": {"$gte": "high"}},
        {"params.x": {"$gte": float("nan")}},
        {"$or": [{"origin": "sira"}, {"amount": 5}]},
        {"amount": {"$not": {"$gte": 5}}},
        {"risk_level": {"$not": {"$gte": "high"}}},
        {"$nor": [{"risk_level": {"$lt": "high"}}]},
        {"origin": 5},
        {"target_tenant_id": {"$in": [7, 8]}},
        {"created_by": {"$elemMatch": {"$eq": "eve"}}},
    ],
)
def test_criteria_that_an_action_cannot_answer_are_errors(criteria: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(criteria=criteria)


@pytest.mark.parametrize(
    "more", [{"enabled": "no"}, {"priority": "high"}, {"priority": 1.5}, {"name": ""}, {"mode": 1}]
)
def test_other_fields_of_a_policy_are_checked_too(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**{"name": "A"} | more)


@pytest.mark.parametrize("operand", ["2025-02-01", ".nan", ".inf", "!!set {a, b}", "{$gte: .inf}", "5", "text"])
def test_a_policy_that_a_file_may_hold_can_be_read_back_from_the_database(operand: str) -> None:
    """What is stored is JSON; a version that cannot be read back would stop every worker for good."""
    text = f"policies: [{{name: A, criteria: {{params.x: {operand}}}, policy: {{required_quorum: {{type: none}}}}}}]"
    try:
        ((_, found),) = definition_files.parse(text, "a.yaml")
    except DefinitionFileError:
        return  # refused at the door: nothing is stored
    assert Policy.model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    "text", ["policies: 5", "policies: yes", "policies: [1]", "rules: []", "[]", "", "policies: [", "a: 1"]
)
def test_a_file_that_is_not_understood_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(DefinitionFileError, match=r"a\.yaml"):
        definition_files.parse(text, "a.yaml")


@pytest.mark.parametrize(
    ("by_policy", "by_message", "expected"),
    [
        *((False, message, False) for message in (None, False, True)),
        *((True, message, message is not False) for message in (None, False, True)),
        *((None, message, message is True) for message in (None, False, True)),
    ],
)
def test_it_executes_by_itself_only_if_neither_side_says_no(
    by_policy: bool | None, by_message: bool | None, *, expected: bool
) -> None:
    assert policy.effective_auto_execute(by_policy, by_message) is expected


def test_who_wants_no_approval_says_so() -> None:
    assert make(rules={"required_quorum": {"type": "none"}}).policy.tree is None


def test_the_newest_version_is_in_force_and_none_where_it_is_disabled() -> None:
    old, new = make("A", {"origin": "sira"}, priority=9), make("A", {"origin": "alert"}, priority=9)
    off = make("B", priority=99, enabled=False)
    found = Definitions(policies=(Versioned(2, new), Versioned(1, old), Versioned(1, make("B")), Versioned(2, off)))
    assert [(item.version, item.definition.name) for item in found.policies_in_force] == [(2, "A")]
    assert (chosen(found, origin="alert"), chosen(found, origin="sira")) == ("A", "Default")


def test_an_action_keeps_the_version_of_its_type() -> None:
    old, new = (ActionType(name="X", service="s", path=path) for path in ("/old", "/new"))
    found = Definitions(action_types=(Versioned(1, old), Versioned(2, new)))
    assert found.action_types_in_force["X"] == Versioned(2, new)
    assert found.action_type("X", 1) == old


@pytest.mark.parametrize("change", [{"minimum_risk_level": "none"}, {"max_attempts": 0}, {"path": "x"}])
def test_an_action_type_that_could_not_be_executed_is_an_error(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ActionType.model_validate({"name": "X", "service": "s", "path": "/x"} | change)
