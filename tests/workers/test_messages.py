"""What comes through the queue, good and bad: each message gets one outcome, and nothing holds up the others."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import dramatiq
import pytest

from db import keys, read
from domain.exact_json import MAX_BYTES
from domain.lifecycle import Status
from domain.messages import MAX_SNAPSHOT_BYTES, CastVote, SyncDirectory
from domain.voting import MAX_PARKED
from tests.world import KEYS, SCOPES, Installation, directory, top_up
from workers.envelope import SigningKey
from workers.producer import Producer, Ticket
from workers.queue import MESSAGES, Doorbell, enqueue
from workers.sandbox import Sandbox


def vote(installation: Installation, action_id: UUID | None, person: str, choice: str = "approve") -> Ticket:
    """A vote that lies in the queue."""
    body = {"action_id": action_id, "voter_id": person, "vote": choice}
    return installation.producer("ops-tooling").send(CastVote.model_validate(body))


def raw(installation: Installation, entry_id: str, body: bytes | None) -> None:
    """Something in the queue that no producer of ours wrote."""
    if body is not None:
        installation.client.hset("dramatiq:messages.msgs", entry_id, body)
    installation.client.rpush("dramatiq:messages", entry_id)


@pytest.mark.parametrize("batch", [1, 2, 200])
def test_the_same_token_three_times_has_one_effect_and_one_receipt(installation: Installation, batch: int) -> None:
    create = installation.producer("sira").send(top_up())
    first = vote(installation, create.action_id, "finance-user-1")
    for _ in range(2):
        installation.producer("sira").resend([create, first])
    installation.drain(batch)
    assert installation.answers(create, first) == ["applied", "applied"]
    assert installation.scalar("select count(*) from messages where jti <> 'directory'") == 2
    assert create.action_id is not None
    assert installation.trail(create.action_id) == ["created", "voted"]
    assert installation.queued() == 0


def test_votes_that_come_before_their_action_wait_for_it(installation: Installation) -> None:
    create = installation.producer("sira").sign(top_up())
    assert create.action_id is not None
    early = [vote(installation, create.action_id, person) for person in ("finance-user-1", "pay-admin-1")]
    installation.drain()
    assert installation.answers(*early) == ["parked", "parked"]

    installation.producer("sira").resend([create])
    late = vote(installation, create.action_id, "finance-user-2")
    installation.drain()
    assert installation.answers(create, *early, late) == ["applied", "applied", "not_eligible", "applied"]
    assert installation.trail(create.action_id) == ["created", "voted", "voted", "approved"]


def test_a_parked_vote_does_not_outlive_its_exp(installation: Installation) -> None:
    """Whether a sweep ran in between or not: deadlines use the database's clock."""
    create = installation.producer("sira").sign(top_up())
    assert create.action_id is not None
    early = vote(installation, create.action_id, "finance-user-1")
    installation.drain()
    installation.owner.execute("update messages set expires_at = now() - interval '1 s' where outcome = 'parked'")
    installation.producer("sira").resend([create])
    installation.drain()
    assert installation.count("refused") == 1
    assert installation.answers(create, early)[0] == "applied"
    assert installation.trail(create.action_id) == ["created"]


@pytest.mark.parametrize("batch", [1, 200])
def test_a_vote_after_the_decision_is_refused(installation: Installation, batch: int) -> None:
    create = installation.producer("sira").send(top_up())
    votes = [vote(installation, create.action_id, f"finance-user-{number}") for number in (1, 2, 3)]
    installation.drain(batch)
    assert installation.answers(*votes) == ["applied", "applied", "action_closed"]
    assert create.action_id is not None
    action = installation.action(create.action_id)
    assert (action["status"], action["votes_approve"], len(action["votes"])) == ("approved", 2, 2)


def test_forgeries_are_quarantined_once_however_often_they_come(installation: Installation) -> None:
    create = installation.producer("sira").send(top_up())
    forger = Producer(installation.client, SigningKey.generate("ops-tooling-1", "ops-tooling"))
    assert create.action_id is not None
    forged = forger.send(CastVote(action_id=create.action_id, voter_id="finance-user-1", vote="approve"))
    for _ in range(3):
        forger.resend([forged])
        installation.drain()
    assert installation.answers(create, forged) == ["applied", "bad_signature"]
    quarantined = installation.owner.execute("select * from messages where outcome = 'quarantined'").fetchall()
    assert [(row["token"], row["issuer"], row["jti"]) for row in quarantined] == [(None, None, None)]
    assert installation.trail(create.action_id) == ["created"]


