"""Doubtful remediation rules are found, sound ones are left in peace."""

from typing import Any

import pytest

from domain.action_type import ActionType
from domain.definitions import Definitions, Versioned
from domain.lint import lint
from domain.policy import Policy
from domain.remediation import RemediationRule
from domain.world import World
from tests.unit.in_memory import NOW, TYPE, directory

ADMINS = {"type": "role", "value": {"role": "ops_admin", "min_votes": 2}}
ROLES = {"a1": ["ops_admin"], "a2": ["ops_admin"], "f1": ["finance_ops"], "f2": ["finance_ops"]}


def doubts(
    rule: dict[str, Any] | None = None,
    *,
    params: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    criteria: dict[str, Any] | None = None,
    people: bool = False,
    **action_type: Any,
) -> list[tuple[str, str, str]]:
    """Codes, severities and sentences about one rule, for an action type, under one policy."""
    asked = {"action_type": "TOP_UP", "params": params or {}}
    rules = {"required_quorum": ADMINS, "auto_execute": False} | (policy or {})
    definitions = Definitions(
        policies=(Versioned(1, Policy.model_validate({"name": "P", "criteria": criteria or {}, "policy": rules})),),
        action_types=(Versioned(1, ActionType.model_validate(TYPE.model_dump() | action_type)),),
        remediation_rules=(
            Versioned(1, RemediationRule.model_validate({"name": "float_low", "auto_action": asked} | (rule or {}))),
        ),
    )
    world = World(now=NOW, audience="", directory=directory(ROLES)) if people else None
    found = [doubt for doubt in lint(definitions, world) if doubt.kind == "remediation_rule"]
    assert {doubt.name for doubt in found} <= {"float_low"}
    return [(doubt.code, doubt.severity, doubt.sentence) for doubt in found]


def codes(*rule: dict[str, Any], **changes: Any) -> list[str]:
    return [code for code, _, _ in doubts(*rule, **changes)]


MULTI = {"require_multi_sig": True}


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"auto_threshold": 0}, "always_sure_enough"),
        ({"auto_threshold": 1}, "hardly_ever_sure_enough"),
        ({"cooldown_seconds": 0}, "no_cooldown"),
        ({"approver_role": "cfo"}, "approvers_not_asked"),
        ({"required_approvals": 3}, "approvers_not_asked"),
    ],
)
def test_a_rule_that_may_not_mean_what_it_says_is_doubted(rule: dict[str, Any], code: str) -> None:
    assert codes(rule) == [code]
    assert codes(rule | {"enabled": False}) == []


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"auto_threshold": 0.01, "cooldown_seconds": 1},
        {"auto_threshold": 0.99},
        MULTI | {"approver_role": "cfo", "required_approvals": 3},
    ],
)
def test_a_sound_rule_is_left_in_peace(rule: dict[str, Any]) -> None:
    assert codes(rule) == []


def test_an_action_type_that_is_not_defined_is_told_where_all_are_known() -> None:
    misspelt = {"auto_action": {"action_type": "TOPUP"}}
    assert codes(misspelt, people=True) == ["unknown_action_type"]
    assert codes(misspelt) == [], "a file by itself need not have the types"


@pytest.mark.parametrize(
    ("schema", "params", "told"),
    [
        ({"properties": {"amount": {"type": "integer"}}}, {"amount": "5"}, "params.amount"),
        ({"properties": {"agent_id": {}}, "additionalProperties": False}, {}, "alert_id"),
        ({"properties": {"o": {"required": ["x"]}}}, {"o": {}}, "params.o"),
    ],
)
def test_params_that_can_never_be_taken_are_found(schema: dict[str, Any], params: dict[str, Any], told: str) -> None:
    ((code, severity, sentence),) = doubts(params=params, params_schema=schema)
    assert (code, severity) == ("params_never_taken", "error")
    assert told in sentence


@pytest.mark.parametrize(
    ("schema", "params"),
    [
        ({"required": ["agent_id", "amount"], "properties": {"amount": {"type": "integer"}}}, {}),
        ({"properties": {"alert_id": {"minLength": 5}, "sira_confidence": {"minimum": 0.5}}}, {}),
        (
            {
                "properties": {"agent_id": {}, "alert_id": {}, "sira_confidence": {}},
                "additionalProperties": False,
            },
            {},
        ),
        ({"if": {"not": {"required": ["x"]}}, "then": {"properties": {"amount": {"type": "string"}}}}, {"amount": 5}),
    ],
)
def test_what_sira_or_the_alert_may_bring_is_not_missed(schema: dict[str, Any], params: dict[str, Any]) -> None:
    assert codes(params=params, params_schema=schema) == []


