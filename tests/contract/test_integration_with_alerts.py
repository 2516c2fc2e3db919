"""Integration with Brique 77.1 (Alerts): auto-remediation with approval, and the manual remediation of the alert API."""

from typing import Any
from uuid import UUID

from db import read
from domain.policy import Policy
from tests.contract.words import (
    Read,
    alert,
    alert_in,
    body,
    create_ops_action,
    decisions,
    eventually,
    execute_action,
    vote_on_action,
)
from tests.world import PEOPLE, Installation, directory, wait_for
from workers.queue import ring
from workers.sandbox import Sandbox

ALERT = {
    "id": "a-7",
    "alert_type": "fraud_score_high",
    "tenant_type": "merchant",
    "tenant_id": "m-1",
    "severity": "critical",
    "metric": {"metric": "fraud_score", "value": 0.97, "threshold": 0.8},
}


def trigger_remediation_flow(engine: Installation, *, confidence: float, **changes: Any) -> Read:
    said = {"action": "FREEZE_MERCHANT", "confidence": confidence, "explanation": {"model": "sira-7"}}
    return engine.send("alerts", body("RemediateAlert", {"alert": ALERT | changes, "recommendation": said}))


def test_an_alert_that_sira_is_sure_about_becomes_an_action_that_people_agree_to(
    engine: Installation, sandbox: Sandbox
) -> None:
    engine.send("directory", directory(2, PEOPLE | {"pay-admin-2": ("pay_admin",)}))
    action_id = trigger_remediation_flow(engine, confidence=0.95)["action_id"]
    action = engine.action(action_id)
    assert action["idempotency_key"] == "alert-a-7-remediation"
    assert (action["origin"], action["action_type"], action["created_by"]) == (
        "alert",
        "FREEZE_MERCHANT",
        "sira-system",
    )
    assert (action["target_tenant_type"], action["target_tenant_id"]) == ("merchant", "m-1")
    assert {"merchant_id": "m-1", "alert_id": "a-7", "sira_confidence": 0.95}.items() <= action["params"].items()
    assert action["params"]["sira_explanation"] == {"model": "sira-7"}
    assert alert(engine, "a-7")["remedied_by_action_id"] == action_id
    assert alert(engine, "a-7")["status"] == "open"
    assert decisions(engine, "a-7") == ["suggest", "create_ops_action", "require_approval"]

    # The rule has require_multi_sig: two ops_admin beside the two pay_admin of the policy "Merchant Freeze", and somebody
    # who has it executed.
    assert action["auto_execute"] is False
    assert action["required_quorum"]["type"] == "all_of"
    for person in ("ops-admin-1", "ops-admin-2", "pay-admin-1"):
        assert vote_on_action(engine, action_id, person, [], "approve")["outcome"] == "applied"
        assert engine.action(action_id)["status"] == "pending_approval"
    vote_on_action(engine, action_id, "pay-admin-2", [], "approve")
    assert engine.action(action_id)["status"] == "approved"
    assert sandbox.effects() == []
    execute_action(engine, action_id, "ops-admin-1")
    alert_in(engine, "a-7", "auto_remediated")
    assert [effect["params"]["merchant_id"] for effect in sandbox.effects()] == ["m-1"]


def low_float(engine: Installation, alert_id: str = "a-7") -> UUID:
    """The action for an alert about a low float; two of finance_ops agree to it, and it is executed by itself."""
    low = {"id": alert_id, "alert_type": "float_low", "tenant_type": "agent", "tenant_id": "agent-123"}
    said = {"action": "ADJUST_FLOAT", "confidence": 0.95, "params": {"adjustment": "top_up", "amount": 1_000_000}}
    sent = engine.send("alerts", body("RemediateAlert", {"alert": ALERT | low, "recommendation": said}))
    action_id: UUID = sent["action_id"]
    found = alert(engine, alert_id)
    assert (found["status"], found["remedied_by_action_id"], found["action_status"]) == ("open", action_id, "requested")
    return action_id


def by_two(engine: Installation, action_id: UUID, vote: str, role: str = "finance-user") -> None:
    """Two people of a role vote."""
    for number in (1, 2):
        assert vote_on_action(engine, action_id, f"{role}-{number}", [], vote)["outcome"] == "applied"