def test_who_may_not_vote_is_told_why(installation: Installation) -> None:
    params = {"agent_id": "agent-123", "adjustment": "top_up", "amount": 5}
    asked = top_up(origin="ops_ui", created_by="finance-user-1", triggered_by="finance-user-2", params=params)
    create = installation.producer("ops-tooling").send(asked)
    producer = installation.producer("ops-tooling")
    body = {"action_id": create.action_id, "voter_id": "finance-user-3", "vote": "approve"}
    told = {
        "separation_of_duties": body | {"voter_id": "finance-user-1"},
        "separation_of_duties ": body | {"voter_id": "finance-user-2"},
        "not_eligible": body | {"voter_id": "nobody"},
        "not_eligible ": body | {"voter_id": "merchant-viewer"},
        "role_not_held": body | {"voter_roles": ["finance_ops", "cfo"]},
        "content_hash_mismatch": body | {"content_hash": "0" * 64},
        "cast_in_future": body | {"cast_at": datetime.now(UTC) + timedelta(minutes=2)},
    }
    tickets = [producer.send(CastVote.model_validate(wrong)) for wrong in told.values()]
    installation.drain()
    assert installation.answers(*tickets) == [code.strip() for code in told]
    assert create.action_id is not None
    assert installation.trail(create.action_id) == ["created"]


@pytest.mark.parametrize("batch", [1, 3, 200])
def test_an_undecodable_entry_holds_up_nobody(installation: Installation, batch: int) -> None:
    raw(installation, "bad", b"\xff not JSON \x00")
    good = [installation.producer("sira").send(top_up(f"good {number}")) for number in range(10)]
    raw(installation, "without a body", None)
    installation.drain(batch)
    assert installation.answers(*good) == ["applied"] * 10
    quarantined = installation.owner.execute("select * from messages where outcome = 'quarantined'").fetchall()
    assert {row["code"] for row in quarantined} == {"malformed_entry"}
    assert {row["excerpt"] for row in quarantined} == {"\ufffd not JSON \ufffd", "no body: without a body"}
    assert installation.queued() == 0


def test_whatever_lies_in_the_queue_is_quarantined_and_let_go(installation: Installation) -> None:
    def entry(**changes: object) -> bytes:
        message = {"queue_name": "messages", "actor_name": "receive", "args": ["x"], "kwargs": {}, "options": {}}
        return json.dumps(message | {"message_id": "1", "message_timestamp": 1} | changes).encode()

    bad = [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b"9" * 10_000,
        entry(args=[]),
        entry(args=["a", "b"]),
        entry(args=[1]),
        entry(args=None),
        entry(args={"0": "x"}),
        entry(kwargs={"token": "x"}),
        entry(actor_name="execute", args=["00000000-0000-0000-0000-000000000000"]),
        entry(args=["\ud800.\ud800.\ud800"]),
        entry(args=["a" * 100_000]),
        entry(args=[".."]),
        entry(args=["e30.e30.e30"]),
        entry(extra=1),
    ]
    for number, body in enumerate(bad):
        raw(installation, f"bad {number}", body)
    good = installation.producer("sira").send(top_up())
    installation.drain()
    assert installation.count("quarantined") == len(bad)
    assert installation.answers(good) == ["applied"]
    assert installation.queued() == 0


def test_a_message_is_healed_when_its_key_becomes_known(installation: Installation) -> None:
    key = SigningKey.generate("new-1", "new")
    early = Producer(installation.client, key).send(top_up())
    installation.drain()
    assert installation.answers(early) == ["unknown_key"]
    keys.add_key(installation.owner, "new-1", "new", key.public_bytes, SCOPES["sira"])
    Producer(installation.client, key).resend([early, early])
    installation.drain()
    assert installation.answers(early) == ["applied"]
    assert installation.scalar("select issuer from messages where excerpt is null and jti <> 'directory'") == "new"
    assert early.action_id is not None
    assert installation.trail(early.action_id) == ["created"]


