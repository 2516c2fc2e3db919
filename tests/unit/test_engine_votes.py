"""Votes and time: whose vote counts, which of several, and what a deadline does whether a sweep ran or not."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from domain.engine import step
from domain.messages import Message, action_id, parse_body
from domain.refusals import Code, Refusal
from domain.voting import MAX_PARKED
from tests.unit.in_memory import HOUR, NOW, WHOLE, InMemory, answer, body_of, directory

ID = action_id("tooling", "k1", "")
LONG_AGO = "0001-01-01T00:00:00+01:00"


def vote_message(engine: InMemory, person: str, vote: str = "approve", **more: Any) -> Message:
    envelope = {name: more.pop(name) for name in ("jti", "issuer", "scope", "issued_at", "expires_at") if name in more}
    body = body_of("CastVote", {"action_id": ID, "voter_id": person, "vote": vote} | more)
    return engine.message(body, **envelope)


def test_two_of_finance_approve_and_the_trail_tells_it() -> None:
    engine = InMemory()
    action = engine.created()
    assert engine.status(action) == "requested"
    assert answer(engine.vote(action, "f1")) == "applied"
    assert engine.status(action) == "pending_approval"
    assert answer(engine.vote(action, "f2", "reject")) == "applied"
    assert answer(engine.vote(action, "f2", comment="changed my mind")) == "applied"
    assert engine.events(action) == ["created", "voted", "voted", "voted", "approved"]
    assert (engine.action(action).votes_approve, engine.action(action).quorum_satisfied) == (2, True)
    assert answer(engine.vote(action, "f3", "reject")) == "action_closed"


def test_two_of_finance_reject_and_it_is_final() -> None:
    engine = InMemory()
    action = engine.created()
    for person in ("f1", "f2"):
        engine.vote(action, person, "reject")
    assert engine.events(action) == ["created", "voted", "voted", "rejected"]
    assert (engine.action(action).due_at, engine.action(action).decided_at) == (None, NOW)
    assert answer(engine.vote(action, "f1")) == "action_closed"


@pytest.mark.parametrize(
    ("person", "changes", "scope", "expected"),
    [
        ("f1", {}, {}, "applied"),
        ("f1", {"voter_roles": ["finance_ops"]}, {}, "applied"),
        ("f1", {"voter_roles": ["finance_ops", "cfo"]}, {}, "role_not_held"),
        ("admin", {}, {}, "not_eligible"),
        ("admin", {"voter_roles": ["finance_ops"]}, {}, "role_not_held"),
        ("cfo", {}, {}, "not_eligible"),
        ("stranger", {}, {}, "not_eligible"),
        ("stranger", {"voter_roles": ["finance_ops"]}, {}, "role_not_held"),
        ("f3", {}, {}, "separation_of_duties"),  # triggered it
        ("agent-1", {}, {}, "separation_of_duties"),  # is its target
        ("sira-system", {}, {}, "separation_of_duties"),  # created it
        ("f1", {}, {"roles": ("cfo",)}, "not_eligible"),
        ("f1", {}, {"roles": ()}, "not_eligible"),
        ("f1", {}, {"roles": ("finance_ops",)}, "applied"),
        ("f1", {}, {"action_types": ("OTHER",)}, "out_of_scope"),
        ("f1", {}, {"action_types": ("TOP_UP",)}, "applied"),
        ("f1", {}, {"types": ("CreateAction",)}, "out_of_scope"),
        ("f1", {"content_hash": "0" * 64}, {}, "content_hash_mismatch"),
        ("f1", {"cast_at": "2025-11-12T10:00:00Z"}, {}, "applied"),
        ("f1", {"cast_at": "2025-11-12T10:00:00.000001Z"}, {}, "cast_in_future"),
    ],
)
def test_only_a_vote_that_could_fill_a_seat_is_counted(
    person: str, changes: dict[str, Any], scope: dict[str, Any], expected: str
) -> None:
    engine = InMemory()
    people = ("f1", "f2", "f3", "agent-1")
    engine.world.directory = directory({person: ["finance_ops"] for person in people})
    engine.created({"triggered_by": "f3"})
    message = vote_message(engine, person, **changes, scope=WHOLE.model_copy(update=scope))
    receipt = step(engine.world, message)
    assert answer(receipt) == expected
    assert engine.events(ID) == (["created", "voted"] if expected == "applied" else ["created"])
    unspoken = (person, expected) == ("f1", "not_eligible")
    assert ("The key may not speak for finance_ops, which they hold." in receipt.sentence) is unspoken


def test_a_vote_for_the_content_that_was_read_is_counted() -> None:
    engine = InMemory()
    action = engine.created()
    assert answer(engine.vote(action, "f1", content_hash=engine.action(action).content_hash.hex())) == "applied"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_latest_cast_vote_counts_in_whatever_order_votes_arrive(order: tuple[int, ...]) -> None:
    engine = InMemory()
    engine.created()
    cast = [
        vote_message(engine, "f1", vote, cast_at=f"2025-11-12T09:00:0{second}Z")
        for second, vote in enumerate(("approve", "abstain", "reject"))
    ]
    answers = {number: answer(step(engine.world, cast[number])) for number in order}
    assert engine.world.votes[ID]["f1"].choice == "reject"
    assert answers == {
        number: "applied" if number == max(order[: order.index(number) + 1]) else "superseded" for number in order
    }
    assert engine.action(ID).votes_reject == 1


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
@pytest.mark.parametrize(
    "names", [{1: ("j1", "b"), 2: ("j2", "a")}, {1: ("j1", "a"), 2: ("j1", "b")}], ids=["by jti", "by issuer"]
)
@pytest.mark.parametrize("before", [True, False], ids=["parked", "counted"])
def test_of_votes_cast_at_the_same_moment_the_same_one_counts_in_whatever_order_they_come(
    order: tuple[int, ...], names: dict[int, tuple[str, str]], *, before: bool
) -> None:
    engine = InMemory()
    if not before:
        engine.created()
    for number in order:
        jti, issuer = names[number]
        step(engine.world, vote_message(engine, "f1", "approve" if number == 1 else "reject", jti=jti, issuer=issuer))
    if before:
        engine.created()
    assert engine.world.votes[ID]["f1"].choice == "reject"


def test_a_withdrawal_that_comes_before_its_vote_counts_for_nothing_and_takes_it_back() -> None:
    engine = InMemory()
    action = engine.created()
    late = engine.world.now
    engine.wait(10)
    withdrawn = engine.vote(action, "f1", "withdraw")
    assert (withdrawn.outcome, withdrawn.sentence) == ("applied", "The vote is withdrawn; the action is requested.")
    assert answer(engine.vote(action, "f1", "approve", cast_at=late.isoformat())) == "superseded"
    assert engine.action(action).votes_approve == 0
    assert engine.events(action) == ["created", "voted"]


def test_a_withdrawn_vote_counts_no_more_and_may_be_cast_again() -> None:
    engine = InMemory()
    action = engine.created()
    for vote in ("approve", "withdraw"):
        engine.vote(action, "f1", vote)
    engine.vote(action, "f2")
    assert (engine.status(action), engine.action(action).votes_approve) == ("pending_approval", 1)
    engine.vote(action, "f1")
    assert engine.status(action) == "approved"


def test_a_vote_before_its_action_is_parked_and_counted_when_it_comes() -> None:
    engine = InMemory()
    creator, first, second = (vote_message(engine, person) for person in ("sira-system", "f1", "f2"))
    assert {answer(step(engine.world, message)) for message in (second, first, creator)} == {"parked"}
    assert answer(engine.create()) == "applied"
    assert engine.events(ID) == ["created", "voted", "voted", "approved"]
    assert answer(step(engine.world, first)) == "applied"
    assert step(engine.world, second).sentence == "The vote is counted; the action is approved."
    assert answer(step(engine.world, creator)) == "separation_of_duties"


def test_a_hundred_votes_wait_for_an_action_and_no_more() -> None:
    engine = InMemory()
    waiting = [step(engine.world, vote_message(engine, f"p{number}")) for number in range(MAX_PARKED)]
    assert {(receipt.outcome, receipt.action_id) for receipt in waiting} == {("parked", ID)}
    assert answer(step(engine.world, vote_message(engine, "f1"))) == "too_many_parked"
    assert answer(engine.vote(action_id("tooling", "k2", ""), "f1")) == "parked"


def test_a_parked_vote_whose_key_was_revoked_since_is_refused() -> None:
    engine = InMemory()
    vote = vote_message(engine, "f1")
    step(engine.world, vote)
    engine.world.parked[ID] = [replace(vote, body=Refusal(Code.KEY_NOT_VALID))]
    engine.created()
    assert answer(step(engine.world, vote)) == "key_not_valid"
    assert engine.events(ID) == ["created"]


def test_a_parked_vote_does_not_outlive_its_exp_even_if_no_sweep_ran() -> None:
    engine = InMemory()
    vote = vote_message(engine, "f1", expires_at=NOW + timedelta(seconds=60))
    step(engine.world, vote)
    engine.wait(60)
    engine.created()
    assert engine.events(ID) == ["created"]
    assert answer(step(engine.world, vote)) == "unknown_action"


def test_no_vote_makes_a_step_raise_and_no_parked_one_stops_its_action() -> None:
    """A cast_at that is no moment of UTC's calendar must cost nobody but its sender."""
    content = {"action_id": ID, "voter_id": "f1", "vote": "approve", "cast_at": LONG_AGO}
    engine, body = InMemory(), parse_body("CastVote", content)
    assert answer(step(engine.world, engine.message(body, type="CastVote"))) in {"parked", "invalid_body"}
    assert answer(engine.create()) == "applied"


