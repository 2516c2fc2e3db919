"""What the engine is for, told once from the alert to the ledger. Read this first; every other test is about a detail."""

from db import read
from domain.messages import ExecuteAction
from tests.world import Installation, top_up
from workers.sandbox import Sandbox


def test_an_agent_gets_float_because_two_people_agreed(installation: Installation, sandbox: Sandbox) -> None:
    with installation.at_work(sandbox.url) as engine:
        # An alert says that agent-123 runs out of float. SIRA is 95 % sure that a top-up of 1,000,000 remedies it.
        asked = engine.send("sira", top_up(alert="alert-1", confidence=0.95, amount=1_000_000))
        action = asked["action_id"]
        assert engine.action(action)["status"] == "requested"

        # The policy wants two people of finance_ops. One is not enough, and somebody of another role does not count.
        assert engine.send_vote(action, "finance-user-1")["outcome"] == "applied"
        assert engine.send_vote(action, "pay-admin-1")["code"] == "not_eligible"
        assert engine.action(action)["status"] == "pending_approval"

        # The second one agrees, and that decides. Approved is not executed: nothing has happened yet.
        assert engine.send_vote(action, "finance-user-2")["outcome"] == "applied"
        assert engine.action(action)["status"] == "approved"
        assert sandbox.effects() == []

        # An administrator has it executed, and the other side does what was approved, once.
        engine.send("ops-tooling", ExecuteAction(action_id=action, executed_by="ops-admin-1"))
        done = engine.wait_until(action, "executed")
        (effect,) = sandbox.effects()
        assert effect["params"] == done["params"]
        assert effect["result"]["balance_after"] - effect["result"]["balance_before"] == 1_000_000

        # The trail tells it all again, each event chained to the one before, and the alert knows what remedied it.
        assert engine.trail(action) == ["created", "voted", "voted", "approved", "executing", "executed"]
        alert = read.get_alert(engine.owner, "alert-1")
        assert alert is not None
        assert (alert["status"], alert["remedied_by_action_id"]) == ("auto_remediated", action)
