"""Recommendations in memory: those that lead to an action, those that wait, and who may apply them."""

from typing import Any
from uuid import UUID

import pytest

from domain.engine import step
from domain.keys import Scope
from domain.messages import Receipt
from domain.proposal import MOST_DECISIONS, RECOMMENDATION_THRESHOLD, Proposal
from tests.unit.in_memory import HOUR, NOW, WHOLE, InMemory, answer, body_of

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
ASKED: dict[str, Any] = {"idempotency_key": "sira-rec-r-1", "origin": "sira", "auto_execute": True, "issuer": "sira"}
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
        envelope = {"issuer": changes.pop("issuer")} if "issuer" in changes else {}
        return self.tell(body_of("CreateAction", body | changes), **envelope)

    def proposal(self, rec_id: str = "r-1") -> Proposal:
        return self.world.proposals["recommendation", rec_id]


def decision(actor: str, action: str, action_id: UUID) -> dict[str, Any]:
    """What is kept of the decision that led to an action."""
    at = "2025-11-12T10:00:00.000000Z"
    return {"at": at, "actor": actor, "action": action, "details": {"ops_action_id": str(action_id)}}


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
    again = sira.recommend(confidence=0.9)
    assert (again.outcome, again.action_id) == ("duplicate", action.id)
    assert [*sira.proposal().decisions] == [decision("system", "create_ops_action", action.id)]
    assert sira.proposal().answered_at == NOW


def test_each_that_sira_is_sure_of_becomes_an_action_of_its_own_under_its_key(sira: Sira) -> None:
    first = made(sira.recommend("r-1", confidence=0.9))
    second = made(sira.recommend("r-2", confidence=0.9, tenant_id="agent-2", params={"agent_id": "agent-2"}))
    assert [sira.action(action).idempotency_key for action in (first, second)] == ["sira-rec-r-1", "sira-rec-r-2"]
    taken = {"idempotency_key": "sira-rec-r-2"}
    assert answer(sira.create(taken, issuer="sira")) == "idempotency_conflict"  # its sender cannot ask for another


def test_votes_that_came_before_the_action_count(sira: Sira) -> None:
    told = sira.message(body_of("RecommendAction", RECOMMENDATION | {"confidence": 0.9}), issuer="sira", scope=SENDER)
    assert told.action_id is not None
    assert sira.vote(told.action_id, "f1").outcome == "parked"
    assert step(sira.world, told).action_id == told.action_id
    assert sira.action(told.action_id).votes_approve == 1


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
        assert [*sira.proposal().decisions] == [decision(person, "apply", action.id)]
        assert answer(sira.apply(person)) == "duplicate"
    else:
        assert sira.proposal().action_id is None


@pytest.mark.parametrize(("person", "expected"), [("f1", "creator_not_allowed"), ("admin", "applied")])
def test_one_that_remedies_an_alert_takes_an_ops_admin(sira: Sira, person: str, expected: str) -> None:
    params = RECOMMENDATION["params"] | {"alert_id": "a-1"}
    sira.recommend(params=params)
    assert answer(sira.apply(person, params=ENRICHED | params | {"sira_recommendation_id": "r-1"})) == expected


def test_whom_a_person_names_as_having_triggered_it_is_kept_out_beside_that_person(sira: Sira) -> None:
    sira.recommend()
    action_id = made(sira.apply("admin", triggered_by="f1"))
    assert sira.action(action_id).triggered_by == "f1"
    assert sira.action(action_id).requirement.excluded == ("admin", "agent-1", "f1")
    assert answer(sira.vote(action_id, "f1")) == "separation_of_duties"


def test_nobody_is_said_to_have_triggered_what_follows_no_persons_word(sira: Sira) -> None:
    by_itself, by_hand = made(sira.recommend(confidence=0.95)), sira.created({"origin": "ops_ui", "created_by": "f1"})
    assert [sira.action(action).triggered_by for action in (by_itself, by_hand)] == [None, None]


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
    receipt = sira.apply(**change)
    assert answer(receipt) == "proposal_mismatch"
    assert receipt.sentence.endswith(f"It differs in {next(iter(change))}.")
    assert (sira.world.actions, sira.proposal().action_id) == ({}, None)


def test_a_machine_does_not_apply_what_waits_for_a_person(sira: Sira) -> None:
    sira.recommend()
    assert answer(sira.apply("sira-system", origin="sira")) == "creator_not_allowed"


def test_one_that_is_not_known_is_an_ordinary_action(sira: Sira) -> None:
    assert sira.apply("pay").outcome == "applied"
    unnamed = {"params": ENRICHED | {"sira_recommendation_id": ["r-1"]}, "idempotency_key": "k2"}
    assert answer(sira.apply("pay", **unnamed)) == "applied"


