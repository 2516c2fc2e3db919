"""A vote's life: cast, changed, withdrawn, cast again, until the decision; in whatever order the messages arrive."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import permutations, product
from typing import Any

import pytest

from domain.directory import Directory
from domain.engine import step
from domain.messages import Message, action_id
from domain.trail import timestamp
from tests.unit.in_memory import NOW, WHOLE, InMemory, answer, body_of, directory

ID = action_id("tooling", "k1", "")

Said = tuple[str, str, int]
"""Who says what, and the second in which it was cast."""


@dataclass(frozen=True)
class Story:
    """Votes in the order of their arrival with the answer to each, and what they come to. The quorum is two of finance."""

    name: str
    votes: Sequence[tuple[Said, str]]
    counted: dict[str, str]
    tally: tuple[int, int, int]
    status: str


STORIES = [
    Story("nobody has voted", [], {}, (0, 0, 0), "requested"),
    Story("one approves", [(("f1", "approve", 1), "applied")], {"f1": "approve"}, (1, 0, 0), "pending_approval"),
    Story("one abstains", [(("f1", "abstain", 1), "applied")], {"f1": "abstain"}, (0, 0, 1), "pending_approval"),
    Story(
        "a change of mind replaces the vote",
        [(("f1", "approve", 1), "applied"), (("f1", "reject", 2), "applied")],
        {"f1": "reject"},
        (0, 1, 0),
        "pending_approval",
    ),
    Story(
        "the same again counts once",
        [(("f1", "approve", 1), "applied"), (("f1", "approve", 2), "applied")],
        {"f1": "approve"},
        (1, 0, 0),
        "pending_approval",
    ),
    Story(
        "an earlier word that comes late changes nothing",
        [(("f1", "approve", 2), "applied"), (("f1", "reject", 1), "superseded")],
        {"f1": "approve"},
        (1, 0, 0),
        "pending_approval",
    ),
    Story(
        "a withdrawn vote is as if it had not been cast",
        [(("f1", "approve", 1), "applied"), (("f1", "withdraw", 2), "applied"), (("f2", "approve", 3), "applied")],
        {"f1": "withdraw", "f2": "approve"},
        (1, 0, 0),
        "pending_approval",
    ),
    Story(
        "a withdrawal that overtakes its vote takes it back",
        [(("f1", "withdraw", 2), "applied"), (("f1", "approve", 1), "superseded")],
        {"f1": "withdraw"},
        (0, 0, 0),
        "requested",
    ),
    Story(
        "who withdrew may vote again",
        [
            (("f1", "reject", 1), "applied"),
            (("f1", "withdraw", 2), "applied"),
            (("f1", "approve", 3), "applied"),
            (("f2", "approve", 3), "applied"),
        ],
        {"f1": "approve", "f2": "approve"},
        (2, 0, 0),
        "approved",
    ),
    Story(
        "abstaining does not help to fill the quorum",
        [(("f1", "approve", 1), "applied"), (("f2", "abstain", 1), "applied")],
        {"f1": "approve", "f2": "abstain"},
        (1, 0, 1),
        "pending_approval",
    ),
    Story(
        "nor does it hinder it",
        [(("f3", "abstain", 1), "applied"), (("f1", "approve", 1), "applied"), (("f2", "approve", 1), "applied")],
        {"f1": "approve", "f2": "approve", "f3": "abstain"},
        (2, 0, 1),
        "approved",
    ),
    Story(
        "from reject to abstain lets the others decide",
        [
            (("f1", "approve", 1), "applied"),
            (("f3", "reject", 1), "applied"),
            (("f3", "abstain", 2), "applied"),
            (("f2", "approve", 3), "applied"),
        ],
        {"f1": "approve", "f2": "approve", "f3": "abstain"},
        (2, 0, 1),
        "approved",
    ),
    Story(
        "after the decision nothing changes, though it was cast before",
        [
            (("f1", "approve", 2), "applied"),
            (("f2", "approve", 2), "applied"),
            (("f3", "reject", 1), "action_closed"),
            (("f2", "reject", 3), "action_closed"),
            (("f2", "withdraw", 3), "action_closed"),
        ],
        {"f1": "approve", "f2": "approve"},
        (2, 0, 0),
        "approved",
    ),
]


def message(engine: InMemory, said: Said, **envelope: Any) -> Message:
    person, choice, second = said
    cast_at = timestamp(NOW + timedelta(seconds=second - 60))
    body = {"action_id": ID, "voter_id": person, "vote": choice, "cast_at": cast_at, "comment": f"{choice} at {second}"}
    return engine.message(body_of("CastVote", body), **envelope)


def counted(engine: InMemory) -> dict[str, str]:
    return {person: vote.choice.value for person, vote in engine.world.votes.get(ID, {}).items()}


def tally(engine: InMemory) -> tuple[int, int, int]:
    action = engine.action(ID)
    return action.votes_approve, action.votes_reject, action.votes_abstain


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_what_votes_come_to(story: Story) -> None:
    engine = InMemory()
    engine.created()
    answers = [answer(step(engine.world, message(engine, said))) for said, _ in story.votes]
    assert answers == [expected for _, expected in story.votes]
    assert (counted(engine), tally(engine), engine.status(ID)) == (story.counted, story.tally, story.status)
    assert engine.events(ID).count("voted") == answers.count("applied")


@pytest.mark.parametrize("last", ["approve", "reject", "abstain", "withdraw"])
def test_the_last_word_counts_in_every_order_of_arrival(last: str) -> None:
    choices = [choice for choice in ("approve", "reject", "abstain", "withdraw") if choice != last]
    for order in permutations(enumerate([*choices, last])):
        engine = InMemory()
        engine.created()
        for second, choice in order:
            step(engine.world, message(engine, ("f1", choice, second)))
        vote = engine.world.votes[ID]["f1"]
        assert (vote.choice, vote.comment) == (last, f"{last} at 3")
        assert tally(engine) == tuple(int(last == choice) for choice in ("approve", "reject", "abstain"))


@pytest.mark.parametrize("last", ["approve", "reject", "abstain", "withdraw"])
def test_votes_that_were_parked_come_to_what_they_would_have_come_to_later(last: str) -> None:
    """However many of them came before their action, in every order of arrival, with the same result."""
    choices = [choice for choice in ("approve", "reject", "abstain", "withdraw") if choice != last]
    for order, parked in product(permutations(enumerate([*choices, last])), range(5)):
        engine = InMemory()
        for number, (second, choice) in enumerate([*order, (0, "")]):
            if number == parked:
                engine.created()
            if choice:
                step(engine.world, message(engine, ("f1", choice, second)))
        assert engine.world.votes[ID]["f1"].choice == last


def test_of_words_of_the_same_moment_the_one_with_the_highest_jti_counts_in_every_order() -> None:
    for order in permutations([("a", "approve"), ("b", "withdraw"), ("c", "reject")]):
        engine = InMemory()
        engine.created()
        for jti, choice in order:
            step(engine.world, message(engine, ("f1", choice, 1), jti=jti))
        assert counted(engine) == {"f1": "reject"}


def test_without_cast_at_the_moment_of_signing_counts() -> None:
    for order in permutations(range(3)):
        engine = InMemory()
        engine.created()
        for number in order:
            choice = ("approve", "reject", "abstain")[number]
            body = body_of("CastVote", {"action_id": ID, "voter_id": "f1", "vote": choice})
            step(engine.world, engine.message(body, issued_at=NOW + timedelta(seconds=number)))
        assert counted(engine) == {"f1": "abstain"}


def test_the_trail_keeps_every_word_that_was_counted_with_its_comment_and_what_was_seen() -> None:
    engine = InMemory()
    engine.created()
    seen = engine.action(ID).content_hash.hex()
    for choice, content_hash in (("reject", seen), ("approve", None)):
        engine.vote(ID, "f1", choice, comment=f"I {choice}", content_hash=content_hash)
        engine.wait(1)
    told = [event.data for event in engine.world.changes.events if event.event == "voted"]
    assert [(data["vote"], data["comment"], data["content_hash"]) for data in told] == [
        ("reject", "I reject", seen),
        ("approve", "I approve", None),
    ]
    assert [data["cast_at"] for data in told] == [timestamp(NOW), timestamp(NOW + timedelta(seconds=1))]


def without_role(engine: InMemory) -> Directory:
    """f1 has approved and lost the role; returned is the directory in which they have it."""
    known = engine.world.directory
    engine.created()
    engine.vote(ID, "f1")
    engine.wait(60)
    engine.world.directory = directory({"f1": ["viewer"], "f2": ["finance_ops"], "f3": ["finance_ops"]})
    return known


def test_who_lost_the_role_takes_back_what_would_count_again_with_it() -> None:
    engine = InMemory()
    known = without_role(engine)
    assert answer(engine.vote(ID, "f2", "withdraw")) == "applied", "as always"
    assert answer(engine.vote(ID, "f1", "reject")) == "not_eligible"
    assert answer(engine.vote(ID, "f1", "withdraw")) == "applied"
    engine.world.directory = known
    engine.vote(ID, "f2")
    assert engine.status(ID) == "pending_approval"


@pytest.mark.parametrize("roles", [(), ("viewer",), ("finance_ops",), ("finance_ops", "viewer")])
def test_but_not_with_a_key_that_could_not_have_cast_it(roles: tuple[str, ...]) -> None:
    engine = InMemory()
    without_role(engine)
    taken = message(engine, ("f1", "withdraw", 60))
    bound = replace(taken, scope=taken.scope.model_copy(update={"roles": roles}))
    assert answer(step(engine.world, bound)) == "not_eligible"


def test_nor_what_is_taken_back_already() -> None:
    """Else a key that speaks for nobody could go on withdrawing what a withdrawn vote says, ahead of its voter."""
    engine = InMemory()
    known = without_role(engine)
    engine.world.directory = directory({"f1": [], "f2": ["finance_ops"], "f3": ["finance_ops"]})
    assert answer(engine.vote(ID, "f1", "withdraw")) == "applied"
    engine.world.directory = known
    bound = replace(message(engine, ("f1", "withdraw", 90)), scope=WHOLE.model_copy(update={"roles": ()}))
    assert answer(step(engine.world, bound)) == "not_eligible"
