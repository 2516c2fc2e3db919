"""What somebody said with a stolen key counts for nothing, nor does it help by what it replaced or brought about."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import deciding
from domain.directory import Directory, Grant
from tests.unit.in_memory import HOUR, NOW, InMemory, answer, body_of, directory

STOLEN = "stolen"


def forge(engine: InMemory, action: UUID, person: str, vote: str) -> None:
    engine.wait(1)
    body = body_of("CastVote", {"action_id": action, "voter_id": person, "vote": vote})
    assert answer(engine.tell(body, kid=STOLEN)) == "applied"


def revoke(engine: InMemory) -> None:
    engine.world.compromised.add(STOLEN)
    engine.wait(1)


def begins(engine: InMemory, action: UUID) -> bool:
    engine.ask_to_execute(action)
    return engine.start(action, engine.action(action).last_token + 1) == "applied"


@pytest.mark.parametrize("said", ["approve", "abstain", "withdraw"])
def test_a_rejection_that_a_forged_vote_replaced_is_still_in_the_way(said: str) -> None:
    engine = InMemory({"required_ratio": 0.75})
    action = engine.created()
    for person, vote in (("f1", "approve"), ("f3", "reject"), ("f2", "approve")):
        engine.vote(action, person, vote)
    forge(engine, action, "f3", said)
    assert engine.status(action) == "approved"
    revoke(engine)
    assert not begins(engine, action)
    assert engine.status(action) == "pending_approval"
    decision = deciding.judge(engine.world, engine.action(action))
    assert decision.missing == ("the vote of f3 anew, as the last one came with a compromised key",)
    engine.vote(action, "f3", "abstain")
    assert begins(engine, action)


def test_a_key_revoked_before_the_last_approval_has_it_wait_too() -> None:
    engine = InMemory({"required_ratio": 0.75})
    action = engine.created()
    for person, vote in (("f1", "approve"), ("f3", "reject")):
        engine.vote(action, person, vote)
    forge(engine, action, "f3", "withdraw")
    revoke(engine)
    engine.vote(action, "f2")
    assert engine.status(action) == "pending_approval"
    engine.vote(action, "both")
    assert engine.status(action) == "approved", "three of four would do even if f3 rejected it"


def test_a_veto_that_a_forged_vote_replaced_is_still_in_the_way() -> None:
    engine = InMemory({"veto_roles": ["cfo"]})
    action = engine.created()
    forge(engine, action, "cfo", "abstain")
    revoke(engine)
    for person in ("f1", "f2"):
        engine.vote(action, person)
    assert engine.status(action) == "pending_approval"
    engine.vote(action, "cfo", "withdraw")
    assert engine.status(action) == "approved"


def test_a_forged_vote_does_not_turn_an_approval_into_a_rejection() -> None:
    engine = InMemory({"required_ratio": 1})
    action = engine.approved(("f1", "f2"))
    second = engine.created({"idempotency_key": "k2"})
    forge(engine, second, "f3", "abstain")
    revoke(engine)
    for person in ("f1", "f2"):
        engine.vote(second, person)
    assert (engine.status(action), engine.status(second)) == ("approved", "pending_approval")


CFO = ({"role": "cfo", "timeout_seconds": 2 * HOUR},)


def stepped(steps: Iterable[dict[str, Any]] = CFO) -> tuple[InMemory, UUID]:
    """Two of finance_ops, of whom there are two; a forged rejection has put that out of reach, and the cfo is asked."""
    engine = InMemory({"escalation_role": None, "escalation": list(steps)})
    people = {"f1": ["finance_ops"], "both": ["finance_ops"], "cfo": ["cfo"], "ceo": ["ceo"], "admin": ["ops_admin"]}
    engine.world.directory = directory(people)
    action = engine.created()
    forge(engine, action, "f1", "reject")
    assert engine.status(action) == "escalated"
    return engine, action


def test_a_step_that_a_forged_vote_opened_does_not_approve_before_its_time() -> None:
    engine, action = stepped()
    for person in ("both", "cfo"):
        engine.vote(action, person)
    assert engine.status(action) == "approved"
    revoke(engine)
    assert not begins(engine, action)
    engine.vote(action, "f1")
    assert begins(engine, action)


def test_from_its_time_on_it_does() -> None:
    engine, action = stepped()
    engine.wait(HOUR - 10)
    revoke(engine)
    for person in ("both", "cfo"):
        engine.vote(action, person)
    assert engine.status(action) == "escalated"
    engine.wait(8)
    assert engine.world.now == NOW + timedelta(hours=1)
    engine.vote(action, "both", comment="again")
    assert engine.status(action) == "approved"


def test_nor_does_the_step_after_it_before_its_own_time() -> None:
    steps = [{"role": "cfo", "timeout_seconds": HOUR}, {"role": "ceo", "timeout_seconds": 3 * HOUR}]
    engine, action = stepped(steps)
    revoke(engine)
    engine.wait(HOUR)  # the first step began before its time, and so the second does
    assert engine.sweep(action) == "applied"
    assert engine.action(action).steps_reached == 2
    for person in ("both", "ceo"):
        engine.vote(action, person)
    assert engine.status(action) == "escalated"
    engine.wait(HOUR)
    engine.vote(action, "both", comment="again")
    assert engine.status(action) == "approved"


def test_a_rejection_for_somebody_else_that_a_forged_vote_replaced_is_still_in_the_way() -> None:
    engine = InMemory({"required_ratio": 0.75})
    known = engine.world.directory
    engine.world.directory = Directory.of([*known.grants, Grant("deputy", None, NOW, None, "f3")], ["deputy"])
    action = engine.created()
    engine.vote(action, "deputy", "reject")
    forge(engine, action, "deputy", "abstain")
    revoke(engine)
    for person in ("f1", "f2"):
        engine.vote(action, person)
    assert engine.status(action) == "pending_approval"


def test_a_forged_vote_of_who_is_not_asked_any_more_is_in_nobodys_way() -> None:
    engine = InMemory()
    action = engine.created()
    forge(engine, action, "f3", "abstain")
    revoke(engine)
    engine.world.directory = directory({"f1": ["finance_ops"], "f2": ["finance_ops"], "f3": ["viewer"]})
    for person in ("f1", "f2"):
        engine.vote(action, person)
    assert engine.status(action) == "approved"


def test_the_record_says_the_same() -> None:
    """An approval that was given though a forged vote stood in the place of a rejection is found afterwards."""
    engine = InMemory({"required_ratio": 0.75})
    action = engine.created()
    for person, vote in (("f1", "approve"), ("f3", "reject"), ("f2", "approve")):
        engine.vote(action, person, vote)
    forge(engine, action, "f3", "abstain")
    approved = engine.world.changes.events[-1]
    found = engine.action(action)
    assert deciding.decide_from_record(found, approved, (), set()).verdict == "approved"
    assert deciding.decide_from_record(found, approved, (), {STOLEN}).verdict == "pending"
