"""Cron job setup: the two periodic actors do what the document's jobs do, every ten and every two minutes, and the sweep before."""

from tests.contract.words import create_ops_action, vote_on_action
from tests.world import Installation, wait_for
from workers.queue import ring
from workers.sandbox import Sandbox
from workers.settings import Settings


def test_the_periods_are_the_documents() -> None:
    settings = Settings()
    assert (settings.escalate_every_seconds, settings.auto_execute_every_seconds) == (600, 120)


def test_the_escalation_job_escalates_what_nobody_decided_in_time_and_expires_what_nobody_escalates(
    engine: Installation,
) -> None:
    params = {"agent_id": "agent-123", "adjustment": "top_up", "amount": 1}
    asked = {"action_type": "ADJUST_FLOAT", "origin": "ops_ui", "created_by": "ops-admin-1", "timeout_seconds": 1}
    escalates = create_ops_action(engine, "ops-tooling", **asked, params=params)["action_id"]
    no_step = {"action_type": "FORCE_RECONCILE", "params": {"batch_id": "b-1"}}
    expires = create_ops_action(engine, "ops-tooling", **asked | no_step)["action_id"]
    wait_for(lambda: engine.scalar("select count(*) from actions where expires_at <= clock_timestamp()") == 2)
    ring(engine.broker, "escalate_expired_actions")
    engine.wait_until(escalates, "escalated")
    engine.wait_until(expires, "expired")
    # An escalated action is no dead end: who is asked now decides.
    assert vote_on_action(engine, escalates, "cfo-1", ["cfo"], "approve")["outcome"] == "applied"


def test_the_auto_execute_job_executes_what_was_approved(engine: Installation, sandbox: Sandbox) -> None:
    asked = create_ops_action(
        engine,
        "ops-tooling",
        action_type="REQUEUE_DLQ",
        origin="ops_ui",
        params={"max_items": 10},
        created_by="pay-admin-1",
    )
    engine.vote(asked["action_id"], "ops-admin-1")  # applied without a ring, as where Redis has lost it
    assert engine.action(asked["action_id"])["status"] == "approved"
    ring(engine.broker, "auto_execute_approved_actions")
    engine.wait_until(asked["action_id"], "executed")
    assert len(sandbox.effects()) == 1
