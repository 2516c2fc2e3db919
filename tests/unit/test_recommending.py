"""Recommendations in memory: those that lead to an action, those that wait, and who may apply them."""

from typing import Any
from uuid import UUID

import pytest

from domain.keys import Scope
from domain.messages import Receipt
from domain.proposal import RECOMMENDATION_THRESHOLD, Proposal
from tests.unit.in_memory import NOW, WHOLE, InMemory, answer, body_of

EXPLANATION = {"features": [{"name": "float_days", "value": 0.4, "weight": 0.7}], "model": "sira-7"}
RECOMMENDATION: dict[str, Any] = {
    "id": "r-1",
    "tenant_type": "agent",
    "tenant_id": "agent-1",
    "recommendation_type": "TOP_UP",
    "params": {"agent_id": "agent-1", "amount": 5},
    "confidence": 0.8,
    "explanation": EXPLANATION,
}
ENRICHED = RECOMMENDATION["params"] | {
    "sira_recommendation_id": "r-1",
    "sira_confidence": 0.8,
    "sira_explanation": EXPLANATION,
}
SENDER = Scope(types=("RecommendAction",), origins=("sira",), action_types=("TOP_UP",))


class Sira(InMemory):
    """Where SIRA recommends."""

    def recommend(self, rec_id: str = "r-1", **changes: Any) -> Receipt:
        envelope: dict[str, Any] = {name: changes.pop(name) for name in ("issuer", "scope") if name in changes}
        body = body_of("RecommendAction", RECOMMENDATION | {"id": rec_id} | changes)
        return self.tell(body, **{"scope": SENDER, "issuer": "sira"} | envelope)

    def apply(self, person: str = "admin", rec_id: str = "r-1", **changes: Any) -> Receipt:
        body = {
            "idempotency_key": f"sira-rec-{rec_id}-apply",
            "origin": "ops_ui",
            "action_type": "TOP_UP",
            "params": ENRICHED | {"sira_recommendation_id": rec_id},
            "target_tenant_type": "agent",
            "target_tenant_id": "agent-1",
            "created_by": person,
        }
        return self.tell(body_of("CreateAction", body | changes))

    def proposal(self, rec_id: str = "r-1") -> Proposal:
        return self.world.proposals["recommendation", rec_id]


def made(receipt: Receipt) -> UUID:
    """The action that a message led to."""
    assert receipt.action_id is not None, receipt
    return receipt.action_id


@pytest.fixture
def sira() -> Sira:
    return Sira()


def test_one_that_sira_is_sure_of_becomes_an_action_that_tells_why(sira: Sira) -> None:
    receipt = sira.recommend(confidence=0.9)
    assert receipt.action_id == sira.proposal().action_id is not None
    action = sira.action(made(receipt))
    assert (action.idempotency_key, action.origin, action.created_by) == ("sira-rec-r-1", "sira", "sira-system")
    assert action.params == ENRICHED | {"sira_confidence": 0.9}
    assert (action.target_tenant_type, action.target_tenant_id) == ("agent", "agent-1")
    assert action.auto_execute
    assert answer(sira.recommend(confidence=0.9)) == "duplicate"


def test_a_less_sure_one_waits_for_thirty_days(sira: Sira) -> None:
    receipt = sira.recommend(confidence=0.8999)
    assert (receipt.outcome, receipt.action_id, sira.world.actions) == ("applied", None, {})
    expires_at = sira.proposal().expires_at
    assert expires_at is not None
    assert (expires_at - NOW).days == 30
    assert answer(sira.recommend(confidence=0.8999)) == "duplicate"


@pytest.mark.parametrize(("threshold", "created"), [("0", True), ("0.8", True), ("0.80001", False), ("1", False)])
def test_how_sure_it_must_be_is_the_installations_to_say(sira: Sira, threshold: str, *, created: bool) -> None:
    sira.world.recommendation_threshold = type(RECOMMENDATION_THRESHOLD)(threshold)
    assert (sira.recommend().action_id is not None) is created


@pytest.mark.parametrize(
    ("person", "expected"),
    [("admin", "applied"), ("f1", "applied"), ("pay", "creator_not_allowed"), ("nobody", "creator_not_allowed")],
)
def test_finance_ops_or_an_ops_admin_applies_one(sira: Sira, person: str, expected: str) -> None:
    sira.recommend()
    receipt = sira.apply(person)
    assert answer(receipt) == expected
    if expected == "applied":
        action = sira.action(made(receipt))
        assert (action.created_by, action.triggered_by, action.params) == (person, person, ENRICHED)
        assert sira.proposal().action_id == action.id
        assert [row["action"] for row in sira.proposal().decisions] == ["apply"]
        assert answer(sira.apply(person)) == "duplicate"
    else:
        assert sira.proposal().action_id is None


@pytest.mark.parametrize(("person", "expected"), [("f1", "creator_not_allowed"), ("admin", "applied")])
def test_one_that_remedies_an_alert_takes_an_ops_admin(sira: Sira, person: str, expected: str) -> None:
    params = RECOMMENDATION["params"] | {"alert_id": "a-1"}
    sira.recommend(params=params)
    assert answer(sira.apply(person, params=ENRICHED | params | {"sira_recommendation_id": "r-1"})) == expected


def test_who_applies_it_does_not_vote_on_it(sira: Sira) -> None:
    sira.recommend()
    action_id = made(sira.apply("f1"))
    assert [answer(sira.vote(action_id, person)) for person in ("f1", "f2")] == ["separation_of_duties", "applied"]


