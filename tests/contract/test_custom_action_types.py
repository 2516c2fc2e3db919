"""Custom action types: a definition, a policy and a message, as the document adds the fee of a merchant."""

from pathlib import Path

import pytest

from tests.contract.words import Read, create_ops_action, execute_action, vote_on_action
from tests.world import Installation
from workers import definition_files
from workers.sandbox import Sandbox

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "merchant_fee.yaml"


@pytest.fixture(autouse=True)
def _fees(installation: Installation) -> None:
    definition_files.apply(installation.owner, definition_files.read(EXAMPLE), by="admin-user-id")


def adjust_fee(engine: Installation, fee_percentage: float) -> Read:
    asked = create_ops_action(
        engine,
        "ops-tooling",
        origin="ops_ui",
        action_type="ADJUST_MERCHANT_FEE",
        params={"merchant_id": "merchant-123", "fee_percentage": fee_percentage, "effective_date": "2025-02-01"},
        created_by="pay-admin-1",
    )
    return engine.action(asked["action_id"])


def test_the_fee_of_a_merchant_is_adjusted_once_two_of_finance_agreed(engine: Installation, sandbox: Sandbox) -> None:
    action = adjust_fee(engine, 3.5)
    assert (action["policy_name"], action["timeout_seconds"]) == ("Merchant Fee Adjustment", 7200)
    assert (action["escalation_role"], action["auto_execute"]) == ("cfo", False)
    for person in ("finance-user-1", "finance-user-2"):
        vote_on_action(engine, action["id"], person, ["finance_ops"], "approve")
    execute_action(engine, action["id"], "ops-admin-1")
    engine.wait_until(action["id"], "executed")
    assert [effect["params"]["fee_percentage"] for effect in sandbox.effects()] == [3.5]


@pytest.mark.parametrize(("fee_percentage", "policy"), [(3.0, "Merchant Fee Adjustment"), (2.99, "Default")])
def test_the_policy_is_for_fees_from_three_percent_on(engine: Installation, fee_percentage: float, policy: str) -> None:
    assert adjust_fee(engine, fee_percentage)["policy_name"] == policy