def agreed(engine: Installation, issuer: str, action_type: str, params: dict[str, Any]) -> None:
    """The engine has done something itself, to which two ops_admin have agreed."""
    asked = {"origin": "ops_ui", "action_type": action_type, "params": params, "created_by": "finance-user-3"}
    action_id = create_ops_action(engine, issuer, **asked)["action_id"]
    by_two(engine, action_id, "approve", "ops-admin")
    execute_action(engine, action_id, "finance-user-4")
    engine.wait_until(action_id, "executed")


def unremedied(engine: Installation, action_id: UUID, status: str) -> None:
    """The alert tells, as soon as it is so, that its action ended like this, and that it is open."""
    eventually(lambda: alert(engine, "a-7")["action_status"], status)
    found = alert(engine, "a-7")
    assert (found["status"], found["remedied_by_action_id"]) == ("open", action_id)


def test_an_alert_is_remediated_as_soon_as_its_action_was_executed(engine: Installation, sandbox: Sandbox) -> None:
    action_id = low_float(engine)
    vote_on_action(engine, action_id, "finance-user-1", ["finance_ops"], "approve")
    assert alert(engine, "a-7")["status"] == "open"
    vote_on_action(engine, action_id, "finance-user-2", ["finance_ops"], "approve")
    assert alert_in(engine, "a-7", "auto_remediated")["remedied_by_action_id"] == action_id
    assert len(sandbox.effects()) == 1
    eventually(lambda: decisions(engine, "a-7")[-1], "execute")


def test_an_alert_whose_action_was_rejected_is_open(engine: Installation, sandbox: Sandbox) -> None:
    action_id = low_float(engine)
    by_two(engine, action_id, "reject")
    unremedied(engine, action_id, "rejected")
    assert sandbox.effects() == []


def test_an_alert_whose_action_was_cancelled_is_open(engine: Installation, sandbox: Sandbox) -> None:
    action_id = low_float(engine)
    cancelled = {"action_id": str(action_id), "cancelled_by": "ops-admin-1", "reason": "topped up at the bank"}
    assert engine.send("ops-tooling", body("CancelAction", cancelled))["outcome"] == "applied"
    unremedied(engine, action_id, "cancelled")
    assert sandbox.effects() == []


def test_an_alert_whose_action_expired_is_open(engine: Installation, sandbox: Sandbox) -> None:
    quorum = {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}
    rules = {"required_quorum": quorum, "timeout_seconds": 1}
    soon = Policy.model_validate(
        {"name": "Float Adjustment", "criteria": {"action_type": "ADJUST_FLOAT"}, "policy": rules}
    ).model_dump(mode="json")
    change = {"kind": "policy", "name": "Float Adjustment", "replaces": 1, "definition": soon, "reason": "sooner"}
    agreed(engine, "definitions", "CHANGE_DEFINITION", change)
    action_id = low_float(engine)
    wait_for(lambda: engine.scalar("select expires_at <= clock_timestamp() from actions where id = %s", action_id))
    ring(engine.broker, "escalate_expired_actions")
    unremedied(engine, action_id, "expired")
    assert sandbox.effects() == []


def test_an_alert_whose_action_failed_is_open_until_it_was_tried_again_and_executed(
    engine: Installation, sandbox: Sandbox
) -> None:
    action_id = low_float(engine)
    sandbox.fail_next(404)
    by_two(engine, action_id, "approve")
    unremedied(engine, action_id, "failed")
    assert sandbox.effects() == []
    eventually(lambda: decisions(engine, "a-7")[-1], "error")
    agreed(engine, "ops-tooling", "RETRY", {"action_id": str(action_id), "reason": "the agent exists now"})
    ring(engine.broker, "sweep")  # as the scheduler does
    assert alert_in(engine, "a-7", "auto_remediated")["remedied_by_action_id"] == action_id
    assert len(sandbox.effects()) == 1


def test_an_alert_whose_action_was_rejected_is_remediated_by_what_a_person_had_executed(
    engine: Installation, sandbox: Sandbox
) -> None:
    by_two(engine, low_float(engine), "reject")
    by_hand = create_ops_action(
        engine,
        "ops-tooling",
        origin="ops_ui",
        action_type="ADJUST_FLOAT",
        params={"agent_id": "agent-123", "adjustment": "top_up", "amount": 500_000, "alert_id": "a-7"},
        auto_execute=True,
        created_by="ops-admin-1",
    )["action_id"]
    unremedied(engine, by_hand, "requested")
    by_two(engine, by_hand, "approve")
    assert alert_in(engine, "a-7", "auto_remediated")["remedied_by_action_id"] == by_hand
    assert [effect["params"]["amount"] for effect in sandbox.effects()] == [500_000]


