"""Alerts in memory: which become an action, which are skipped and why, and what the action says."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.definition import Kind
from domain.definitions import MODELS
from domain.engine import step
from domain.keys import Scope
from domain.limits import Limits
from domain.messages import CancelAction, Receipt
from domain.outcome import Done, Rejected
from domain.proposal import MOST_DECISIONS, Alert, Proposal, Recommendation
from domain.remediation import RemediationRule
from domain.remedying import ASK_AGAIN_SECONDS, Recommended
from tests.unit.in_memory import HOUR, NOW, TYPE, InMemory, answer, body_of

RULE: dict[str, Any] = {"name": "float_low", "auto_action": {"action_type": "TOP_UP"}}
ALERT: dict[str, Any] = {
    "id": "a-1",
    "alert_type": "float_low",
    "tenant_type": "agent",
    "tenant_id": "agent-1",
    "severity": "critical",
    "metric": {"metric": "float_available", "value": 5, "threshold": 10},
}
SURE: dict[str, Any] = {"action": "TOP_UP", "confidence": 0.95, "params": {"amount": 5}, "explanation": {"model": "m"}}
SENDER = Scope(types=("RemediateAlert",), origins=("alert",), action_types=("TOP_UP",))


class Alerts(InMemory):
    """Where there is a remediation rule, and somebody who sends alerts."""

    def __init__(self, **rule: Any) -> None:
        super().__init__()
        self.define("remediation_rule", RULE | rule)

    def define(self, kind: Kind, body: dict[str, Any]) -> None:
        found, name = self.world.definitions, body["name"]
        version = found.newest_version(kind, name) + 1
        self.world.definitions = found.changed(kind, name, version, MODELS[kind].model_validate(body))

    def alert(self, alert_id: str = "a-1", said: dict[str, Any] | None = SURE, **changes: Any) -> Receipt:
        envelope = {name: changes.pop(name) for name in ("issuer", "kid", "scope", "jti") if name in changes}
        content: dict[str, Any] = {"alert": ALERT | {"id": alert_id} | changes}
        if said is not None:
            content["recommendation"] = said
        return self.tell(body_of("RemediateAlert", content), **({"scope": SENDER, "issuer": "alerts"} | envelope))

    def asked(self, alert_id: str = "a-1") -> Proposal:
        """An alert that waits for SIRA."""
        assert self.alert(alert_id, None).outcome == "applied"
        self.world.scopes["tooling-1"] = SENDER
        return self.proposal(alert_id)

    def say(self, said: dict[str, Any], alert_id: str = "a-1", fallback: str | None = None, **asked: Any) -> Receipt:
        alert = Alert.model_validate(ALERT | {"id": alert_id} | asked)
        return step(self.world, Recommended(alert, "alerts", Recommendation.model_validate(said), fallback))

    def proposal(self, alert_id: str = "a-1") -> Proposal:
        return self.world.proposals["alert", alert_id]

    def decisions(self, alert_id: str = "a-1") -> list[str]:
        """What was decided, each with its reason if it has one."""
        told = ((row["action"], row["details"].get("reason")) for row in self.proposal(alert_id).decisions)
        return [f"{action} {reason}" if reason else action for action, reason in told]


def made(receipt: Receipt) -> UUID:
    """The action that a message led to."""
    assert receipt.action_id is not None, receipt
    return receipt.action_id


@pytest.fixture
def alerts() -> Alerts:
    return Alerts()


CREATED = ["suggest", "create_ops_action", "require_approval"]


def test_an_alert_with_a_sure_recommendation_becomes_the_rules_action(alerts: Alerts) -> None:
    receipt = alerts.alert()
    assert receipt.outcome == "applied"
    assert receipt.action_id == alerts.proposal().action_id
    assert alerts.decisions() == CREATED
    assert receipt.action_id is not None
    action = alerts.action(receipt.action_id)
    assert (action.idempotency_key, action.origin, action.created_by) == (
        "alert-a-1-remediation",
        "alert",
        "sira-system",
    )
    assert (action.target_tenant_type, action.target_tenant_id) == ("agent", "agent-1")
    assert action.params == {
        "agent_id": "agent-1",
        "amount": 5,
        "alert_id": "a-1",
        "sira_confidence": 0.95,
        "sira_explanation": {"model": "m"},
    }


def test_each_decision_says_when_who_what_and_why() -> None:
    """`alert_decisions`, in the words that callers know."""
    alerts = Alerts(notify_channels=["#ops"])
    action_id = str(made(alerts.alert()))
    quorum = {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}
    created = {"ops_action_id": action_id, "sira_rec": SURE, "notify_channels": ["#ops"]}
    needed = {"ops_action_id": action_id, "policy": "P", "required_quorum": quorum}
    at = "2025-11-12T10:00:00.000000Z"
    assert [*alerts.proposal().decisions] == [
        {"at": at, "actor": "sira", "action": "suggest", "details": SURE},
        {"at": at, "actor": "system", "action": "create_ops_action", "details": created},
        {"at": at, "actor": "system", "action": "require_approval", "details": needed},
    ]
    assert alerts.proposal().answered_at == NOW  # from when the cooldown of its type is counted


def test_where_nobody_need_agree_no_approval_is_said_to_be_required(alerts: Alerts) -> None:
    nobody = {"required_quorum": {"type": "none"}, "escalation_role": None}
    alerts.define("policy", {"name": "P", "criteria": {}, "policy": nobody})
    assert alerts.status(made(alerts.alert())) == "approved"
    assert alerts.decisions() == ["suggest", "create_ops_action"]


def test_params_of_the_rule_go_before_those_that_are_recommended() -> None:
    alerts = Alerts(auto_action={"action_type": "TOP_UP", "params": {"amount": 1, "alert_id": "another"}})
    action = alerts.action(made(alerts.alert()))
    assert (action.params["amount"], action.params["alert_id"]) == (1, "a-1")


def test_what_answers_an_alert_claims_to_follow_no_recommendation() -> None:
    claim = {"sira_recommendation_id": "rec-7"}
    alerts = Alerts(auto_action={"action_type": "TOP_UP", "params": claim})
    action = alerts.action(made(alerts.alert(said=SURE | {"params": {"amount": 5} | claim})))
    assert action.params["amount"] == 5
    assert not claim.keys() & action.params.keys()


@pytest.mark.parametrize("multi_sig", [True, False])
def test_multi_sig_asks_for_approvers_beside_the_policys_and_executes_nothing_by_itself(*, multi_sig: bool) -> None:
    alerts = Alerts(require_multi_sig=multi_sig, required_approvals=3, approver_role="cfo")
    action = alerts.action(made(alerts.alert()))
    policys = {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}
    wished = {"type": "role", "value": {"role": "cfo", "min_votes": 3}}
    both = {"type": "all_of", "value": {"of": [policys, wished]}}
    assert action.required_quorum == (both if multi_sig else policys)
    assert action.auto_execute is not multi_sig


@pytest.mark.parametrize(
    ("rule", "alert", "said", "reason"),
    [
        ({}, {"alert_type": "dlq_growth"}, SURE, "no_rule"),
        ({"enabled": False}, {}, SURE, "disabled"),
        ({}, {}, SURE | {"confidence": 0.8999}, "low_confidence"),
        ({"auto_threshold": "0.951"}, {}, SURE, "low_confidence"),
        ({}, {}, SURE | {"action": "manual_review"}, "different_action"),
    ],
)
def test_what_is_not_to_be_answered_is_skipped_with_its_reason(
    rule: dict[str, Any], alert: dict[str, Any], said: dict[str, Any], reason: str
) -> None:
    alerts = Alerts(**rule)
    receipt = alerts.alert(said=said, **alert)
    assert (receipt.outcome, receipt.action_id) == ("applied", None)
    assert alerts.decisions()[-1] == f"skip {reason}"
    assert alerts.world.actions == {}


def test_what_is_open_for_the_same_is_named_by_the_decision(alerts: Alerts) -> None:
    alerts.define("action_type", TYPE.model_dump(mode="json") | {"exclusive_params": ["agent_id"]})
    open_now = alerts.created()
    receipt = alerts.alert()
    assert (answer(receipt), receipt.action_id) == ("already_open", open_now)
    kept = {"code": "already_open", "error": receipt.sentence, "ops_action_id": str(open_now)}
    assert alerts.proposal().decisions[-1]["details"] == kept


def test_where_sira_says_not_why_the_action_says_nothing_of_it(alerts: Alerts) -> None:
    action = alerts.action(made(alerts.alert(said={"action": "TOP_UP", "confidence": 0.95})))
    assert action.params == {"agent_id": "agent-1", "alert_id": "a-1", "sira_confidence": 0.95}


def test_who_is_not_sure_enough_is_told_how_sure_to_be(alerts: Alerts) -> None:
    sentence = alerts.alert(said=SURE | {"confidence": 0.8999}).sentence
    assert sentence == "Nothing is done: SIRA is sure to 0.8999, and 0.90 is asked for."
    low = {"reason": "low_confidence", "confidence": 0.8999, "auto_threshold": "0.90"}
    assert alerts.proposal().decisions[-1]["details"] == low


@pytest.mark.parametrize(("threshold", "confidence"), [("0.90", 0.9), ("1", 1), ("0", 0), ("0.3", 0.3)])
def test_thresholds_are_exact_and_zero_is_zero(threshold: str, confidence: float) -> None:
    assert Alerts(auto_threshold=threshold).alert(said=SURE | {"confidence": confidence}).action_id is not None


def test_a_cooldown_begins_with_the_action_for_whomever_and_ends_on_time(alerts: Alerts) -> None:
    assert alerts.alert().action_id is not None
    alerts.wait(599)
    assert alerts.alert("a-2", tenant_id="agent-2").action_id is None
    assert alerts.alert("a-3", None).action_id is None  # nobody need be asked
    assert [alerts.decisions(each) for each in ("a-2", "a-3")] == [["skip cooldown"], ["skip cooldown"]]
    alerts.wait(1)
    assert alerts.alert("a-2", tenant_id="agent-2").action_id is not None
    assert alerts.decisions("a-2") == ["skip cooldown", *CREATED]
    assert alerts.proposal("a-2").updated_at == alerts.world.now


def test_a_cooldown_of_zero_is_none() -> None:
    alerts = Alerts(cooldown_seconds=0)
    assert None not in [alerts.alert(f"a-{number}").action_id for number in range(3)]


def test_a_cooldown_of_zero_is_none_though_the_clock_steps_back() -> None:
    alerts = Alerts(cooldown_seconds=0)
    made(alerts.alert("a-1"))
    alerts.wait(-5)
    assert made(alerts.alert("a-2"))


def test_what_was_skipped_begins_no_cooldown(alerts: Alerts) -> None:
    alerts.alert("a-1", SURE | {"confidence": 0.1})
    assert alerts.alert("a-2").action_id is not None


def test_without_a_recommendation_it_waits_and_one_answer_counts(alerts: Alerts) -> None:
    assert alerts.asked().due_at == NOW + timedelta(seconds=ASK_AGAIN_SECONDS)
    assert answer(alerts.alert(said=None)) == "duplicate"
    assert alerts.decisions() == []
    created = alerts.say(SURE)
    assert created.action_id == alerts.proposal().action_id is not None
    assert alerts.proposal().due_at is None
    assert alerts.decisions() == CREATED
    again = alerts.say(SURE)
    assert (answer(again), again.action_id) == ("not_due", created.action_id)
    assert alerts.decisions() == CREATED


@pytest.mark.parametrize("changed", [{"metric": {"value": 1_000_000}}, {"severity": "info"}, {"title": "worse"}])
def test_what_sira_says_of_an_alert_is_not_taken_for_what_it_says_once_that_came_anew(
    alerts: Alerts, changed: dict[str, Any]
) -> None:
    alerts.asked()
    alerts.alert(said=SURE | {"confidence": 0.1})  # it is decided while SIRA is asked,
    alerts.alert(said=None, **changed)  # and SIRA is asked anew, about something else
    waiting = alerts.proposal()
    assert answer(alerts.say(SURE)) == "not_due"
    assert (alerts.proposal(), alerts.world.actions) == (waiting, {})
    assert made(alerts.say(SURE, **changed)) == alerts.proposal().action_id


def test_what_stands_in_for_sira_creates_nothing_and_says_why(alerts: Alerts) -> None:
    alerts.asked()
    alerts.say({"action": "manual_review", "confidence": 0.5}, fallback="SIRA answered HTTP 500.")
    assert alerts.decisions() == ["suggest", "skip low_confidence"]
    details = alerts.proposal().decisions[0]["details"]
    assert details == {"action": "manual_review", "confidence": 0.5, "fallback": "SIRA answered HTTP 500."}
    assert alerts.proposal().due_at is None  # it is asked no more


def test_manual_review_is_followed_by_no_rule_however_low_its_threshold() -> None:
    alerts = Alerts(auto_threshold=0)
    alerts.asked()
    alerts.say({"action": "manual_review", "confidence": 0.5}, fallback="nobody was asked")
    assert alerts.decisions() == ["suggest", "skip different_action"]


def test_the_cooldown_is_looked_at_again_when_sira_has_answered(alerts: Alerts) -> None:
    alerts.asked("a-1")
    alerts.asked("a-2")
    assert alerts.say(SURE, "a-1").action_id is not None
    assert alerts.say(SURE, "a-2").action_id is None
    assert alerts.decisions("a-2") == ["suggest", "skip cooldown"]


def test_a_recommendation_that_comes_while_sira_is_asked_counts_at_once(alerts: Alerts) -> None:
    alerts.asked()
    assert alerts.alert().action_id is not None
    assert answer(alerts.say(SURE)) == "not_due"


def test_an_alert_whose_senders_key_counts_no_more_is_not_answered(alerts: Alerts) -> None:
    alerts.asked()
    alerts.world.scopes.clear()
    assert answer(alerts.say(SURE)) == "key_not_valid"
    assert alerts.decisions() == ["suggest", "error"]
    assert alerts.world.actions == {}


def test_a_rule_that_changed_while_sira_was_asked_does_not_widen_a_senders_scope(alerts: Alerts) -> None:
    alerts.asked()
    alerts.define("action_type", TYPE.model_dump(mode="json") | {"name": "OTHER"})
    alerts.define("remediation_rule", RULE | {"auto_action": {"action_type": "OTHER"}})
    assert answer(alerts.say(SURE | {"action": "OTHER"})) == "out_of_scope"
    assert alerts.world.actions == {}


@pytest.mark.parametrize(
    "scope", [{"types": ()}, {"origins": ("sira",)}, {"action_types": ("OTHER",)}, {"action_types": ()}]
)
def test_a_sender_needs_the_scope_for_what_its_alert_leads_to(alerts: Alerts, scope: dict[str, Any]) -> None:
    assert answer(alerts.alert(scope=SENDER.model_copy(update=scope))) == "out_of_scope"
    assert alerts.world.proposals == {}


def test_a_creation_that_is_refused_leaves_its_decision_and_nothing_else(alerts: Alerts) -> None:
    wrong = SURE | {"params": {"agent_id": "agent-2"}}  # another agent than the alert's
    receipt = alerts.alert(said=wrong)
    assert answer(receipt) == "target_mismatch"
    assert alerts.decisions() == ["suggest", "error"]
    assert alerts.proposal().decisions[-1]["details"] == {"code": "target_mismatch", "error": receipt.sentence}
    assert (alerts.world.actions, alerts.world.changes.events, alerts.world.remedied_at) == ({}, [], {})
    assert alerts.alert().action_id is not None


@pytest.mark.parametrize("other", [{"tenant_id": "agent-9"}, {"issuer": "others"}, {"tenant_type": "merchant"}])
def test_an_id_is_one_alerts(alerts: Alerts, other: dict[str, Any]) -> None:
    alerts.alert(said=SURE | {"confidence": 0.1})
    before = alerts.proposal()
    assert answer(alerts.alert(**other)) == "proposal_conflict"
    assert alerts.proposal() == before


def test_an_alert_that_is_answered_is_a_duplicate_whatever_it_says(alerts: Alerts) -> None:
    first = alerts.alert()
    again = alerts.alert(severity="info", said=None)
    assert (again.outcome, again.action_id) == ("duplicate", first.action_id)
    assert alerts.decisions() == CREATED


def test_what_somebody_else_does_about_an_alert_answers_it_too(alerts: Alerts) -> None:
    by_hand = alerts.created({"params": {"agent_id": "agent-1", "alert_id": "a-1"}})
    receipt = alerts.alert()
    assert (receipt.outcome, receipt.action_id) == ("applied", by_hand)
    assert alerts.decisions() == ["skip already_answered"]
    for person in ("f1", "f2"):
        alerts.vote(by_hand, person, "reject")
    assert alerts.status(by_hand) == "rejected"
    assert alerts.alert().action_id not in (None, by_hand)


def test_what_somebody_did_about_an_alert_and_came_to_nothing_in_time_answers_it_no_longer_swept_or_not(
    alerts: Alerts,
) -> None:
    by_hand = alerts.created({"params": {"agent_id": "agent-1", "alert_id": "a-1"}})
    alerts.wait(HOUR)
    assert alerts.alert().action_id == by_hand  # it is escalated by now, and may still be approved
    assert alerts.status(by_hand) == "escalated"
    alerts.wait(HOUR)
    assert made(alerts.alert()) != by_hand
    assert alerts.status(by_hand) == "expired"
    assert alerts.decisions() == ["skip already_answered", *CREATED]


@pytest.mark.parametrize("end", ["rejected", "cancelled", "expired", "failed"])
@pytest.mark.parametrize("ask", [False, True])
def test_what_its_sender_asked_for_under_the_alerts_key_answers_it_until_that_came_to_nothing(
    alerts: Alerts, end: str, *, ask: bool
) -> None:
    if ask:
        alerts.asked()
    first = made(alerts.create({"idempotency_key": "alert-a-1-remediation", "origin": "alert"}, issuer="alerts"))
    if not ask:
        assert made(alerts.alert()) == first
        assert made(alerts.alert()) == first
        assert alerts.decisions() == ["skip already_answered"]  # the same again is not told twice
    for person in ("f1", "f2") if end in {"rejected", "failed"} else ():
        alerts.vote(first, person, "reject" if end == "rejected" else "approve")
    if end == "cancelled":
        alerts.tell(CancelAction(action_id=first, cancelled_by="admin"))
    if end == "expired":  # and no sweep comes
        alerts.wait(2 * HOUR)
    if end == "failed":
        alerts.ask_to_execute(first)
        alerts.start(first, 1)
        alerts.finish(first, 1, Rejected("no"))
    told = alerts.say(SURE) if ask else alerts.alert()
    assert (answer(told), told.action_id) == ("idempotency_conflict", first)
    assert told.sentence.endswith(f"It is action {first}, which is {end}; a person can remedy the alert by hand.")
    kept = {"code": "idempotency_conflict", "error": told.sentence, "ops_action_id": str(first)}
    assert (alerts.decisions()[-1], alerts.proposal().decisions[-1]["details"]) == ("error", kept)
    assert (alerts.proposal().action_id, alerts.proposal().due_at, alerts.status(first)) == (None, None, end)


def test_what_its_sender_asked_for_under_the_alerts_key_and_was_executed_answers_it(alerts: Alerts) -> None:
    first = alerts.approved(idempotency_key="alert-a-1-remediation")
    alerts.ask_to_execute(first)
    alerts.start(first, 1)
    alerts.finish(first, 1, Done())
    assert made(alerts.alert(issuer="tooling")) == first
    assert alerts.decisions() == ["skip already_answered"]


def test_an_alert_that_comes_again_waits_as_it_came_last_and_under_the_key_that_brought_it(alerts: Alerts) -> None:
    alerts.alert(said=SURE | {"confidence": 0.1})
    alerts.asked()
    assert answer(alerts.say(SURE | {"confidence": 0.1})) == "applied"
    alerts.alert(said=None, kid="tooling-2", severity="info")
    assert alerts.proposal().content["alert"]["severity"] == "info"
    assert (
        answer(alerts.say(SURE, severity="info")) == "key_not_valid"
    )  # the first key's word is not taken for the second one's
    assert alerts.world.actions == {}


@pytest.mark.parametrize(
    ("person", "expected"), [("admin", "applied"), ("f1", "creator_not_allowed"), ("pay", "creator_not_allowed")]
)
def test_remedying_by_hand_takes_an_ops_admin(alerts: Alerts, person: str, expected: str) -> None:
    params = {"agent_id": "agent-1", "alert_id": "a-1"}
    assert answer(alerts.create({"origin": "ops_ui", "created_by": person, "params": params})) == expected
    assert answer(alerts.create({"origin": "ops_ui", "created_by": person, "idempotency_key": "other"})) == "applied"


@pytest.mark.parametrize(
    ("origin", "person", "expected"),
    [
        ("alert", "alert-system", "applied"),
        ("sira", "sira-system", "applied"),
        ("module", "a-module", "creator_not_allowed"),
        ("system", "a-system", "creator_not_allowed"),
        ("module", "admin", "creator_not_allowed"),
        ("alert", "pay", "creator_not_allowed"),
        ("sira", "admin", "applied"),
    ],
)
def test_whoever_could_create_something_cannot_have_an_alert_left_alone_by_it(
    alerts: Alerts, origin: str, person: str, expected: str
) -> None:
    params = {"agent_id": "agent-1", "alert_id": "a-1"}
    assert answer(alerts.create({"origin": origin, "created_by": person, "params": params})) == expected
    told = alerts.alert()
    assert (told.action_id == alerts.proposal().action_id) is (expected != "applied")


def test_an_alert_that_is_named_by_a_number_is_answered_too(alerts: Alerts) -> None:
    by_hand = alerts.created({"params": {"agent_id": "agent-1", "alert_id": 7}})
    assert alerts.alert("7").action_id == by_hand
    assert alerts.decisions("7") == ["skip already_answered"]


def test_one_alert_is_not_decided_about_for_ever() -> None:
    alerts = Alerts()
    unsure = [SURE | {"confidence": 0.1 + number / 1000} for number in range(MOST_DECISIONS // 2)]
    assert {answer(alerts.alert(said=said)) for said in unsure} == {"applied"}
    assert answer(alerts.alert()) == "proposal_closed"


def test_an_alert_that_comes_again_and_again_while_another_action_is_open_is_answered_after_it(alerts: Alerts) -> None:
    alerts.define("action_type", TYPE.model_dump(mode="json") | {"exclusive_params": ["agent_id"]})
    open_now = alerts.created()
    assert {answer(alerts.alert()) for _ in range(2 * MOST_DECISIONS)} == {"already_open"}
    assert alerts.decisions() == ["suggest", "error"]
    alerts.wait(HOUR)
    alerts.sweep(open_now)
    alerts.wait(HOUR)
    alerts.sweep(open_now)
    assert alerts.status(open_now) == "expired"
    assert alerts.alert().action_id is not None
    assert alerts.decisions() == ["suggest", "error", *CREATED]


def test_what_sira_says_again_of_an_alert_that_comes_again_is_told_once(alerts: Alerts) -> None:
    for confidence in (0.1, 0.1, 0.2, 0.1):
        alerts.asked()
        assert alerts.say(SURE | {"confidence": confidence}).outcome == "applied"
        assert alerts.proposal().due_at is None
    assert alerts.decisions() == ["suggest", "skip low_confidence"] * 3


def test_an_alert_that_comes_again_and_again_during_a_cooldown_is_answered_after_it(alerts: Alerts) -> None:
    alerts.alert("a-1")
    for _ in range(2 * MOST_DECISIONS):
        alerts.wait(1)
        assert alerts.alert("a-2").action_id is None
    alerts.wait(600)
    assert alerts.alert("a-2").action_id is not None
    assert alerts.decisions("a-2") == ["skip cooldown", *CREATED]


def test_another_reason_to_skip_an_alert_is_told(alerts: Alerts) -> None:
    alerts.alert("a-1")
    alerts.alert("a-2")
    alerts.define("remediation_rule", RULE | {"enabled": False})
    for _ in range(2):
        alerts.alert("a-2")
    alerts.define("remediation_rule", RULE)
    alerts.alert("a-2")
    assert alerts.decisions("a-2") == ["skip cooldown", "skip disabled", "skip cooldown"]


@pytest.mark.parametrize("said", [SURE, None])
def test_alerts_that_ask_for_something_have_an_hours_share_whatever_their_rules_cooldown(
    said: dict[str, Any] | None,
) -> None:
    """An action, or SIRA's time; about what is skipped nobody need wait."""
    alerts = Alerts(cooldown_seconds=0)
    alerts.world.limits = Limits(creates_per_hour=2)
    alerts.define("remediation_rule", RULE | {"name": "dlq_growth", "enabled": False})
    skipped = [alerts.alert(f"s-{number}", said, alert_type="dlq_growth") for number in range(3)]
    told = [alerts.alert(f"a-{number}", said) for number in range(3)]
    assert [answer(each) for each in (*skipped, *told)] == ["applied"] * 5 + ["rate_limited"]
    assert "a-2" not in [proposal.id for proposal in alerts.world.proposals.values()]
    assert answer(alerts.alert("a-0", said)) == "duplicate"
    assert answer(alerts.alert("s-4", said, alert_type="dlq_growth")) == "applied"