def test_a_rule_that_names_its_target_is_for_one_target_only() -> None:
    assert codes(params={"agent_id": "agent-1"}) == ["one_target_only"]
    assert codes(params={"agent_id": "agent-1"}, target=None) == []


def test_what_nobody_need_approve_and_executes_by_itself_is_found() -> None:
    nobody = {"required_quorum": {"type": "none"}, "auto_execute": True}
    ((code, severity, sentence),) = doubts(policy=nobody, minimum_risk_level="high")
    assert (code, severity, "policy P" in sentence) == ("nobody_is_asked", "warning", True)
    assert codes(policy=nobody | {"auto_execute": None}, minimum_risk_level="critical") == ["nobody_is_asked"]
    assert codes(policy=nobody, minimum_risk_level="medium") == []
    assert codes(policy=nobody | {"auto_execute": False}, minimum_risk_level="high") == []
    assert codes(MULTI, policy=nobody, minimum_risk_level="high") == []


def test_what_a_policy_leaves_open_and_the_rule_decides_is_noted() -> None:
    ((code, severity, _),) = doubts(policy={"auto_execute": None}, minimum_risk_level="high")
    assert (code, severity) == ("execution_by_alert", "note")
    assert codes(policy={"auto_execute": True}, minimum_risk_level="high") == [], "that is the policy's own doubt"


@pytest.mark.parametrize(
    ("criteria", "falls_under_it"),
    [
        ({"action_type": "TOP_UP", "origin": "alert", "risk_level": "high"}, True),
        ({"target_tenant_type": "agent", "created_by": "sira-system"}, True),
        ({"params.reason": "low"}, True),
        ({"params.amount": {"$gte": 5}}, True),
        ({"target_tenant_id": "agent-1"}, True),
        ({"action_type": "OTHER"}, False),
        ({"origin": "ops_ui", "params.amount": {"$gte": 5}}, False),
        ({"params.reason": "high"}, False),
        ({"$nor": [{"risk_level": "high"}, {"params.amount": 1}]}, False),
        ({"$nor": [{"risk_level": "low"}, {"params.amount": 1}]}, True),
        ({"$or": [{"origin": "sira"}, {"params.amount": {"$exists": True}}]}, True),
        ({"params.amount": {"$not": {"$gte": 5}}}, True),
        ({"action_type": {"$not": {"$eq": "TOP_UP"}}}, False),
    ],
)
def test_a_rule_is_judged_by_the_policies_that_its_actions_may_fall_under(
    criteria: dict[str, Any], falls_under_it: bool
) -> None:
    nobody = {"required_quorum": {"type": "none"}, "auto_execute": True}
    found = codes(params={"reason": "low"}, policy=nobody, criteria=criteria, minimum_risk_level="high")
    assert found == (["nobody_is_asked"] if falls_under_it else [])


def test_approvers_who_are_not_there_are_found() -> None:
    assert codes(MULTI, policy={"required_quorum": {"type": "none"}}, people=True) == []
    assert codes(MULTI | {"approver_role": "cfo"}, people=True) == ["cannot_be_filled"]
    assert codes(MULTI | {"required_approvals": 3}, people=True) == ["cannot_be_filled"]
    assert codes(MULTI | {"approver_role": "cfo"}) == []


def test_approvers_are_needed_beside_those_of_the_policy() -> None:
    ((code, _, sentence),) = doubts(MULTI, people=True)
    assert code == "cannot_be_filled"
    assert "beside what policy P asks for, it would lack 2 more of ops_admin" in sentence
    assert codes(MULTI | {"approver_role": "finance_ops"}, people=True) == []
    assert codes(MULTI, criteria={"params.amount": {"$gte": 5}}, people=True) == [], "which policy it is is not known"


def test_doubts_about_policies_are_told_before_those_about_rules() -> None:
    rules = {"required_quorum": ADMINS, "allow_self_approval": True, "auto_execute": False}
    rule = {"name": "float_low", "auto_action": {"action_type": "TOP_UP"}, "auto_threshold": 0}
    definitions = Definitions(
        policies=(Versioned(1, Policy.model_validate({"name": "P", "criteria": {}, "policy": rules})),),
        action_types=(Versioned(1, TYPE),),
        remediation_rules=(Versioned(1, RemediationRule.model_validate(rule)),),
    )
    told = [(doubt.kind, doubt.code) for doubt in lint(definitions, None)]
    assert told == [("policy", "self_approval"), ("remediation_rule", "always_sure_enough")]
