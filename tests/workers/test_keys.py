"""A key's life: rotation with overlap, retirement, revocation, and what each means for what it signed."""

from db import keys, read
from tests.world import KEYS, SCOPES, Installation, top_up
from workers.envelope import SigningKey
from workers.producer import Producer
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
