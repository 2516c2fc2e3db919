"""The operations of the spec's table are there, each with its params, and some that undo others."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from domain.action_type import ActionType, Guarantee
from workers import definition_files

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "merchant_fee.yaml"
TYPES = {item.name: item for _, item in definition_files.shipped() if isinstance(item, ActionType)}
TABLE: dict[str, dict[str, Any]] = {
    "PAUSE_PAYOUT": {"merchant_id": "m-1", "duration": 3600},
    "FREEZE_MERCHANT": {"merchant_id": "m-1", "reason": "fraud_score_high"},
    "ADJUST_FLOAT": {"agent_id": "agent-123", "adjustment": "top_up", "amount": 1_000_000},
    "ROUTE_PAYOUT_OVERRIDE": {"bank_profile_id": "bank-1"},
    "REQUEUE_DLQ": {"max_items": 100},
    "UPDATE_RISK_THRESHOLD": {"threshold": 0.85},
    "MANUAL_REVERSAL": {"transaction_id": "t-1"},
    "EMERGENCY_CIRCUIT_BREAK": {"service": "payouts"},
    "ADJUST_RATE_LIMIT": {"limit": 50},
    "RELEASE_HOLD": {"transaction_id": "t-1"},
    "FORCE_RECONCILE": {"batch_id": "b-1"},
    "ADJUST_MERCHANT_FEE": {"merchant_id": "merchant-123", "fee_percentage": 3.5, "effective_date": "2025-02-01"},
}
UNDO = {
    "FREEZE_MERCHANT": "UNFREEZE_MERCHANT",
    "PAUSE_PAYOUT": "RESUME_PAYOUT",
    "EMERGENCY_CIRCUIT_BREAK": "RESTORE_SERVICE",
}


def test_the_operations_of_the_table_and_what_undoes_them_are_all_that_is_shipped() -> None:
    assert set(TYPES) == set(TABLE) | set(UNDO.values())


@pytest.mark.parametrize("name", TABLE)
def test_an_operation_takes_its_params_and_whatever_explains_them(name: str) -> None:
    assert TYPES[name].problems_of(TABLE[name] | {"alert_id": "a-1", "sira_confidence": 0.95}) == []


@pytest.mark.parametrize(("name", "param"), [(name, param) for name in TABLE for param in TABLE[name]])
def test_an_operation_without_one_of_its_params_or_with_none_in_it_is_refused(name: str, param: str) -> None:
    lacking = {key: value for key, value in TABLE[name].items() if key != param}
    assert TYPES[name].problems_of(lacking)
    assert TYPES[name].problems_of(TABLE[name] | {param: None})


@pytest.mark.parametrize("name", TYPES)
def test_every_operation_is_one_effect_however_often_it_is_called(name: str) -> None:
    assert TYPES[name].guarantee is Guarantee.DEDUPLICATES


@pytest.mark.parametrize(("name", "undone_by"), UNDO.items())
def test_what_undoes_an_operation_takes_the_params_that_it_gets(name: str, undone_by: str) -> None:
    inverse = TYPES[name].inverse
    assert inverse is not None
    assert inverse.action_type == undone_by
    assert TYPES[undone_by].problems_of(inverse.params_for(TABLE[name])) == []


def test_the_example_of_a_type_that_is_a_definition_alone_is_the_shipped_one_with_the_policy_of_the_spec() -> None:
    policy, action_type = [item for _, item in definition_files.read(EXAMPLE)]
    assert action_type == TYPES["ADJUST_MERCHANT_FEE"]
    document = YAML(typ="safe", pure=True).load(EXAMPLE.read_text())["policies"][0]
    assert document == {
        "name": "Merchant Fee Adjustment",
        "description": "High fees",
        "criteria": {"action_type": "ADJUST_MERCHANT_FEE", "params.fee_percentage": {"$gte": 3.0}},
        "policy": {
            "required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}},
            "required_ratio": 0.75,
            "timeout_seconds": 7200,
            "escalation_role": "cfo",
            "auto_execute": False,
        },
        "priority": 90,
    }
    assert policy.name == "Merchant Fee Adjustment"


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"service": "s"},
        {"path": "/x"},
        {"handler": "h", "service": "s", "path": "/x"},
        {"handler": "h", "path": "/x"},
    ],
)
def test_an_action_type_has_one_place_where_it_is_executed(place: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either a service and the path"):
        ActionType.model_validate({"name": "X", **place})