@pytest.mark.parametrize(
    "change",
    [
        {"params": ENRICHED | {"amount": 6}},
        {"params": ENRICHED | {"sira_confidence": 0.99}},
        {"params": {key: value for key, value in ENRICHED.items() if key != "sira_explanation"}},
        {"params": ENRICHED | {"note": "x"}},
        {"action_type": "OTHER"},
        {"target_tenant_id": "agent-2"},
        {"target_tenant_type": None},
    ],
)
def test_it_is_applied_as_it_is_or_not_at_all(sira: Sira, change: dict[str, Any]) -> None:
    sira.recommend()
    assert answer(sira.apply(**change)) == "proposal_mismatch"
    assert (sira.world.actions, sira.proposal().action_id) == ({}, None)


def test_a_machine_does_not_apply_what_waits_for_a_person(sira: Sira) -> None:
    sira.recommend()
    assert answer(sira.apply("sira-system", origin="sira")) == "creator_not_allowed"


def test_one_that_is_not_known_is_an_ordinary_action(sira: Sira) -> None:
    assert sira.apply("pay").outcome == "applied"
    assert answer(sira.apply("sira-system", origin="sira", idempotency_key="k")) == "applied"


def test_it_is_applied_once(sira: Sira) -> None:
    sira.recommend()
    first = sira.apply().action_id
    second = sira.apply("f1", idempotency_key="another")
    assert answer(second) == "proposal_closed"
    assert str(first) in second.sentence


def test_what_became_an_action_by_itself_is_not_applied(sira: Sira) -> None:
    sira.recommend(confidence=0.8)
    sira.world.recommendation_threshold = RECOMMENDATION_THRESHOLD
    sira.recommend("r-2", confidence=0.95)
    receipt = sira.apply(rec_id="r-2", params=ENRICHED | {"sira_recommendation_id": "r-2", "sira_confidence": 0.95})
    assert answer(receipt) == "proposal_closed"


def test_an_expired_one_is_over(sira: Sira) -> None:
    sira.recommend(expires_at="2025-11-12T11:00:00Z")
    sira.wait(3600)
    assert answer(sira.apply()) == "proposal_closed"
    assert answer(sira.recommend("r-2", expires_at="2025-11-12T11:00:00Z")) == "proposal_closed"


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        ({}, "proposal_closed"),
        ({"confidence": 0.95}, "proposal_closed"),
        ({"tenant_id": "agent-2", "params": {"agent_id": "agent-2"}}, "applied"),
    ],
)
def test_a_newer_one_for_the_same_takes_its_place_also_in_one_batch(
    sira: Sira, newer: dict[str, Any], expected: str
) -> None:
    sira.recommend("r-9")
    sira.recommend("r-1", **newer)
    receipt = sira.apply(rec_id="r-9", params=ENRICHED | {"sira_recommendation_id": "r-9"})
    assert answer(receipt) == expected


@pytest.mark.parametrize("other", [{"issuer": "others"}, {"confidence": 0.81}, {"title": "now with a title"}])
def test_an_id_is_one_recommendations(sira: Sira, other: dict[str, Any]) -> None:
    sira.recommend()
    assert answer(sira.recommend(**other)) == "proposal_conflict"


def test_a_refused_creation_keeps_its_decision_and_can_come_again(sira: Sira) -> None:
    wrong: dict[str, Any] = {"confidence": 0.95, "params": {"agent_id": "agent-2"}}
    assert answer(sira.recommend(**wrong)) == "target_mismatch"
    assert [row["details"]["code"] for row in sira.proposal().decisions] == ["target_mismatch"]
    assert (sira.world.actions, sira.world.changes.events) == ({}, [])
    assert answer(sira.recommend(**wrong)) == "target_mismatch"


def test_one_follows_no_other_action_that_sira_asked_for_under_its_key(sira: Sira) -> None:
    """But the one that is asked for as the document does it."""
    params = {"agent_id": "agent-1", "amount": 5}
    rightly = {"sira_recommendation_id": "r-2", "sira_confidence": 0.95, "sira_explanation": {"model": "m"}}
    asked = {
        "origin": "sira",
        "target_tenant_type": "agent",
        "target_tenant_id": "agent-1",
        "auto_execute": True,
        "created_by": "sira-system",
    }
    other = sira.create(asked | {"idempotency_key": "sira-rec-r-1", "params": params}, issuer="sira")
    same = sira.create(asked | {"idempotency_key": "sira-rec-r-2", "params": params | rightly}, issuer="sira")
    said = {"params": params, "confidence": 0.95, "explanation": {"model": "m"}}
    told = [sira.recommend(rec_id, **said) for rec_id in ("r-1", "r-2")]
    assert [(answer(each), each.action_id) for each in told] == [
        ("idempotency_conflict", other.action_id),
        ("applied", same.action_id),
    ]
    assert sira.proposal("r-1").action_id is None


@pytest.mark.parametrize("scope", [{"types": ()}, {"origins": ("alert",)}, {"action_types": ("OTHER",)}])
def test_sira_needs_the_scope_for_what_it_recommends(sira: Sira, scope: dict[str, Any]) -> None:
    assert answer(sira.recommend(scope=SENDER.model_copy(update=scope))) == "out_of_scope"
    assert sira.world.proposals == {}


@pytest.mark.parametrize("internal", ["RETRY", "CHANGE_DEFINITION", "RATIFY"])
def test_sira_recommends_nothing_that_the_engine_does_with_itself(sira: Sira, internal: str) -> None:
    whole = WHOLE.model_copy(update={"types": ("RecommendAction",)})
    assert answer(sira.recommend(recommendation_type=internal, confidence=0.99, scope=whole)) == "out_of_scope"
