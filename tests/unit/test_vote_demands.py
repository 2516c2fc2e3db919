"""What a policy can ask of every vote: that it names the content that was seen, and that the voter's own key signed it."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from domain.content import content_hash_of
from domain.engine import step
from domain.keys import PERSONAL_SCOPE
from domain.messages import Message, action_id
from domain.policy import Rules
from tests.unit.in_memory import RULES, WHOLE, InMemory, answer, body_of

ID = action_id("tooling", "k1", "")
BOTH = {"require_content_hash": True, "require_personal_key": True}


def content(engine: InMemory) -> str:
    return engine.action(ID).content_hash.hex()


def vote(engine: InMemory, person: str, choice: str = "approve", *, own: bool = False, seen: str | None = None) -> str:
    return answer(step(engine.world, message(engine, person, choice, own=own, seen=seen)))


def message(
    engine: InMemory, person: str, choice: str = "approve", *, own: bool = False, seen: str | None = None
) -> Message:
    body = body_of("CastVote", {"action_id": ID, "voter_id": person, "vote": choice, "content_hash": seen})
    key = {"issuer": f"person:{person}", "kid": f"{person}-1", "person": person} if own else {}
    return engine.message(body, **key)


@pytest.mark.parametrize(
    ("asked", "own", "seen", "expected"),
    [
        ({}, False, False, "applied"),
        ({"require_content_hash": True}, False, False, "content_hash_required"),
        ({"require_content_hash": True}, True, False, "content_hash_required"),
        ({"require_content_hash": True}, False, True, "applied"),
        ({"require_personal_key": True}, False, True, "personal_key_required"),
        ({"require_personal_key": True}, True, False, "applied"),
        (BOTH, False, False, "personal_key_required"),
        (BOTH, True, False, "content_hash_required"),
        (BOTH, True, True, "applied"),
    ],
)
@pytest.mark.parametrize("choice", ["approve", "reject", "abstain", "withdraw"])
def test_a_vote_without_what_the_policy_asks_for_is_refused_whatever_it_says(
    asked: dict[str, bool], own: bool, seen: bool, expected: str, choice: str
) -> None:
    engine = InMemory(asked)
    engine.created()
    assert vote(engine, "f1", choice, own=own, seen=content(engine) if seen else None) == expected
    assert engine.events(ID) == (["created", "voted"] if expected == "applied" else ["created"])


def test_a_persons_own_key_casts_nobody_elses_votes() -> None:
    engine = InMemory()
    engine.created()
    vote_of_f2 = replace(message(engine, "f2"), person="f1")
    assert answer(step(engine.world, vote_of_f2)) == "out_of_scope"
    assert engine.events(ID) == ["created"]


def test_a_key_that_is_bound_to_roles_speaks_for_nobody_who_is_named() -> None:
    engine = InMemory({"required_quorum": {"type": "specific_users", "value": {"users": ["f1"]}}})
    engine.created()
    bound = WHOLE.model_copy(update={"roles": ("finance_ops",)})
    assert answer(step(engine.world, replace(message(engine, "f1"), scope=bound))) == "not_eligible"
    assert vote(engine, "f1") == "applied"
    assert engine.status(ID) == "approved"


def test_no_two_actions_have_one_content() -> None:
    engine = InMemory()
    twins = [engine.action(engine.created({"idempotency_key": None})) for _ in range(2)]
    assert twins[0].content_hash != twins[1].content_hash
    assert [content_hash_of(action) for action in twins] == [action.content_hash for action in twins]


def test_a_tool_cannot_take_back_what_a_person_signed() -> None:
    engine = InMemory({"require_personal_key": True})
    engine.created()
    assert vote(engine, "f1", "reject", own=True) == "applied"
    for choice in ("withdraw", "approve"):
        assert vote(engine, "f1", choice) == "personal_key_required"
    assert engine.world.votes[ID]["f1"].choice == "reject"


def test_parked_votes_are_looked_at_when_their_action_comes() -> None:
    other = InMemory(BOTH)
    other.created()
    engine, seen = InMemory(BOTH), content(other)
    votes = {
        "f1": message(engine, "f1", own=True, seen=seen),
        "f2": message(engine, "f2", seen=seen),
        "f3": message(engine, "f3", own=True),
        "both": message(engine, "both", own=True, seen="0" * 64),
    }
    assert {answer(step(engine.world, told)) for told in votes.values()} == {"parked"}
    engine.created()
    assert {person: answer(step(engine.world, told)) for person, told in votes.items()} == {
        "f1": "applied",
        "f2": "personal_key_required",
        "f3": "content_hash_required",
        "both": "content_hash_mismatch",
    }


def test_what_was_counted_stays_counted_when_it_is_decided_again() -> None:
    engine = InMemory(BOTH)
    engine.created()
    for person in ("f1", "f2"):
        vote(engine, person, own=True, seen=content(engine))
    engine.ask_to_execute(ID)
    assert engine.start(ID, token=1) == "applied"
    assert engine.status(ID) == "executing"


def test_a_later_policy_asks_nothing_of_votes_on_an_open_action() -> None:
    engine = InMemory()
    engine.created()
    engine.world.definitions = InMemory(BOTH).world.definitions
    assert vote(engine, "f1") == "applied"


def test_what_a_vote_must_bring_is_part_of_what_people_agree_to() -> None:
    hashes = set()
    for asked in ({}, {"require_content_hash": True}, {"require_personal_key": True}):
        engine = InMemory(asked)
        engine.created()
        hashes.add(content(engine))
    assert len(hashes) == 3


@pytest.mark.parametrize("name", sorted(BOTH))
@pytest.mark.parametrize("value", [1, "true", None])
def test_only_true_and_false_are_understood(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate(RULES | {name: value})


def test_no_vote_is_kept_for_later_with_a_key_that_speaks_for_nobody() -> None:
    engine = InMemory()
    bound = replace(message(engine, "f1"), scope=WHOLE.model_copy(update={"roles": ()}))
    assert answer(step(engine.world, bound)) == "out_of_scope"
    own = replace(message(engine, "f2"), scope=PERSONAL_SCOPE, person="f2")
    assert answer(step(engine.world, own)) == "parked"
