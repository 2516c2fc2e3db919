"""One step: what is let in, what a message's one receipt is, and what creating an action freezes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.definitions import Versioned
from domain.engine import Drop, ParkingEnded, Undigestible, step
from domain.keys import Scope
from domain.messages import LIFETIME_SECONDS, Unopened, action_id
from domain.policy import Policy
from domain.refusals import Code, Refusal
from tests.unit.in_memory import BODY, NOW, WHOLE, InMemory, answer, body_of, directory

CREATE = body_of("CreateAction", BODY)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "applied"),
        ({"audience": "elsewhere"}, "wrong_audience"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW + timedelta(seconds=1)}, "applied"),
        ({"issued_at": NOW + timedelta(seconds=30)}, "applied"),
        ({"issued_at": NOW + timedelta(seconds=31)}, "not_yet_valid"),
        ({"expires_at": NOW + timedelta(seconds=LIFETIME_SECONDS)}, "applied"),
        ({"expires_at": NOW + timedelta(seconds=LIFETIME_SECONDS + 1)}, "lifetime_too_long"),
        ({"body": Refusal(Code.INVALID_BODY)}, "invalid_body"),
        ({"scope": Scope()}, "out_of_scope"),
        ({"scope": WHOLE.model_copy(update={"types": ("CastVote",)})}, "out_of_scope"),
        ({"scope": WHOLE.model_copy(update={"origins": ("alert",)})}, "out_of_scope"),
        ({"scope": WHOLE.model_copy(update={"origins": ()})}, "out_of_scope"),
        ({"scope": WHOLE.model_copy(update={"action_types": ("OTHER",)})}, "out_of_scope"),
        ({"scope": WHOLE.model_copy(update={"action_types": ("TOP_UP",), "origins": ("sira",)})}, "applied"),
    ],
)
def test_the_gate_lets_in_what_is_addressed_in_time_and_in_scope(changes: dict[str, Any], expected: str) -> None:
    engine = InMemory()
    message = replace(engine.message(CREATE), **changes)
    receipt = step(engine.world, message)
    assert answer(receipt) == expected
    assert bool(engine.world.actions) is (expected == "applied")
    record = engine.world.records[message.content_sha256]
    assert record.receipt == receipt
    assert (record.issuer, record.jti, record.kid) == ("tooling", message.jti, "tooling-1")


def test_the_same_token_again_gets_the_stored_receipt_even_after_its_exp() -> None:
    engine = InMemory()
    message = engine.message(CREATE)
    first = step(engine.world, message)
    events = len(engine.world.changes.events)
    engine.wait(LIFETIME_SECONDS)
    assert step(engine.world, message) == first
    assert len(engine.world.changes.events) == events
    refused = replace(engine.message(CREATE), audience="elsewhere")
    assert step(engine.world, refused) == step(engine.world, refused)


def test_the_same_identity_with_other_bytes_is_a_conflict_and_changes_nothing() -> None:
    engine = InMemory()
    first = engine.message(CREATE, jti="same")
    other = engine.message(body_of("CreateAction", BODY | {"idempotency_key": "k2"}), jti="same")
    assert answer(step(engine.world, first)) == "applied"
    assert answer(step(engine.world, other)) == "identity_conflict"
    assert answer(step(engine.world, other)) == "identity_conflict"
    assert answer(step(engine.world, first)) == "applied"
    assert len(engine.world.actions) == 1
    elsewhere = replace(other, issuer="another", content_sha256=b"x" * 32)
    assert answer(step(engine.world, elsewhere)) == "applied"


def test_what_cannot_be_opened_is_quarantined_once_and_takes_no_identity() -> None:
    engine = InMemory()
    message = engine.message(CREATE)
    unopened = Unopened(message.content_sha256, Refusal(Code.UNKNOWN_KEY), "…")
    assert step(engine.world, unopened) == step(engine.world, unopened)
    record = engine.world.records[message.content_sha256]
    assert (record.outcome, record.issuer, record.jti, record.token) == ("quarantined", None, None, None)
    assert record.excerpt == "…"
    assert answer(step(engine.world, message)) == "applied"  # its key is known by now
    assert answer(step(engine.world, unopened)) == "applied"  # and revoked again: the receipt stays


def test_a_dead_letter_is_recorded_and_tried_again_when_it_comes_again() -> None:
    engine = InMemory()
    message = engine.message(CREATE)
    for _ in range(2):
        receipt = step(engine.world, Undigestible(message, "(DataError)"))
        assert answer(receipt) == "dead_letter"
        assert "(DataError)" in receipt.sentence
        assert not engine.world.actions
    assert answer(step(engine.world, message)) == "applied"
    assert answer(step(engine.world, Undigestible(message, "(DataError)"))) == "applied"


def test_a_dead_letter_that_comes_again_after_its_exp_is_refused() -> None:
    engine = InMemory()
    message = engine.message(CREATE)
    step(engine.world, Undigestible(message, "(DataError)"))
    engine.wait(86_400)
    assert answer(step(engine.world, message)) == "expired"
    assert not engine.world.actions


def test_what_an_operator_drops_stays_dropped_with_the_reason() -> None:
    engine = InMemory()
    dead, unknown = engine.message(CREATE), engine.message(CREATE)
    step(engine.world, Undigestible(dead, "(DataError)"))
    step(engine.world, Unopened(unknown.content_sha256, Refusal(Code.UNKNOWN_KEY), "…"))
    for message in (dead, unknown):
        drop = Drop(message.content_sha256, "eve", "sent by a test")
        assert answer(step(engine.world, drop)) == "dropped"
        receipt = step(engine.world, message)
        assert answer(receipt) == "dropped"
        assert receipt.sentence.endswith("By eve: sent by a test")
        assert step(engine.world, Drop(message.content_sha256, "bob", "again")) == receipt
    assert not engine.world.actions


def test_what_has_its_answer_is_not_dropped() -> None:
    engine = InMemory()
    message = engine.message(CREATE)
    receipt = step(engine.world, message)
    assert step(engine.world, Drop(message.content_sha256, "eve", "no")) == receipt
    assert answer(step(engine.world, message)) == "applied"
    assert answer(step(engine.world, Drop(b"?" * 32, "eve", "never came"))) == "not_due"


def test_what_stays_closed_for_another_reason_says_the_newest() -> None:
    engine = InMemory()
    content = engine.message(CREATE).content_sha256
    for code in (Code.UNKNOWN_KEY, Code.KEY_NOT_VALID):
        assert answer(step(engine.world, Unopened(content, Refusal(code), "…", "a.b.c"))) == code
    assert engine.world.records[content].token == "a.b.c"  # noqa: S105 - a message, not a secret


def test_a_message_that_has_its_receipt_is_never_buried() -> None:
    engine = InMemory()
    message = engine.message(CREATE)
    receipt = step(engine.world, message)
    step(engine.world, Undigestible(message, "(DataError)"))
    assert step(engine.world, message) == receipt


def test_the_same_key_and_body_again_is_a_duplicate_and_another_body_a_conflict() -> None:
    engine = InMemory()
    first, again = engine.create(), engine.create()
    assert (answer(again), again.action_id) == ("duplicate", first.action_id)
    assert first.action_id == action_id("tooling", "k1", "whatever")
    reordered = engine.create({"params": dict(reversed(list(BODY["params"].items())))})
    assert answer(reordered) == "duplicate"
    assert answer(engine.create({"params": BODY["params"] | {"amount": 6}})) == "idempotency_conflict"
    assert answer(engine.create({"auto_execute": True})) == "idempotency_conflict"
    assert (
        answer(engine.create({"auto_execute": None})) == "idempotency_conflict"
    )  # another value, though it means the same
    assert len(engine.world.actions) == 1
    assert engine.events(first.action_id) == ["created"]


def test_without_a_key_every_message_makes_its_own_action() -> None:
    engine = InMemory()
    assert engine.created({"idempotency_key": None}) != engine.created({"idempotency_key": None})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"target_tenant_type": "agent", "target_tenant_id": "agent-1"}, "applied"),
        ({"target_tenant_id": "agent-2"}, "target_mismatch"),
        ({"target_tenant_type": "merchant"}, "target_mismatch"),
        ({"params": {}}, "target_mismatch"),
        ({"params": {"agent_id": 5}}, "target_mismatch"),
        ({"params": {"agent_id": ""}}, "target_mismatch"),
        ({"params": {"agent_id": ["agent-1"]}, "target_tenant_id": "agent-1"}, "target_mismatch"),
        ({"action_type": "UNKNOWN"}, "unknown_action_type"),
    ],
)
def test_the_target_is_the_one_that_the_params_name(changes: dict[str, Any], expected: str) -> None:
    engine = InMemory()
    receipt = engine.create(changes)
    assert answer(receipt) == expected
    if receipt.action_id in engine.world.actions and receipt.action_id is not None:
        action = engine.action(receipt.action_id)
        assert (action.target_tenant_type, action.target_tenant_id) == ("agent", "agent-1")


@pytest.mark.parametrize(
    ("origin", "created_by", "roles", "expected"),
    [
        ("ops_ui", "admin", ("*",), "applied"),
        ("ops_ui", "f1", ("*",), "applied"),
        ("ops_ui", "pay", ("*",), "applied"),
        ("ops_ui", "cfo", ("*",), "creator_not_allowed"),
        ("ops_ui", "viewer", ("*",), "creator_not_allowed"),
        ("ops_ui", "stranger", ("*",), "creator_not_allowed"),
        ("ops_ui", "admin", (), "creator_not_allowed"),
        ("ops_ui", "admin", ("finance_ops",), "creator_not_allowed"),
        ("ops_ui", "admin", ("ops_admin",), "applied"),
        ("sira", "sira-system", (), "applied"),
        ("sira", "admin", (), "creator_not_allowed"),  # a machine's key cannot act in a person's name
        ("sira", "viewer", ("*",), "creator_not_allowed"),
    ],
)
def test_who_creates_as_a_person_needs_a_role_that_the_key_may_speak_for(
    origin: str, created_by: str, roles: tuple[str, ...], expected: str
) -> None:
    scope = WHOLE.model_copy(update={"roles": roles})
    receipt = InMemory().create({"origin": origin, "created_by": created_by}, scope=scope)
    assert answer(receipt) == expected
    unspoken = (created_by, expected) == ("admin", "creator_not_allowed")
    assert ("The key may not speak for ops_admin, which they hold." in receipt.sentence) is unspoken


@pytest.mark.parametrize(
    "criteria",
    [
        {"action_type": "TOP_UP"},
        {"origin": "sira"},
        {"risk_level": "medium"},
        {"target_tenant_type": "agent"},
        {"target_tenant_id": "agent-1"},
        {"created_by": "sira-system"},
        {"params.amount": 5},
    ],
)
def test_a_policy_is_chosen_by_whatever_field_of_the_action_it_names(criteria: dict[str, Any]) -> None:
    engine = InMemory()
    (known,) = engine.world.definitions.policies
    asked = known.definition.model_dump(mode="json") | {"name": "Named", "criteria": criteria, "priority": 999}
    named = Policy.model_validate(asked)
    engine.world.definitions = replace(engine.world.definitions, policies=(known, Versioned(1, named)))
    assert engine.action(engine.created()).policy_name == "Named"


@pytest.mark.parametrize(
    ("asked", "expected"), [(None, "medium"), ("low", "medium"), ("medium", "medium"), ("critical", "critical")]
)
def test_a_message_can_only_raise_the_risk_level(asked: str | None, expected: str) -> None:
    engine = InMemory()
    assert engine.action(engine.created({"risk_level": asked} if asked else {})).risk_level == expected


def test_later_definitions_and_people_touch_no_open_action() -> None:
    engine = InMemory({"required_quorum": {"type": "percentage", "value": {"percentage": 0.5, "pool": "finance_ops"}}})
    action = engine.created()
    before = engine.action(action)
    engine.world.definitions = InMemory({"required_quorum": {"type": "none"}}).world.definitions
    engine.world.directory = directory({"f1": ["finance_ops"], "f2": ["finance_ops"]})
    engine.vote(action, "f1")
    assert engine.status(action) == "pending_approval"  # two of four, as at its creation
    assert engine.action(action).requirement == before.requirement
    assert engine.action(action).content_hash == before.content_hash


def test_the_content_hash_is_of_all_that_people_agree_to() -> None:
    hashes = {
        engine.action(engine.created(changes)).content_hash
        for engine, changes in (
            (InMemory(), {}),
            (InMemory(), {"params": BODY["params"] | {"amount": 6}}),
            (InMemory(), {"triggered_by": "f1"}),
            (InMemory(), {"auto_execute": True}),
            (InMemory({"required_ratio": 0.75}), {}),
            (InMemory({"timeout_seconds": 60}), {}),
            (InMemory({"escalation_role": "pay_admin"}), {}),
            (InMemory({"execute_within_seconds": 60}), {}),
        )
    }
    assert len(hashes) == 8
    one, two = InMemory(), InMemory()
    assert one.action(one.created()).content_hash == two.action(two.created()).content_hash


@pytest.mark.parametrize(("by_policy", "by_message"), [(None, True), (True, None), (True, True)])
def test_what_needs_nobodys_approval_and_executes_by_itself_is_due_at_once(
    by_policy: bool | None, by_message: bool | None
) -> None:
    engine = InMemory({"required_quorum": {"type": "none"}, "auto_execute": by_policy})
    action = engine.created({"auto_execute": by_message})
    assert engine.events(action) == ["created", "approved"]
    assert engine.action(action).executable_at(NOW)
    assert answer(engine.vote(action, "f1")) == "action_closed"


def test_parking_ends_with_the_exp_of_the_vote() -> None:
    engine = InMemory()
    vote = engine.message(body_of("CastVote", {"action_id": uuid4(), "voter_id": "f1", "vote": "approve"}))
    assert answer(step(engine.world, vote)) == "parked"
    assert vote.action_id is not None
    ended = ParkingEnded(vote.content_sha256, vote.action_id)
    engine.wait(86_399)
    assert answer(step(engine.world, ended)) == "not_due"
    engine.wait(1)
    receipt = step(engine.world, ended)
    assert answer(receipt) == "unknown_action"
    assert "waited for it until its exp" in receipt.sentence
    assert step(engine.world, vote) == receipt
    assert answer(step(engine.world, ended)) == "not_due"
