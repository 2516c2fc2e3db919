"""Integration with SIRA: a sure recommendation becomes an action; of another one a person makes it one, from the dashboard."""

from typing import Any

from tests.contract.words import (
    Read,
    body,
    create_ops_action,
    eventually,
    execute_action,
    recommendation,
    vote_on_action,
)
from tests.world import Installation
from workers.sandbox import Sandbox

EXPLANATION = {"features": [{"name": "failed_payouts", "value": 0.2, "weight": 0.6}], "model": "sira-7"}


def process_sira_recommendation(engine: Installation, rec_id: str, confidence: float, **changes: Any) -> Read:
    said = {
        "id": rec_id,
        "recommendation_type": "ROUTE_PAYOUT_OVERRIDE",
        "params": {"bank_profile_id": "bank-2"},
        "tenant_type": "merchant",
        "tenant_id": "m-1",
        "confidence": confidence,
        "explanation": EXPLANATION,
    }
    return engine.send("sira", body("RecommendAction", said | changes))


def apply(engine: Installation, rec_id: str, person: str) -> Read:
    """The document's dashboard route, field by field, from what the dashboard reads."""
    rec = recommendation(engine, rec_id)
    return create_ops_action(
        engine,
        "ops-tooling",
        idempotency_key=f"sira-rec-{rec_id}-apply",
        origin="ops_ui",
        action_type=rec["recommendation_type"],
        params=rec["params"],
        target_tenant_type=rec["tenant_type"],
        target_tenant_id=rec["tenant_id"],
        created_by=person,
    )


def test_sira_recommends_a_payout_route_override(engine: Installation, sandbox: Sandbox) -> None:
    action_id = process_sira_recommendation(engine, "r-1", 0.93)["action_id"]
    action = engine.action(action_id)
    assert (action["idempotency_key"], action["origin"], action["created_by"]) == (
        "sira-rec-r-1",
        "sira",
        "sira-system",
    )
    assert action["params"] == {
        "bank_profile_id": "bank-2",
        "sira_recommendation_id": "r-1",
        "sira_confidence": 0.93,
        "sira_explanation": EXPLANATION,  # features, weights and model stay readable on the action
    }
    rec = recommendation(engine, "r-1")
    assert (rec["status"], rec["ops_action_id"]) == ("pending_approval", action_id)
    for person in ("ops-admin-1", "ops-admin-2"):  # no policy is for it: two ops_admin, and nothing by itself
        vote_on_action(engine, action_id, person, ["ops_admin"], "approve")
    execute_action(engine, action_id, "finance-user-1")
    eventually(lambda: recommendation(engine, "r-1")["status"], "applied")
    assert [effect["params"]["bank_profile_id"] for effect in sandbox.effects()] == ["bank-2"]


def test_the_dashboard_applies_a_recommendation_that_waits(engine: Installation) -> None:
    assert process_sira_recommendation(engine, "r-1", 0.89)["action_id"] is None
    assert recommendation(engine, "r-1")["status"] == "pending"
    assert apply(engine, "r-1", "pay-admin-1")["code"] == "creator_not_allowed"
    action_id = apply(engine, "r-1", "finance-user-1")["action_id"]
    assert engine.action(action_id)["triggered_by"] == "finance-user-1"
    assert vote_on_action(engine, action_id, "finance-user-1", [], "approve")["code"] == "separation_of_duties"
    assert recommendation(engine, "r-1")["status"] == "pending_approval"
    vote_on_action(engine, action_id, "ops-admin-1", [], "reject")
    vote_on_action(engine, action_id, "ops-admin-2", [], "reject")
    assert recommendation(engine, "r-1")["status"] == "rejected"


def test_a_newer_recommendation_takes_the_place_of_one_that_waits(engine: Installation) -> None:
    process_sira_recommendation(engine, "r-1", 0.7)
    process_sira_recommendation(engine, "r-2", 0.8)
    assert [recommendation(engine, name)["status"] for name in ("r-1", "r-2")] == ["superseded", "pending"]


def test_a_recommendation_of_what_is_open_already_is_refused_and_names_it(engine: Installation) -> None:
    first = process_sira_recommendation(engine, "r-1", 0.95)["action_id"]
    told = process_sira_recommendation(engine, "r-2", 0.95)
    assert (told["code"], told["action_id"]) == ("already_open", first)