@pytest.mark.parametrize("value", [["r-1"], {"id": "r-1"}, True, None, 1.5])
def test_what_is_no_name_names_no_recommendation_though_it_is_spelt_alike(sira: Sira, value: Any) -> None:
    sira.recommend(str(value))
    assert answer(sira.apply("pay", params=ENRICHED | {"sira_recommendation_id": value})) == "applied"
    assert sira.proposal(str(value)).action_id is None


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
    assert answer(sira.recommend(expires_at="2025-11-12T11:00:00Z")) == "duplicate"
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
    (kept,) = sira.proposal().decisions
    assert (kept["actor"], kept["action"]) == ("system", "error")
    assert kept["details"] == {"code": "target_mismatch", "error": sira.recommend(**wrong).sentence}
    assert (sira.world.actions, sira.world.changes.events) == ({}, [])
    assert answer(sira.recommend(**wrong)) == "target_mismatch"


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, "applied"),
        ({"params": ENRICHED | {"amount": 6}}, "idempotency_conflict"),
        ({"auto_execute": False}, "idempotency_conflict"),
    ],
)
def test_the_documents_action_that_sira_asked_for_itself_answers_it_and_no_other_does(
    sira: Sira, other: dict[str, Any], expected: str
) -> None:
    action_id = made(sira.apply("sira-system", **ASKED | other))
    sira.world.recommendation_threshold = type(RECOMMENDATION_THRESHOLD)("0.8")
    told = sira.recommend()
    assert (answer(told), told.action_id) == (expected, action_id)
    assert sira.proposal().action_id == (action_id if expected == "applied" else None)
    assert len(sira.world.actions) == 1


def test_what_sira_asked_for_itself_answers_it_however_sure_sira_is(sira: Sira) -> None:
    action_id = made(sira.apply("sira-system", **ASKED))
    assert made(sira.recommend()) == action_id
    assert sira.proposal().action_id == action_id
    assert answer(sira.apply()) == "proposal_closed"
    assert len(sira.world.actions) == 1


@pytest.mark.parametrize("params", [ENRICHED | {"amount": 6}, {"agent_id": "agent-1", "amount": 6}])
def test_nobody_applies_one_beside_another_action_that_sira_asked_for_under_its_key(
    sira: Sira, params: dict[str, Any]
) -> None:
    other = made(sira.apply("sira-system", **ASKED | {"params": params}))
    told = sira.recommend()
    assert (answer(told), sira.proposal().action_id) == ("idempotency_conflict", None)
    assert told.sentence.endswith(f"That action is {other}.")
    refused = sira.apply()
    assert answer(refused) == "proposal_closed"
    assert refused.sentence.endswith(f"SIRA asked under its key for action {other} itself, which is requested.")
    sira.wait(2 * HOUR)  # and no sweep comes
    assert made(sira.apply()) != other
    assert sira.status(other) == "expired"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "applied"),
        ({"idempotency_key": "other"}, "creator_not_allowed"),
        ({"idempotency_key": None}, "creator_not_allowed"),
        ({"origin": "alert"}, "creator_not_allowed"),
    ],
)
def test_before_it_is_known_a_machine_names_it_under_its_key_alone(
    sira: Sira, change: dict[str, Any], expected: str
) -> None:
    assert answer(sira.apply("sira-system", **ASKED | change)) == expected


def test_one_that_is_refused_is_not_tried_for_ever(sira: Sira) -> None:
    wrong: dict[str, Any] = {"confidence": 0.95, "params": {"agent_id": "agent-2"}}
    assert {answer(sira.recommend(**wrong)) for _ in range(MOST_DECISIONS)} == {"target_mismatch"}
    assert answer(sira.recommend(**wrong)) == "proposal_closed"


def test_one_for_a_tenant_of_another_kind_than_its_action_type_concerns_is_refused(sira: Sira) -> None:
    assert answer(sira.recommend(confidence=0.95, tenant_type="merchant")) == "target_mismatch"
    assert sira.world.actions == {}


@pytest.mark.parametrize("scope", [{"types": ()}, {"origins": ("alert",)}, {"action_types": ("OTHER",)}])
def test_sira_needs_the_scope_for_what_it_recommends(sira: Sira, scope: dict[str, Any]) -> None:
    assert answer(sira.recommend(scope=SENDER.model_copy(update=scope))) == "out_of_scope"
    assert sira.world.proposals == {}


@pytest.mark.parametrize("internal", ["RETRY", "CHANGE_DEFINITION", "RATIFY"])
def test_sira_recommends_nothing_that_the_engine_does_with_itself(sira: Sira, internal: str) -> None:
    whole = WHOLE.model_copy(update={"types": ("RecommendAction",)})
    assert answer(sira.recommend(recommendation_type=internal, confidence=0.99, scope=whole)) == "out_of_scope"