def test_an_alert_that_sira_is_not_sure_about_is_skipped_and_says_so(engine: Installation) -> None:
    assert trigger_remediation_flow(engine, confidence=0.5)["action_id"] is None
    (suggested, skipped) = read.get_alert_decisions(engine.owner, "a-7")
    assert (suggested["action"], suggested["actor"]) == ("suggest", "sira")
    assert (skipped["action"], skipped["details"]["reason"]) == ("skip", "low_confidence")
    assert alert(engine, "a-7")["status"] == "open"


def test_within_the_cooldown_the_next_alert_of_a_type_leads_to_nothing(engine: Installation) -> None:
    assert trigger_remediation_flow(engine, confidence=0.95)["action_id"] is not None
    assert trigger_remediation_flow(engine, confidence=0.95, id="a-8", tenant_id="m-2")["action_id"] is None
    assert read.get_alert_decisions(engine.owner, "a-8")[-1]["details"]["reason"] == "cooldown"


def test_without_a_rule_there_is_nothing_to_do(engine: Installation) -> None:
    assert trigger_remediation_flow(engine, confidence=1, alert_type="dlq_growth")["action_id"] is None


def test_an_ops_admin_remedies_an_alert_by_hand_and_nobody_else_does(engine: Installation) -> None:
    trigger_remediation_flow(engine, confidence=0.5)
    asked: dict[str, Any] = {
        "idempotency_key": "alert-a-7-manual-remediation",
        "origin": "ops_ui",
        "action_type": "FREEZE_MERCHANT",
        "params": {"merchant_id": "m-1", "reason": "fraud_score_high", "alert_id": "a-7"},
        "target_tenant_type": "merchant",
        "target_tenant_id": "m-1",
    }
    refused = create_ops_action(engine, "ops-tooling", **asked, created_by="finance-user-1")
    assert refused["code"] == "creator_not_allowed"
    made = create_ops_action(engine, "ops-tooling", **asked, created_by="ops-admin-1")
    assert made["outcome"] == "applied"
    assert alert(engine, "a-7")["remedied_by_action_id"] == made["action_id"]
    assert decisions(engine, "a-7")[-1] == "create_ops_action"


def test_one_incident_freezes_a_merchant_once_whoever_asks_with_whichever_key(engine: Installation) -> None:
    first = trigger_remediation_flow(engine, confidence=0.95)["action_id"]
    second = create_ops_action(
        engine,
        "ops-tooling",
        idempotency_key="alert-a-7-manual-remediation",
        origin="ops_ui",
        action_type="FREEZE_MERCHANT",
        params={"merchant_id": "m-1", "reason": "fraud", "alert_id": "a-7"},
        created_by="ops-admin-1",
    )
    assert (second["code"], second["action_id"]) == ("already_open", first)
    third = create_ops_action(
        engine,
        "sira",
        idempotency_key="sira-rec-9",
        origin="sira",
        action_type="FREEZE_MERCHANT",
        params={"merchant_id": "m-1", "reason": "fraud"},
        created_by="sira-system",
    )
    assert (third["code"], third["action_id"]) == ("already_open", first)


def test_an_alert_about_a_merchant_whom_a_person_has_frozen_already_says_so_and_freezes_nobody(
    engine: Installation,
) -> None:
    asked = {"origin": "ops_ui", "action_type": "FREEZE_MERCHANT", "created_by": "ops-admin-1"}
    first = create_ops_action(engine, "ops-tooling", **asked, params={"merchant_id": "m-1", "reason": "fraud"})[
        "action_id"
    ]
    told = trigger_remediation_flow(engine, confidence=0.95)
    assert (told["outcome"], told["code"]) == ("refused", "already_open")
    last = read.get_alert_decisions(engine.owner, "a-7")[-1]
    assert (last["action"], last["details"]["code"]) == ("error", "already_open")
    assert str(first) in last["details"]["error"]
    assert trigger_remediation_flow(engine, confidence=0.95, id="a-8", tenant_id="m-2")["outcome"] == "applied"