def test_votes_that_came_before_the_action_count(alerts: Alerts) -> None:
    action_id = alerts.message(body_of("RemediateAlert", {"alert": ALERT}), issuer="alerts").action_id
    assert action_id is not None
    vote = alerts.message(body_of("CastVote", {"action_id": action_id, "voter_id": "f1", "vote": "approve"}))
    assert step(alerts.world, vote).outcome == "parked"
    alerts.world.parked[action_id] = [vote]
    assert alerts.alert().action_id == action_id
    assert alerts.action(action_id).votes_approve == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"required_approvals": 0},
        {"cooldown_seconds": -1},
        {"auto_threshold": 1.01},
        {"auto_threshold": -0.1},
        {"auto_threshold": True},
        {"auto_threshold": "NaN"},
        {"auto_threshold": None},
        {"approver_role": "*"},
        {"auto_action": {"action_type": "CHANGE_DEFINITION"}},
        {"auto_action": {"action_type": "manual_review"}},
        {"auto_action": {"action_type": "TOP_UP", "params": {"amount": 2**60}}},
        {"auto_treshold": 0.5},
    ],
)
def test_a_rule_that_is_not_wholly_understood_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        RemediationRule.model_validate(RULE | wrong)


def test_a_rule_has_the_defaults_of_the_system_that_it_replaces() -> None:
    rule = RemediationRule.model_validate(RULE)
    assert (rule.auto_threshold, rule.cooldown_seconds, rule.required_approvals) == (Decimal("0.90"), 600, 2)
    assert (rule.enabled, rule.require_multi_sig, rule.approver_role) == (True, False, "ops_admin")
    assert RemediationRule.model_validate(rule.model_dump(mode="json")) == rule