@pytest.mark.parametrize("swept", [False, True])
def test_a_deadline_holds_whether_a_sweep_ran_or_not(*, swept: bool) -> None:
    engine = InMemory({"escalation_role": None})
    action = engine.created()
    engine.vote(action, "f1")
    engine.wait(HOUR)
    if swept:
        assert engine.sweep(action) == "applied"
    assert answer(engine.vote(action, "f2", cast_at="2025-11-12T10:00:30Z")) == "action_closed"
    assert engine.events(action) == ["created", "voted", "expired"]
    assert engine.action(action).due_at is None


def test_a_moment_before_the_deadline_nothing_is_due() -> None:
    engine = InMemory()
    action = engine.created()
    engine.wait(HOUR - 0.000001)
    assert engine.sweep(action) == "not_due"
    assert answer(engine.vote(action, "f1")) == "applied"


@pytest.mark.parametrize("swept", [False, True])
def test_after_the_deadline_it_escalates_and_after_the_next_it_expires(*, swept: bool) -> None:
    engine = InMemory()
    action = engine.created()
    engine.vote(action, "f1")
    engine.wait(HOUR + 600)
    if swept:
        engine.sweep(action)
    assert answer(engine.vote(action, "cfo", "abstain")) == "applied"
    assert engine.status(action) == "escalated"
    assert engine.action(action).due_at == NOW + timedelta(seconds=2 * HOUR)  # from the deadline, not from the sweep
    engine.wait(HOUR - 600)
    assert answer(engine.vote(action, "cfo")) == "action_closed"
    assert engine.events(action) == ["created", "voted", "escalated", "voted", "expired"]