@pytest.mark.parametrize("batch", [1, 200])
def test_one_identity_is_one_message(installation: Installation, batch: int) -> None:
    producer = installation.producer("sira")
    first = producer.send(top_up("one"), jti="same")
    other = producer.send(top_up("two"), jti="same")
    producer.resend([other, first])
    installation.drain(batch)
    assert installation.answers(first, other) == ["applied", "identity_conflict"]
    assert installation.scalar("select count(*) from actions") == 1
    body = top_up("three", origin="alert", created_by="alerts")
    of_another = installation.producer("alerts").send(body, jti="same")
    installation.drain(batch)
    assert installation.answers(of_another) == ["applied"]


@pytest.mark.parametrize("batch", [1, 200])
def test_one_idempotency_key_is_one_action(installation: Installation, batch: int) -> None:
    producer = installation.producer("sira")
    tickets = [producer.send(body) for body in (top_up(), top_up(), top_up(amount=2_000_000))]
    installation.drain(batch)
    assert installation.answers(*tickets) == ["applied", "duplicate", "idempotency_conflict"]
    assert {ticket.action_id for ticket in tickets} == {installation.scalar("select id from actions")}
    assert installation.scalar("select count(*) from actions") == 1


def test_all_that_was_received_finishes_though_redis_forgets_everything(
    installation: Installation, sandbox: Sandbox
) -> None:
    create = installation.producer("sira").sign(top_up())
    vote(installation, create.action_id, "finance-user-1")
    installation.drain()
    installation.client.flushall()
    installation.producer("sira").resend([create])
    vote(installation, create.action_id, "finance-user-2")
    installation.drain()
    assert create.action_id is not None
    installation.ask_to_execute(create.action_id)
    installation.client.flushall()

    (action_id,) = installation.applier.sweep({Status.APPROVED}).executable
    assert installation.executor(sandbox.url).execute(action_id) == "executed"
    assert len(sandbox.effects()) == 1


def test_what_redis_lost_is_sent_again(installation: Installation) -> None:
    create = installation.producer("sira").send(top_up())
    first = vote(installation, create.action_id, "finance-user-1")
    installation.drain()
    second = vote(installation, create.action_id, "finance-user-2")
    installation.client.flushall()
    enqueue(installation.client, [second.token, create.token, first.token])
    installation.drain()
    assert installation.answers(create, first, second) == ["applied"] * 3
    assert create.action_id is not None
    assert installation.trail(create.action_id) == ["created", "voted", "voted", "approved"]


def test_a_directory_with_a_grant_that_has_ended_is_taken(installation: Installation) -> None:
    """Yesterday's temporary role is still in the list today: only it has ended, and the others count."""
    snapshot = directory(2).model_dump(mode="json")
    snapshot["people"][0]["grants"].append({"role": "cfo", "ends_at": "2020-01-01T00:00:00Z"})
    ticket = installation.producer("directory").send(SyncDirectory.model_validate(snapshot))
    installation.drain()
    assert installation.answers(ticket) == ["applied"]


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59+05:00"])
def test_a_grant_for_ever_poisons_nothing(installation: Installation, end: str) -> None:
    """A moment that is past the last year in UTC would be stored and could never be read again."""
    snapshot = directory(2).model_dump(mode="json")
    snapshot["people"][0]["grants"][0]["ends_at"] = end
    installation.send_raw("directory", "SyncDirectory", snapshot)
    create = installation.producer("sira").send(top_up())
    first = vote(installation, create.action_id, "finance-user-1")
    newer = installation.producer("directory").send(directory(3))
    second = vote(installation, create.action_id, "finance-user-2")
    installation.drain()
    assert installation.answers(create, first, newer, second) == ["applied"] * 4


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"])
def test_a_moment_before_all_time_is_answered_with_a_receipt_for_people(
    installation: Installation, moment: str
) -> None:
    create = installation.producer("sira").send(top_up())
    body = {"action_id": str(create.action_id), "voter_id": "finance-user-1", "vote": "approve", "cast_at": moment}
    installation.send_raw("ops-tooling", "CastVote", body)
    installation.drain()
    assert installation.count("dead") == 0


