"""Complete integration example: float low, SIRA recommends, two of finance_ops agree, an administrator executes, the trail tells."""

from db import read
from tests.contract.words import alert_in, create_ops_action, execute_action, vote_on_action
from tests.world import Installation
from workers.sandbox import Sandbox


def test_float_low_alert_to_sira_recommendation_to_ops_approval_to_execution(
    engine: Installation, sandbox: Sandbox
) -> None:
    asked = create_ops_action(
        engine,
        "sira",
        idempotency_key="alert-a-1-sira-rec",
        origin="sira",
        action_type="ADJUST_FLOAT",
        params={
            "agent_id": "agent-123",
            "adjustment": "top_up",
            "amount": 1_000_000,
            "alert_id": "a-1",
            "sira_confidence": 0.95,
        },
        target_tenant_type="agent",
        target_tenant_id="agent-123",
        auto_execute=False,
        created_by="sira-system",
    )
    action_id = asked["action_id"]
    comment = "Reviewed float levels, approve top-up"
    vote_on_action(engine, action_id, "finance-user-1", ["finance_ops"], "approve", comment)
    assert engine.action(action_id)["status"] == "pending_approval"
    vote_on_action(engine, action_id, "finance-user-2", ["finance_ops"], "approve")
    assert engine.action(action_id)["status"] == "approved"

    execute_action(engine, action_id, "ops-admin-1")
    done = engine.wait_until(action_id, "executed")
    assert (done["executed_by"], done["error"]) == ("ops-admin-1", None)
    (effect,) = sandbox.effects()
    assert effect["result"]["balance_after"] - effect["result"]["balance_before"] == 1_000_000

    assert alert_in(engine, "a-1", "auto_remediated")["remedied_by_action_id"] == action_id
    audit = [(event.event, event.actor) for event in read.get_audit_trail(engine.owner, action_id)]
    assert audit == [
        ("created", "sira-system"),
        ("voted", "finance-user-1"),
        ("voted", "finance-user-2"),
        ("approved", "ops-approval"),
        ("executing", "ops-admin-1"),
        ("executed", "ops-admin-1"),
    ]
