"""A vote's life through the queue and the database: the same as in memory, in whatever order the messages come."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from db import keys, read
from domain.messages import CastVote
from tests.world import Installation, top_up
from workers import definition_files
from workers.envelope import SigningKey
from workers.producer import Producer, Ticket

ASKING = """
policies:
  - name: Asks more of votes
    criteria: {action_type: ADJUST_FLOAT}
    policy:
      required_quorum: {type: role, value: {role: finance_ops, min_votes: 2}}
      require_content_hash: true
      require_personal_key: true
    priority: 1000
"""


def sign(producer: Producer, action_id: UUID | None, person: str, choice: str, **more: Any) -> Ticket:
    body = {"action_id": action_id, "voter_id": person, "vote": choice, **more}
    return producer.sign(CastVote.model_validate(body))


@pytest.mark.parametrize("seed", range(6))
def test_votes_that_were_changed_withdrawn_and_cast_again_come_to_the_last_words(
    installation: Installation, seed: int
) -> None:
    tooling, create = installation.producer("ops-tooling"), installation.producer("sira").sign(top_up())
    now, said = datetime.now(UTC), ["approve", "reject", "withdraw", "abstain", "approve"]
    votes = [
        sign(
            tooling,
            create.action_id,
            "finance-user-1",
            choice,
            cast_at=now - timedelta(seconds=60 - second),
            comment=f"{second}",
        )
        for second, choice in enumerate(said)
    ]
    arriving = [*votes, create]
    random.Random(seed).shuffle(arriving)  # noqa: S311 - an order of arrival, no secret
    tooling.resend(arriving)
    installation.drain(batch=1 + seed)
    assert create.action_id is not None
    action = installation.action(create.action_id)
    assert [(vote["vote"], vote["comment"]) for vote in action["votes"]] == [("approve", "4")]
    assert (action["status"], action["votes_approve"], action["votes_total"]) == ("pending_approval", 1, 1)
    answers = installation.answers(*votes)
    assert set(answers) <= {"applied", "superseded"}
    assert installation.trail(create.action_id) == ["created", *["voted"] * answers.count("applied")]

    tooling.resend([sign(tooling, create.action_id, "finance-user-2", "approve")])
    installation.drain()
    late = sign(tooling, create.action_id, "finance-user-1", "withdraw")
    tooling.resend([late])
    installation.drain()
    assert installation.answers(late) == ["action_closed"]
    assert installation.trail(create.action_id)[-2:] == ["voted", "approved"]
    assert installation.broken() == []


def test_votes_bring_what_the_policy_asks_for_parked_ones_too(installation: Installation) -> None:
    definition_files.apply(installation.owner, definition_files.parse(ASKING, "asking"), by="tests")
    own = {}
    for person in ("finance-user-1", "finance-user-2"):
        key = SigningKey.generate(f"{person}-1", f"person:{person}")
        keys.enrol_key(installation.owner, key.kid, person, key.public_bytes)
        own[person] = Producer(installation.client, key)
    tooling, create = installation.producer("ops-tooling"), installation.producer("sira").sign(top_up())
    early = [
        sign(tooling, create.action_id, "finance-user-1", "approve"),
        sign(own["finance-user-1"], create.action_id, "finance-user-1", "approve"),
    ]
    tooling.resend([*early, create])
    installation.drain()
    assert installation.answers(*early, create) == ["personal_key_required", "content_hash_required", "applied"]
    assert create.action_id is not None
    seen = installation.action(create.action_id)["content_hash"]
    for person, producer in own.items():
        producer.resend([sign(producer, create.action_id, person, "approve", content_hash=seen)])
    installation.drain()
    assert installation.trail(create.action_id) == ["created", "voted", "voted", "approved"]
    told = [event.data for event in read.get_audit_trail(installation.owner, create.action_id)[1:3]]
    assert {(data["content_hash"], data["issuer"]) for data in told} == {(seen, f"person:{person}") for person in own}
    assert installation.broken() == []