def test_only_so_many_votes_wait_for_one_action(installation: Installation) -> None:
    """Otherwise whoever may vote could make the creation of an action take for ever."""
    create = installation.producer("sira").sign(top_up())
    early = [vote(installation, create.action_id, "finance-user-1") for _ in range(MAX_PARKED + 3)]
    installation.drain(batch=60)
    assert installation.answers(*early) == ["parked"] * MAX_PARKED + ["too_many_parked"] * 3
    installation.producer("sira").resend([create])
    installation.drain()
    assert create.action_id is not None
    assert installation.action(create.action_id)["votes_approve"] == 1


def test_a_message_for_another_installation_takes_no_identity_here(installation: Installation) -> None:
    elsewhere = Producer(installation.client, KEYS["sira"], audience="staging").send(top_up(), jti="one")
    here = installation.producer("sira").send(top_up(), jti="one")
    installation.drain()
    assert installation.answers(elsewhere, here) == ["wrong_audience", "applied"]


@pytest.mark.parametrize(
    "creator", ["finance-user-1 ", "Finance-User-1", "\uff46inance-user-1", "finance-user-1\u200b"]
)
def test_another_spelling_of_a_name_is_no_other_person(installation: Installation, creator: str) -> None:
    """Whoever created an action does not vote on it, however the name was written."""
    body = top_up().model_dump(mode="json", exclude_unset=True) | {"created_by": creator}
    created = installation.send_raw("sira", "CreateAction", body)
    first = vote(installation, created.action_id, "finance-user-1")
    installation.drain()
    assert installation.answers(first)[0] in {"separation_of_duties", "parked"}


def test_a_snapshot_as_large_as_it_may_be_is_taken(installation: Installation) -> None:
    people = {f"person {number:06} {'x' * 100}": ("finance_ops",) for number in range(4800)}
    snapshot = installation.producer("directory").send(directory(2, people))
    assert 900_000 < len(snapshot.token) <= MAX_SNAPSHOT_BYTES
    installation.drain()
    assert installation.answers(snapshot) == ["applied"]


def test_a_key_with_an_id_as_long_as_it_may_be_is_understood(installation: Installation) -> None:
    key = SigningKey.generate("é" * 200, "long")
    keys.add_key(installation.owner, key.kid, "long", key.public_bytes, SCOPES["sira"])
    ticket = Producer(installation.client, key).send(top_up())
    installation.drain()
    assert installation.answers(ticket) == ["applied"]


def test_a_delayed_message_is_not_left_behind(installation: Installation) -> None:
    ticket = installation.producer("sira").sign(top_up())
    message = dramatiq.Message[Any](
        queue_name=MESSAGES, actor_name="receive", args=(ticket.token,), kwargs={}, options={}
    )
    installation.broker.declare_queue(MESSAGES)
    installation.broker.enqueue(message, delay=3_600_000)
    Doorbell(installation.client).recall_delayed()
    installation.drain()
    assert installation.answers(ticket) == ["applied"]
    assert installation.queued() == 0


def test_receipts_of_an_action_are_told_in_the_order_in_which_they_came(installation: Installation) -> None:
    create = installation.producer("sira").send(top_up())
    votes = [
        vote(installation, create.action_id, person, choice)
        for choice in ("approve", "abstain", "withdraw")
        for person in ("finance-user-1", "finance-user-3", "finance-user-4")
        if (person, choice) != ("finance-user-4", "approve")
    ]
    installation.drain()
    assert create.action_id is not None
    told = read.get_receipts_of_action(installation.owner, create.action_id)
    assert [row["jti"] for row in told] == [ticket.jti for ticket in (create, *votes)]


def test_a_directory_of_hundreds_fits_into_one_message_and_an_action_of_that_size_does_not(
    installation: Installation,
) -> None:
    people = {f"somebody-with-a-long-name-{number}": ("ops_admin",) for number in range(800)}
    ticket = installation.producer("directory").send(directory(2, people))
    assert len(ticket.token) > MAX_BYTES
    with pytest.raises(ValueError, match="at most 32768"):
        installation.producer("sira").send(top_up(params={"agent_id": "agent-123", "note": "x" * MAX_BYTES}))
    large = installation.send_raw("sira", "CreateAction", {"params": {"note": "x" * MAX_BYTES}})
    installation.drain()
    assert installation.answers(ticket, large) == ["applied", "malformed_envelope"]
