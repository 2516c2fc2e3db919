"""Whose approval could still come is known of whoever holds a role, though nobody named them and they never voted."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from db import directory as reading
from db import read
from domain.lifecycle import Status
from tests.world import Installation, directory, top_up
from workers import definition_files

POLICY = """
policies:
  - name: Strict
    criteria: {{}}
    priority: 200
    policy:
      required_quorum: {quorum}
      required_ratio: 0.75
      timeout_seconds: 3600
      {more}
"""
THREE = "{type: role, value: {role: finance_ops, min_votes: 3}}"
NAMED = "{type: specific_users, value: {users: [merchant-viewer, pay-admin-1]}}"
PEOPLE: Mapping[str, tuple[str, ...]] = {
    **{f"finance-user-{number}": ("finance_ops",) for number in range(1, 5)},
    "cfo-1": ("cfo",),
    "merchant-viewer": (),
    "pay-admin-1": (),
}


def created(installation: Installation, quorum: str = THREE, more: str = "", **changes: object) -> UUID:
    parsed = definition_files.parse(POLICY.format(quorum=quorum, more=more), "strict.yaml")
    definition_files.apply(installation.owner, parsed, by="tests")
    installation.tell("directory", directory(2, PEOPLE))
    (receipt,) = installation.tell("sira", top_up(**changes))  # type: ignore[arg-type]
    assert receipt.action_id is not None
    return receipt.action_id


@pytest.mark.parametrize("quorum", [THREE, NAMED], ids=["a role", "named"])
def test_at_creation_everybody_is_known_who_could_approve(installation: Installation, quorum: str) -> None:
    assert installation.trail(created(installation, quorum)) == ["created"]


def test_a_producers_own_quorum_is_looked_at_too(installation: Installation) -> None:
    asked = {"type": "role", "value": {"role": "cfo", "min_votes": 1}}
    assert installation.trail(created(installation, required_quorum=asked)) == ["created"]


@pytest.mark.parametrize(("rejecting", "expected"), [(1, False), (2, True)])
def test_those_who_have_not_voted_are_known_at_a_vote(
    installation: Installation, rejecting: int, expected: bool
) -> None:
    action_id = created(installation)
    for number in range(rejecting):
        installation.vote(action_id, f"finance-user-{number + 1}", "reject")
    assert installation.action(action_id)["unreachable"] is expected
    listed = read.list_actions(installation.owner, list(Status), 10)
    assert [row["unreachable"] for row in listed] == [expected]
    assert (installation.trail(action_id)[-1] == "unreachable") is expected


def test_the_holders_of_the_next_steps_role_are_known_when_it_begins_at_once(installation: Installation) -> None:
    action_id = created(installation, more="escalation_role: cfo")
    for number in (1, 2):
        installation.vote(action_id, f"finance-user-{number}", "reject")
    assert installation.trail(action_id) == ["created", "voted", "voted", "escalated"]
    assert installation.action(action_id)["unreachable"] is False
    installation.tell("directory", directory(3, {name: PEOPLE[name] for name in PEOPLE if name != "cfo-1"}))
    installation.vote(action_id, "finance-user-3", "abstain")
    assert installation.trail(action_id)[-1] == "unreachable"


def test_people_who_left_are_not_waited_for(installation: Installation) -> None:
    action_id = created(installation)
    installation.tell("directory", directory(3, {name: PEOPLE[name] for name in ("finance-user-1", "cfo-1")}))
    installation.vote(action_id, "finance-user-1")
    assert installation.action(action_id)["unreachable"] is True


BOARD = """{type: any_of, value: {of: [
    {type: role, value: {role: finance_ops, min_votes: 2}},
    {type: specific_users, value: {users: [merchant-viewer, pay-admin-1]}}]}}"""


def test_who_holds_no_role_is_still_here_while_the_same_snapshot_is_taken_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker commits it after a batch has locked what it needs, and before it reads who is here."""
    action_id = created(installation, BOARD)
    installation.vote(action_id, "merchant-viewer", "reject")
    installation.vote(action_id, "finance-user-1")
    other, known = installation.another_worker(), reading.load
    synced = installation.producer("directory").sign(directory(3, PEOPLE))

    def load(*args: Any) -> None:
        monkeypatch.setattr(reading, "load", known)
        assert other.apply_tokens([synced.token]).receipts[0].outcome == "applied"
        known(*args)

    monkeypatch.setattr(reading, "load", load)
    assert installation.vote(action_id, "finance-user-2").outcome == "applied"
    assert installation.action(action_id)["status"] == "pending_approval"  # 2 of 3 are less than 0.75
    assert installation.vote(action_id, "pay-admin-1").outcome == "applied"
    assert installation.action(action_id)["status"] == "approved"
