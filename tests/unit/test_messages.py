"""What may be said, in which form, and the identity of the action that it makes."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exact_json import parse_json
from domain.messages import CastVote, CreateAction, SyncDirectory, action_id, parse_body
from domain.quorum import Choice
from domain.refusals import Code, Refusal

ACTION = "6e5d7d1c-90a3-5f0b-8f5c-0a3a3e0f2a11"
EXPLANATION = {"features": [{"name": "freq", "value": 3.5, "weight": 0.25}], "model": "m-1"}


def test_the_id_of_an_action_never_changes() -> None:
    """Literal: producers and stored rows rely on it."""
    assert action_id("alerts", "alert-1-remediation", "j1") == UUID("c1042355-1d68-5d5b-b7ab-bb60e63362e1")
    assert action_id("alerts", None, "j1") == UUID("54c2025e-4e05-5925-84c1-cdcfe20b7522")


def test_the_id_depends_on_the_key_where_there_is_one_and_else_on_the_jti() -> None:
    assert action_id("a", "k", "j1") == action_id("a", "k", "j2")
    assert action_id("a", None, "j1") != action_id("a", None, "j2")


@given(st.lists(st.tuples(st.text(max_size=4), st.none() | st.text(max_size=4), st.text(max_size=4)), max_size=6))
def test_different_identities_never_meet_in_one_id(identities: list[tuple[str, str | None, str]]) -> None:
    sources = {(issuer, key is None, jti if key is None else key) for issuer, key, jti in identities}
    assert len({action_id(*identity) for identity in identities}) == len(sources)


def test_no_issuer_can_squat_the_action_of_another() -> None:
    tricks = [("a", 'b","key","c', ""), ('a","key","b', "c", ""), ("a", None, "key"), ("a", "jti", ""), ("A", "k", "")]
    assert len({action_id(*trick) for trick in tricks}) == len(tricks)
    assert action_id("a", "same", "x") != action_id("b", "same", "x")
    assert action_id("a", "same", "x") != action_id("a", None, "same")


SPEC_OBJECTS: dict[str, dict[str, Any]] = {
    "alert remediation": {
        "idempotency_key": "alert-1-remediation",
        "origin": "alert",
        "action_type": "PAUSE_PAYOUT",
        "params": {
            "merchant_id": "merchant-123",
            "duration": 3600,
            "alert_id": "1",
            "sira_confidence": 0.95,
            "sira_explanation": EXPLANATION,
        },
        "target_tenant_type": "merchant",
        "target_tenant_id": "merchant-123",
        "auto_execute": True,
        "created_by": "sira-system",
    },
    "manual remediation": {
        "idempotency_key": "alert-1-manual-remediation",
        "origin": "ops_ui",
        "action_type": "FREEZE_MERCHANT",
        "params": {"merchant_id": "merchant-123", "reason": "refund_spike", "alert_id": "1"},
        "target_tenant_type": "merchant",
        "target_tenant_id": "merchant-123",
        "created_by": "user-1",
    },
    "recommendation": {
        "idempotency_key": "sira-rec-1",
        "origin": "sira",
        "action_type": "ROUTE_PAYOUT_OVERRIDE",
        "params": {
            "bank_profile_id": "bank-1",
            "sira_recommendation_id": "1",
            "sira_confidence": 0.9,
            "sira_explanation": EXPLANATION,
        },
        "target_tenant_type": "bank",
        "target_tenant_id": "bank-1",
        "auto_execute": True,
        "created_by": "sira-system",
    },
    "applied recommendation": {
        "idempotency_key": "sira-rec-1-apply",
        "origin": "ops_ui",
        "action_type": "ROUTE_PAYOUT_OVERRIDE",
        "params": {"bank_profile_id": "bank-1"},
        "target_tenant_type": "bank",
        "target_tenant_id": "bank-1",
        "created_by": "user-1",
    },
    "custom type": {
        "origin": "ops_ui",
        "action_type": "ADJUST_MERCHANT_FEE",
        "params": {"merchant_id": "merchant-123", "fee_percentage": 3.5, "effective_date": "2025-02-01"},
        "created_by": "user-1",
    },
    "complete example": {
        "idempotency_key": "alert-1-sira-rec",
        "origin": "sira",
        "action_type": "ADJUST_FLOAT",
        "params": {
            "agent_id": "agent-123",
            "adjustment": "top_up",
            "amount": 1_000_000,
            "alert_id": "1",
            "sira_confidence": 0.95,
        },
        "target_tenant_type": "agent",
        "target_tenant_id": "agent-123",
        "auto_execute": False,
        "created_by": "sira-system",
    },
}
CREATE = SPEC_OBJECTS["complete example"]
VOTE = {"action_id": ACTION, "voter_id": "finance-user-1", "vote": "approve"}
SYNC = {"snapshot": 1, "people": [{"id": "u", "grants": [{"role": "cfo"}]}]}


@pytest.mark.parametrize("name", SPEC_OBJECTS)
def test_the_objects_of_the_spec_are_accepted_as_they_are_written(name: str) -> None:
    body = parse_body("CreateAction", parse_json(json.dumps(SPEC_OBJECTS[name]).encode()))
    assert isinstance(body, CreateAction)
    assert body.model_dump(mode="json", exclude_unset=True) == SPEC_OBJECTS[name]


def test_a_vote_of_the_spec_is_accepted() -> None:
    claimed = VOTE | {"voter_roles": ["finance_ops"], "comment": "Reviewed float levels, approve top-up"}
    body = parse_body("CastVote", claimed | {"cast_at": "2025-11-12T10:00:00Z", "metadata": {"ip_address": "10.0.0.1"}})
    assert isinstance(body, CastVote)
    assert (body.vote, body.cast_at) == (Choice.APPROVE, datetime(2025, 11, 12, 10, tzinfo=UTC))


@pytest.mark.parametrize(
    ("type_name", "body", "field"),
    [
        ("CreateAction", [], "body"),
        ("CreateAction", None, "body"),
        ("CreateAction", {}, "origin"),
        ("CreateAction", CREATE | {"priority": 1}, "priority"),
        ("CreateAction", CREATE | {"origin": "SIRA"}, "origin"),
        ("CreateAction", CREATE | {"params": []}, "params"),
        ("CreateAction", CREATE | {"auto_execute": 1}, "auto_execute"),
        ("CreateAction", CREATE | {"auto_execute": "false"}, "auto_execute"),
        ("CreateAction", CREATE | {"action_type": 5}, "action_type"),
        ("CreateAction", CREATE | {"created_by": ""}, "created_by"),
        ("CreateAction", CREATE | {"created_by": None}, "created_by"),
        ("CreateAction", CREATE | {"risk_level": 3}, "risk_level"),
        ("CreateAction", CREATE | {"idempotency_key": 5}, "idempotency_key"),
        ("CreateAction", CREATE | {"idempotency_key": "k" * 301}, "idempotency_key"),
        ("CastVote", VOTE | {"weight": 2}, "weight"),
        ("CastVote", VOTE | {"vote": "yes"}, "vote"),
        ("CastVote", VOTE | {"vote": True}, "vote"),
        ("CastVote", VOTE | {"action_id": "42"}, "action_id"),
        ("CastVote", VOTE | {"voter_roles": "cfo"}, "voter_roles"),
        ("CastVote", VOTE | {"voter_roles": [1]}, "voter_roles"),
        ("CastVote", VOTE | {"content_hash": "00"}, "content_hash"),
        ("CastVote", VOTE | {"cast_at": "2025-11-12T10:00:00"}, "cast_at"),
        ("CastVote", VOTE | {"cast_at": "2025-11-12"}, "cast_at"),
        ("CastVote", VOTE | {"cast_at": 1762941600}, "cast_at"),
        ("CastVote", VOTE | {"cast_at": 1762941600.5}, "cast_at"),
        ("CastVote", VOTE | {"cast_at": "1762941600"}, "cast_at"),
        ("CastVote", VOTE | {"cast_at": "0001-01-01T00:00:00+01:00"}, "cast_at"),  # is no moment of UTC's calendar
        ("ExecuteAction", {"action_id": ACTION}, "executed_by"),
        ("SyncDirectory", SYNC | {"snapshot": True}, "snapshot"),
        ("SyncDirectory", SYNC | {"snapshot": 0}, "snapshot"),
        ("SyncDirectory", SYNC | {"people": []}, "people"),
        ("SyncDirectory", {"snapshot": 1, "people": [{"id": "u", "roles": ["cfo"]}]}, "people.0.roles"),
    ],
)
def test_a_body_of_another_form_is_refused_by_the_name_of_its_field(type_name: str, body: Any, field: str) -> None:
    answer = parse_body(type_name, body)
    assert isinstance(answer, Refusal)
    assert answer.code is Code.INVALID_BODY
    assert answer.detail.startswith(field)


@pytest.mark.parametrize("body", [{"\x1b[2J": 1}, {"action_id": "\x1b[2J"}, {"\u202e": 1}])
def test_a_refusal_that_quotes_the_message_can_be_printed(body: Any) -> None:
    """Unknown names, and characters that pydantic found, are the sender's words; they must not rewrite a terminal."""
    answer = parse_body("CastVote", VOTE | body)
    assert isinstance(answer, Refusal)
    assert answer.sentence.isprintable()


