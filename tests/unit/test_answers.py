"""Who may vote, who not and why: the answers are those that votes get."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import answers
from domain.answers import Electors, Voter
from domain.directory import Directory, Grant
from domain.keys import PERSONAL_SCOPE, VerificationKey
from tests.unit.in_memory import HOUR, NOW, ROLES, InMemory, answer, directory

FINANCE = {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}
SHARE = {"type": "percentage", "value": {"percentage": 0.6, "pool": "finance_ops"}}
NAMED = {"type": "specific_users", "value": {"users": ["cfo", "gone"]}}
EITHER = {"type": "any_of", "value": {"of": [FINANCE, {"type": "specific_users", "value": {"users": ["viewer"]}}]}}


def asked(engine: InMemory, action: UUID, person: str) -> Voter:
    return answers.voter(engine.world, engine.action(action), person)


def electors(engine: InMemory, action: UUID) -> Electors:
    return answers.electors(engine.world, engine.action(action))


def may_approve(found: Electors) -> list[str]:
    return [voter.person for voter in found.voters if "approve" in voter.may]


def acting(engine: InMemory, **delegates: str) -> None:
    grants = [Grant(who, None, NOW - timedelta(days=1), None, whom) for who, whom in delegates.items()]
    engine.world.directory = Directory.of([*directory().grants, *grants], ROLES)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"veto_roles": ["cfo", "finance_ops"]},
        {"required_quorum": SHARE},
        {"required_quorum": NAMED},
        {"required_quorum": EITHER},
        {"required_quorum": {"type": "all_of", "value": {"of": [FINANCE, NAMED]}}},
        {"require_content_hash": True},
        {"require_personal_key": True},
        {"allow_self_approval": True},
    ],
)
def test_what_is_answered_is_what_a_vote_gets(rules: dict[str, Any]) -> None:
    for person in [*ROLES, "stranger", "agent-1", "delegate"]:
        for choice in ("approve", "reject", "abstain"):
            engine = InMemory(rules)
            acting(engine, admin="agent-1", pay="f1", delegate="cfo")
            action = engine.created({"triggered_by": "f3"})
            told = asked(engine, action, person)
            content_hash = engine.action(action).content_hash.hex()
            got = answer(engine.vote(action, person, choice, content_hash=content_hash))
            assert (choice in told.may) == (got == "applied"), (person, choice, got)
            if choice == "approve":
                assert [got] == [refusal.code for refusal in told.refusals][:1] or got == "applied"


def test_every_reason_is_told_and_the_first_is_the_one_that_a_vote_gets() -> None:
    engine = InMemory({"require_personal_key": True})
    action = engine.created({"triggered_by": "viewer"})
    codes = [refusal.code for refusal in asked(engine, action, "viewer").refusals]
    assert codes == ["separation_of_duties", "not_eligible", "personal_key_required"]
    assert not asked(engine, action, "viewer").kept_out
    action = engine.created({"idempotency_key": "k2", "triggered_by": "f1"})
    assert [refusal.code for refusal in asked(engine, action, "f1").refusals][:1] == ["separation_of_duties"]


def test_with_a_key_of_their_own_a_person_may_vote_where_that_is_asked() -> None:
    engine = InMemory({"require_personal_key": True})
    action = engine.created()
    assert not asked(engine, action, "f1").may
    key = VerificationKey("k", "person:f1", bytes(32), PERSONAL_SCOPE, NOW, None, None, "f1")
    engine.world.keys = {"k": key}
    assert "approve" in asked(engine, action, "f1").may
    assert not asked(engine, action, "f2").may
    engine.world.keys = {"k": replace(key, valid_until=NOW)}
    assert not asked(engine, action, "f1").may


def test_who_holds_a_veto_role_only_may_reject_and_not_approve() -> None:
    engine = InMemory({"veto_roles": ["cfo"]})
    told = asked(engine, engine.created(), "cfo")
    assert told.may == ("reject", "abstain", "withdraw")
    assert [refusal.code for refusal in told.refusals] == ["not_eligible"]


def test_who_may_vote_is_told_with_the_roles_by_which_and_for_whom() -> None:
    engine = InMemory()
    acting(engine, pay="f1")
    action = engine.created({"triggered_by": "f2"})
    found = {voter.person: voter for voter in electors(engine, action).voters}
    assert set(found) == {"f1", "f2", "f3", "both", "pay"}
    assert found["pay"].voice == {"f1": frozenset({"finance_ops"})}
    assert found["f1"].voice == {"f1": frozenset({"finance_ops"})}
    assert (found["f2"].kept_out, found["f2"].may) == (True, ())


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"required_quorum": EITHER, "escalation_role": None},
        {"required_quorum": SHARE, "veto_roles": ["merchant_admin"]},
        {
            "escalation_role": None,
            "escalation": [{"role": role, "timeout_seconds": 60} for role in ("cfo", "pay_admin")],
        },
    ],
)
def test_nobody_is_left_out_of_whom_the_answer_could_tell(rules: dict[str, Any]) -> None:
    engine = InMemory(rules)
    acting(engine, admin="cfo", pay="viewer", f3="f1", stranger="f2")
    action = engine.created({"triggered_by": "f2"})
    engine.vote(action, "f1")
    found = {voter.person: voter for voter in electors(engine, action).voters}
    for person in (*ROLES, "stranger", "nobody"):
        told = asked(engine, action, person)
        assert found.get(person) == (told if told.may or told.kept_out or told.cast else None)
    ahead = {person for step in electors(engine, action).ahead for person in step.people}
    assert ahead == {
        person for person in (*ROLES, "stranger") if answers.opens_to(engine.world, engine.action(action), person)
    } - set(may_approve(electors(engine, action)))


def test_votes_so_far_and_what_is_missing_are_told() -> None:
    engine = InMemory()
    action = engine.created()
    assert electors(engine, action).decision.missing == ("2 more of finance_ops",)
    engine.vote(action, "f1")
    found = electors(engine, action)
    assert found.decision.missing == ("1 more of finance_ops",)
    cast = {voter.person: (voter.cast.choice, voter.counts) for voter in found.voters if voter.cast}
    assert cast == {"f1": ("approve", True)}
    engine.world.directory = directory(ROLES | {"f1": []})
    (voter,) = [voter for voter in electors(engine, action).voters if voter.cast]
    assert (voter.person, voter.counts, voter.may) == ("f1", False, ("withdraw",))


def test_of_a_share_as_many_are_missing_as_the_role_has_holders_now() -> None:
    engine = InMemory({"required_quorum": SHARE})
    action = engine.created()
    assert electors(engine, action).decision.missing == ("3 more of finance_ops",)
    engine.world.directory = directory(ROLES | {"f4": ["finance_ops"], "f5": ["finance_ops"]})
    found = electors(engine, action)
    assert found.decision.missing == ("4 more of finance_ops",)
    assert may_approve(found) == ["both", "f1", "f2", "f3", "f4", "f5"]


def test_named_people_who_do_not_work_here_are_told() -> None:
    engine = InMemory({"required_quorum": NAMED, "escalation_role": None})
    found = electors(engine, engine.created())
    assert found.absent == ("gone",)
    assert may_approve(found) == ["cfo"]
    assert found.decision.out_of_reach


def test_the_steps_to_come_say_who_may_approve_from_when_on() -> None:
    steps = [{"role": "cfo", "timeout_seconds": 600}, {"role": "pay_admin", "timeout_seconds": 300, "min_votes": 1}]
    engine = InMemory({"escalation_role": None, "escalation": steps})
    action = engine.created()
    opens = NOW + timedelta(seconds=HOUR)
    ahead = electors(engine, action).ahead
    assert [(step.opens_at, step.people) for step in ahead] == [
        (opens, ("cfo",)),
        (opens + timedelta(seconds=600), ("pay",)),
    ]
    later = answers.opens_to(engine.world, engine.action(action), "pay")
    assert later is not None
    assert later.step.role == "pay_admin"
    assert answers.opens_to(engine.world, engine.action(action), "viewer") is None
    engine.wait(HOUR)
    engine.sweep(action)
    found = electors(engine, action)
    assert "cfo" in may_approve(found)
    assert [step.people for step in found.ahead] == [("pay",)]


def test_on_a_closed_action_nobody_may_vote_and_no_step_is_to_come() -> None:
    engine = InMemory()
    action = engine.approved()
    found = electors(engine, action)
    assert [voter.person for voter in found.voters] == ["f1", "f2"]
    assert not any(voter.may for voter in found.voters)
    assert found.ahead == ()
    assert [refusal.code for refusal in asked(engine, action, "f3").refusals] == ["action_closed"]
