"""Veto roles: each holder rejects alone, and nobody approves by them."""

from typing import Any

import pytest

from domain.engine import step
from domain.policy import Rules
from tests.unit.in_memory import RULES, WHOLE, InMemory, answer, body_of, directory

PEOPLE = {"f1": ["finance_ops"], "f2": ["finance_ops"], "risk": ["risk"], "both": ["finance_ops", "risk"]}
VETO = {"veto_roles": ["risk", "cfo"]}


def with_veto(**rules: Any) -> InMemory:
    engine = InMemory(VETO | rules)
    engine.world.directory = directory(PEOPLE | {"cfo": ["cfo"]})
    return engine


@pytest.mark.parametrize(("person", "role"), [("risk", "risk"), ("both", "risk"), ("cfo", "cfo")])
def test_one_rejection_by_a_veto_role_rejects_whatever_the_approvals(person: str, role: str) -> None:
    engine = with_veto(required_quorum={"type": "role", "value": {"role": "finance_ops", "min_votes": 3}})
    action = engine.created()
    for voter in ("f1", "f2"):
        engine.vote(action, voter)
    assert answer(engine.vote(action, person, "reject")) == "applied"
    assert engine.events(action) == ["created", "voted", "voted", "voted", "rejected"]
    assert engine.world.changes.events[-1].data["reason"] == f"vetoed:{role}"


def test_what_was_approved_already_is_not_vetoed() -> None:
    engine = with_veto()
    action = engine.approved()
    assert answer(engine.vote(action, "risk", "reject")) == "action_closed"


@pytest.mark.parametrize("vote", ["abstain", "withdraw"])
def test_who_holds_only_a_veto_role_may_keep_out_of_it_and_is_not_counted(vote: str) -> None:
    engine = with_veto()
    action = engine.created()
    assert answer(engine.vote(action, "risk", vote)) == "applied"
    found = engine.action(action)
    assert (found.votes_approve, found.votes_reject, found.votes_abstain) == (0, 0, 0)


def test_who_holds_only_a_veto_role_does_not_approve_and_is_told_what_they_may_do() -> None:
    engine = with_veto()
    receipt = engine.vote(engine.created(), "risk", "approve")
    assert answer(receipt) == "not_eligible"
    assert "With risk they may reject, abstain or withdraw, and not approve." in receipt.sentence


def test_who_holds_a_seat_too_may_approve() -> None:
    engine = with_veto()
    action = engine.created()
    for voter in ("both", "f1"):
        assert answer(engine.vote(action, voter)) == "applied"
    assert engine.status(action) == "approved"


def test_a_veto_that_its_key_may_not_speak_for_is_an_ordinary_rejection() -> None:
    engine = with_veto()
    action = engine.created()
    body = body_of("CastVote", {"action_id": action, "voter_id": "both", "vote": "reject"})
    scope = WHOLE.model_copy(update={"roles": ("finance_ops",)})
    assert answer(step(engine.world, engine.message(body, scope=scope))) == "applied"
    assert engine.status(action) == "pending_approval"
    body = body_of("CastVote", {"action_id": action, "voter_id": "risk", "vote": "reject"})
    assert answer(step(engine.world, engine.message(body, scope=scope))) == "not_eligible"


@pytest.mark.parametrize("kept_out", ["triggered_by", "created_by"])
def test_who_is_kept_out_does_not_veto(kept_out: str) -> None:
    engine = with_veto()
    engine.world.directory = directory(PEOPLE | {"risk": ["risk", "ops_admin"]})
    action = engine.created({kept_out: "risk"})
    assert answer(engine.vote(action, "risk", "reject")) == "separation_of_duties"


def test_a_veto_role_won_since_the_vote_does_not_veto() -> None:
    engine = with_veto()
    action = engine.created()
    engine.vote(action, "f1", "reject")
    engine.world.directory = directory(PEOPLE | {"f1": ["finance_ops", "cfo"]})
    engine.vote(action, "f2", "reject")  # f1 holds the role now, and did not when voting
    assert engine.world.changes.events[-1].data["reason"] == "quorum_voted_against"


@pytest.mark.parametrize("given", ["cfo", [""], ["*"], [1], [None], {"cfo": 1}, ["a"] * 21])
def test_veto_roles_are_a_list_of_roles_and_nothing_else(given: Any) -> None:
    with pytest.raises(ValueError, match="veto_roles"):
        Rules.model_validate(RULES | {"veto_roles": given})
