"""A key's life: rotation with overlap, retirement, revocation, and what each means for what it signed."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

from db import due, keys, read
from domain.executing import AttemptStarted
from domain.messages import CastVote
from tests.world import KEYS, SCOPES, Installation, directory, top_up
from workers.envelope import SigningKey
from workers.producer import Producer, Ticket
from workers.sandbox import Sandbox


def test_two_keys_of_an_issuer_count_side_by_side_until_one_is_retired(installation: Installation) -> None:
    new = SigningKey.generate("sira-2", "sira")
    keys.add_key(installation.owner, new.kid, "sira", new.public_bytes, SCOPES["sira"])
    old_ticket = installation.producer("sira").send(top_up("a"))
    new_ticket = Producer(installation.client, new).send(top_up("b"))
    installation.drain()
    assert installation.answers(old_ticket, new_ticket) == ["applied", "applied"]
    assert keys.retire_key(installation.owner, KEYS["sira"].kid, after_seconds=0)
    late = installation.producer("sira").send(top_up("c"))
    installation.drain()
    assert installation.answers(late) == ["key_not_valid"]


def test_the_same_token_gets_its_stored_receipt_after_its_key_was_retired(installation: Installation) -> None:
    ticket = installation.producer("sira").send(top_up())
    installation.drain()
    keys.retire_key(installation.owner, KEYS["sira"].kid, after_seconds=0)
    installation.producer("sira").resend([ticket])
    installation.drain()
    assert installation.answers(ticket) == ["applied"]
    assert installation.count("quarantined") == 0


def test_a_key_retired_later_counts_until_then_and_retiring_never_prolongs(installation: Installation) -> None:
    kid = KEYS["sira"].kid
    keys.retire_key(installation.owner, kid, after_seconds=600)
    ends = installation.scalar("select valid_until from keys where kid = %s", kid)
    keys.retire_key(installation.owner, kid, after_seconds=6000)
    assert installation.scalar("select valid_until from keys where kid = %s", kid) == ends
    ticket = installation.producer("sira").send(top_up())
    installation.drain()
    assert installation.answers(ticket) == ["applied"]
    assert not keys.retire_key(installation.owner, "nobody", after_seconds=0)


def test_votes_of_a_revoked_key_stop_an_execution_that_has_not_begun(
    installation: Installation, sandbox: Sandbox
) -> None:
    action = installation.approved()
    assert keys.revoke_key(installation.owner, KEYS["ops-tooling"].kid)
    assert installation.executor(sandbox.url).execute(action) is None
    assert sandbox.effects() == []
    assert installation.action(action)["status"] == "pending_approval"
    assert installation.trail(action)[-1] == "reopened"
    assert not keys.revoke_key(installation.owner, "nobody")


def test_who_holds_a_role_is_told_by_the_directory(installation: Installation) -> None:
    assert [row["id"] for row in read.list_holders(installation.owner, "ops_admin")] == ["ops-admin-1", "ops-admin-2"]
    people = {row["id"]: row["roles"] for row in read.list_people(installation.owner)}
    assert people["cfo-1"] == ["cfo"]


OWN = SigningKey.generate("person:finance-user-1-1", "person:finance-user-1")


@pytest.fixture
def enrolled(installation: Installation) -> Installation:
    """An installation where finance-user-1 has a key of their own."""
    keys.enrol_key(installation.owner, OWN.kid, "finance-user-1", OWN.public_bytes)
    return installation


def signed(installation: Installation, action_id: UUID | None, **changes: Any) -> Ticket:
    """A vote signed with finance-user-1's own key."""
    body = {"action_id": action_id, "voter_id": "finance-user-1", "vote": "approve"} | changes
    return Producer(installation.client, OWN).send(CastVote.model_validate(body))


def test_a_person_votes_with_a_key_of_their_own_and_for_nobody_else(enrolled: Installation) -> None:
    create = enrolled.producer("sira").send(top_up())
    own = signed(enrolled, create.action_id)
    anothers = signed(enrolled, create.action_id, voter_id="finance-user-2")
    enrolled.drain()
    assert enrolled.answers(create, own, anothers) == ["applied", "applied", "out_of_scope"]
    assert enrolled.scalar("select kid from votes") == OWN.kid


def test_a_vote_signed_for_another_is_refused_though_it_waited_for_its_action(enrolled: Installation) -> None:
    create = enrolled.producer("sira").sign(top_up())
    own, anothers = (signed(enrolled, create.action_id, voter_id=f"finance-user-{number}") for number in (1, 2))
    enrolled.drain()
    enrolled.producer("sira").resend([create])
    enrolled.drain()
    assert enrolled.answers(own, anothers) == ["applied", "out_of_scope"]


def test_nobody_fills_an_actions_waiting_room_in_the_name_of_another(enrolled: Installation) -> None:
    create = enrolled.producer("sira").sign(top_up())
    anothers = [signed(enrolled, create.action_id, voter_id="finance-user-2") for _ in range(3)]
    enrolled.drain()
    assert enrolled.answers(*anothers) == ["out_of_scope"] * 3
    assert enrolled.count("parked") == 0


def test_a_personal_key_does_nothing_but_vote(enrolled: Installation) -> None:
    producer = Producer(enrolled.client, OWN)
    tickets = [producer.send(top_up()), producer.send(directory(2))]
    enrolled.drain()
    assert enrolled.answers(*tickets) == ["out_of_scope", "out_of_scope"]


def test_who_has_left_votes_no_more_with_their_key_either(enrolled: Installation) -> None:
    create = enrolled.producer("sira").send(top_up())
    enrolled.producer("directory").send(directory(2, {"finance-user-2": ("finance_ops",)}))
    late = signed(enrolled, create.action_id)
    enrolled.drain()
    assert enrolled.answers(late) == ["not_eligible"]


@pytest.mark.parametrize(
    "change",
    [
        "update keys set issuer = 'sira' where person_id is not null",
        "update keys set person_id = 'finance-user-2' where person_id is not null",
        'update keys set scope = scope || \'{"types": ["CastVote", "CreateAction"]}\' where person_id is not null',
        "update keys set person_id = null where person_id is not null",
        "update keys set issuer = 'person:finance-user-2' where issuer = 'ops-tooling'",
    ],
)
def test_the_database_holds_what_a_personal_key_is(enrolled: Installation, change: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="personal_keys_only_vote"):
        enrolled.owner.execute(change)


def test_nobody_is_enrolled_whom_the_directory_does_not_know(installation: Installation) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        keys.enrol_key(installation.owner, "stranger-1", "stranger", OWN.public_bytes)


def test_an_approval_whose_people_have_left_goes_to_the_next_step_when_its_execution_would_start(
    installation: Installation,
) -> None:
    action_id = installation.approved()
    installation.tell("directory", directory(2, {"cfo-1": ("cfo",), "finance-user-4": ("finance_ops",)}))
    installation.applier.apply([AttemptStarted(action_id, due.draw_token(installation.owner), "tests")])
    assert installation.trail(action_id)[-2:] == ["reopened", "escalated"]
    assert installation.action(action_id)["status"] == "escalated"
