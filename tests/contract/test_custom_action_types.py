"""Custom action types: a definition, a policy and a message, as the document adds the fee of a merchant."""

from pathlib import Path

from tests.contract.words import create_ops_action, execute_action, vote_on_action
from tests.world import Installation
from workers import definition_files
from workers.sandbox import Sandbox

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "merchant_fee.yaml"


def test_the_fee_of_a_merchant_is_adjusted_once_two_of_finance_agreed(
    installation: Installation, sandbox: Sandbox
) -> None:
    definition_files.apply(installation.owner, definition_files.read(EXAMPLE), by="admin-user-id")
    with installation.at_work(sandbox.url) as engine:
        asked = create_ops_action(
            engine,
            "ops-tooling",
            origin="ops_ui",
            action_type="ADJUST_MERCHANT_FEE",
            params={"merchant_id": "merchant-123", "fee_percentage": 3.5, "effective_date": "2025-02-01"},
            created_by="pay-admin-1",
        )
        action = engine.action(asked["action_id"])
        assert (action["policy_name"], action["timeout_seconds"]) == ("Merchant Fee Adjustment", 7200)
        assert (action["escalation_role"], action["auto_execute"]) == ("cfo", False)
        for person in ("finance-user-1", "finance-user-2"):
            vote_on_action(engine, action["id"], person, ["finance_ops"], "approve")
        execute_action(engine, action["id"], "ops-admin-1")
        engine.wait_until(action["id"], "executed")
        assert [effect["params"]["fee_percentage"] for effect in sandbox.effects()] == [3.5]


def test_a_fee_below_three_percent_is_not_the_policys(installation: Installation) -> None:
    definition_files.apply(installation.owner, definition_files.read(EXAMPLE), by="admin-user-id")
    with installation.at_work("http://nowhere.invalid") as engine:
        asked = create_ops_action(
            engine,
            "ops-tooling",
            origin="ops_ui",
            action_type="ADJUST_MERCHANT_FEE",
            params={"merchant_id": "merchant-123", "fee_percentage": 2.9, "effective_date": "2025-02-01"},
            created_by="pay-admin-1",
        )
        assert engine.action(asked["action_id"])["policy_name"] == "Default"