def test_both_deadlines_may_pass_unseen() -> None:
    engine = InMemory()
    action = engine.created()
    engine.wait(9 * HOUR)
    assert engine.sweep(action) == "applied"
    assert engine.events(action) == ["created", "escalated", "expired"]


def test_an_escalated_action_is_no_dead_end() -> None:
    engine = InMemory()
    action = engine.created()
    engine.vote(action, "f1")
    engine.wait(HOUR)
    engine.vote(action, "cfo")
    assert engine.events(action) == ["created", "voted", "escalated", "voted", "approved"]


@pytest.mark.parametrize("swept", [False, True])
def test_votes_already_cast_decide_as_soon_as_the_step_is_reached(*, swept: bool) -> None:
    """One who holds both roles approved before; nobody should have to vote again for that to count."""
    engine = InMemory({"required_ratio": 0.75})
    action = engine.created()
    for person, vote in (("f2", "reject"), ("both", "approve"), ("f1", "approve")):
        engine.vote(action, person, vote)
    engine.wait(HOUR)
    if swept:
        engine.sweep(action)
    else:
        engine.ask_to_execute(action)
    assert engine.status(action) == "approved"


def test_roles_are_those_of_the_directory_now() -> None:
    engine = InMemory()
    action = engine.created()
    engine.vote(action, "f1")
    engine.world.directory = directory({"f2": ["finance_ops"], "f3": ["finance_ops"]})
    engine.vote(action, "f2")
    assert engine.status(action) == "pending_approval"
    assert engine.action(action).votes_approve == 1
    engine.vote(action, "f3")
    assert engine.status(action) == "approved"