@pytest.mark.parametrize(
    "grant",
    [
        {"role": "cfo", "starts_at": "2025-11-12T10:00:00Z", "ends_at": "2025-11-11T10:00:00Z"},
        {"role": "cfo", "ends_at": "9999-12-31T23:59:59-05:00"},
    ],
)
def test_a_grant_that_the_database_could_not_hold_is_refused(grant: dict[str, str]) -> None:
    assert isinstance(parse_body("SyncDirectory", {"snapshot": 1, "people": [{"id": "u", "grants": [grant]}]}), Refusal)


def test_a_grant_as_directories_write_it_is_accepted() -> None:
    grant = {"role": "cfo", "starts_at": "2025-11-12T10:00:00+01:00", "ends_at": "9999-12-31T23:59:59Z"}
    body = parse_body("SyncDirectory", {"snapshot": 1, "people": [{"id": "u", "grants": [grant]}]})
    assert isinstance(body, SyncDirectory)


def test_an_unknown_type_is_refused_and_values_are_never_quoted() -> None:
    answer = parse_body("DropTables", {})
    assert isinstance(answer, Refusal)
    assert answer.code is Code.UNKNOWN_TYPE
    secret = parse_body("CreateAction", CREATE | {"created_by": 5, "origin": "s3cret", "params": "s3cret"})
    assert isinstance(secret, Refusal)
    assert "s3cret" not in secret.sentence


def test_nobody_is_in_a_snapshot_twice_be_it_with_other_capitals() -> None:
    """Who is kept out is kept out in whatever case the name is written; so nobody may have two."""
    for names in (("ana", "ana"), ("ana", "Ana"), ("stra\u00dfe", "STRASSE")):
        told = parse_body("SyncDirectory", {"snapshot": 1, "people": [{"id": name, "grants": []} for name in names]})
        assert isinstance(told, Refusal)
        assert "twice" in told.sentence
