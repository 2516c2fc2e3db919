"""Best practices: what the document advises works, and what it gets wrong is told."""

from typing import Any

import pytest

from tests.contract.words import Read, create_ops_action, execute_action, vote_on_action
from tests.world import Installation
from workers.sandbox import Sandbox


def ask(engine: Installation, **changes: Any) -> Read:
    asked = {
        "origin": "ops_ui",
        "action_type": "REQUEUE_DLQ",
        "params": {"max_items": 10},
        "created_by": "pay-admin-1",
    }
    return create_ops_action(engine, "ops-tooling", **asked | changes)


def test_idempotency_keys_make_one_action_and_one_that_ends_in_a_timestamp_is_warned_about(
    engine: Installation,
) -> None:
    first = ask(engine, idempotency_key="alert-a-1-remediation")
    again = ask(engine, idempotency_key="alert-a-1-remediation")
    assert (again["outcome"], again["action_id"]) == ("duplicate", first["action_id"])
    assert "timestamp" not in first["sentence"]
    dated = ask(engine, idempotency_key="alert-a-1-remediation-1762945200000")  # the document's "good" one
    assert dated["outcome"] == "applied"
    assert "timestamp" in dated["sentence"]


@pytest.mark.parametrize("timeout_seconds", [1800, 3600])
def test_a_timeout_is_what_the_message_says_where_that_is_shorter_than_the_policys(
    engine: Installation, timeout_seconds: int
) -> None:
    action = engine.action(ask(engine, timeout_seconds=timeout_seconds)["action_id"])
    assert action["timeout_seconds"] == timeout_seconds
    assert (action["expires_at"] - action["created_at"]).total_seconds() == timeout_seconds
    longer = engine.action(ask(engine, timeout_seconds=86_400)["action_id"])
    assert longer["timeout_seconds"] == 3600  # the policy "Low Risk Action"


def test_a_policy_escalates_to_a_role(engine: Installation) -> None:
    frozen = {"action_type": "FREEZE_MERCHANT", "params": {"merchant_id": "m-1", "reason": "fraud"}}
    assert engine.action(ask(engine, **frozen)["action_id"])["escalation_role"] == "ops_admin"


def test_a_routine_operation_executes_by_itself_and_a_critical_one_does_not(
    engine: Installation, sandbox: Sandbox
) -> None:
    routine = ask(engine, auto_execute=True)["action_id"]
    vote_on_action(engine, routine, "ops-admin-1", ["ops_admin"], "approve")
    engine.wait_until(routine, "executed")
    wanted = {"action_type": "EMERGENCY_CIRCUIT_BREAK", "params": {"service": "payouts"}, "auto_execute": True}
    critical = ask(engine, **wanted)["action_id"]
    for person in ("ops-admin-1", "ops-admin-2"):
        vote_on_action(engine, critical, person, ["ops_admin"], "approve")
    assert engine.action(critical)["status"] == "approved"
    assert len(sandbox.effects()) == 1


def test_the_result_of_an_execution_or_its_error_can_be_logged(engine: Installation, sandbox: Sandbox) -> None:
    sandbox.fail_next(404)
    failing = ask(engine)["action_id"]
    vote_on_action(engine, failing, "ops-admin-1", [], "approve")
    failed = engine.wait_until(failing, "failed")
    assert failed["result"] is None
    assert "404" in failed["error"]
    done = ask(engine)["action_id"]
    vote_on_action(engine, done, "ops-admin-1", [], "approve")
    assert engine.wait_until(done, "executed")["result"] == {"accepted": True}
    assert execute_action(engine, done, "ops-admin-1")["code"] == "already_started"
