"""Definitions that change by agreement, on real servers: in force at once for what comes then, whatever dies or races meanwhile."""

import re
import signal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from db import due, invariants
from db.connect import connect
from db.definitions import load_definitions
from domain.executing import AttemptStarted, Perform
from domain.messages import CreateAction
from domain.policy import Policy
from domain.quorum_tree import People
from tests.workers.test_crashes import Start, start  # noqa: F401 - a fixture
from tests.workers.test_races import race, two_workers
from tests.world import PEOPLE, Installation, directory, top_up
from workers.sandbox import Sandbox

NAME = "Float Adjustment"
OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def policy(**rules: Any) -> dict[str, Any]:
    """Another policy for the scenario's action, written in full."""
    quorum = {"type": "role", "value": {"role": "finance_ops", "min_votes": 3}}
    document = {
        "name": NAME,
        "criteria": {"action_type": "ADJUST_FLOAT"},
        "policy": {"required_quorum": quorum} | rules,
    }
    return Policy.model_validate(document).model_dump(mode="json")


def change(installation: Installation, *, replaces: int = 1, definition: dict[str, Any] | None) -> UUID:
    """A change of the scenario's policy, agreed to and its execution asked for."""
    params = {"kind": "policy", "name": NAME, "replaces": replaces, "definition": definition, "reason": "we grew"}
    return installation.agreed("CHANGE_DEFINITION", params, "definitions")


def created(installation: Installation, key: str) -> UUID:
    (receipt,) = installation.tell("sira", top_up(key))
    assert receipt.action_id is not None, receipt
    return receipt.action_id


def versions(installation: Installation) -> list[int]:
    rows = installation.owner.execute("select version from definitions where name = %s order by id", [NAME]).fetchall()
    return [row["version"] for row in rows]


def test_what_people_agreed_to_is_in_force_for_new_actions_and_touches_no_open_one(
    installation: Installation, sandbox: Sandbox
) -> None:
    before = created(installation, "before")
    untouched = installation.action(before)
    agreed = change(installation, definition=policy())
    assert installation.executor(sandbox.url).execute(agreed) == "executed"
    after = created(installation, "after")
    assert installation.action(before) == untouched
    assert [installation.action(action)["policy_version"] for action in (before, after)] == [1, 2]
    for person in ("finance-user-1", "finance-user-2"):
        for action in (before, after):
            assert installation.vote(action, person).outcome == "applied"
    assert [installation.action(action)["status"] for action in (before, after)] == ["approved", "pending_approval"]
    assert installation.trail(agreed)[-3:] == ["approved", "executing", "executed"]
    assert invariants.broken(installation.owner) == []
    assert sandbox.effects() == []


def test_a_removed_policy_keeps_its_history(installation: Installation, sandbox: Sandbox) -> None:
    before = created(installation, "before")
    assert installation.executor(sandbox.url).execute(change(installation, definition=None)) == "executed"
    after = created(installation, "after")
    assert [installation.action(action)["policy_name"] for action in (before, after)] == [NAME, "Default"]
    again = change(installation, replaces=2, definition=policy())
    assert installation.executor(sandbox.url).execute(again) == "executed"
    assert versions(installation) == [1, 2, 3]
    assert installation.action(created(installation, "again"))["policy_version"] == 3
    assert invariants.broken(installation.owner) == []


def test_two_changes_at_once_make_one_version_and_the_other_is_told(installation: Installation) -> None:
    for number in range(1, 6):
        both = [
            change(installation, replaces=number, definition=policy(timeout_seconds=60 * n + number)) for n in (1, 2)
        ]
        tokens = [due.draw_token(installation.owner) for _ in both]
        for action_id, token in zip(both, tokens, strict=True):
            installation.applier.apply([AttemptStarted(action_id, token, "tests")])
        steps = [Perform(*each) for each in zip(both, tokens, strict=True)]
        workers = two_workers(installation)
        race(*(partial(worker.apply, [given]) for worker, given in zip(workers, steps, strict=True)))
        assert sorted(str(installation.action(action_id)["status"]) for action_id in both) == ["executed", "failed"]
        (lost,) = [action for action in map(installation.action, both) if action["status"] == "failed"]
        assert f"is at version {number + 1} by now" in lost["error"]
        assert versions(installation) == [*range(1, number + 2)]
    assert invariants.broken(installation.owner) == []


@pytest.mark.parametrize(("where", "before"), [("while the engine does it", [1]), ("after the engine did it", [1, 2])])
def test_an_executor_killed_around_a_change_makes_one_version(
    installation: Installation,
    sandbox: Sandbox,
    start: Start,  # noqa: F811 - the fixture
    where: str,
    before: list[int],
) -> None:
    action_id = change(installation, definition=policy())
    child = start("execute", where, str(action_id))
    assert child.process.wait(10) == -signal.SIGKILL
    assert versions(installation) == before
    if before == [1]:  # its lease ends, and it is tried again
        installation.make_due(action_id)
        installation.applier.sweep({installation.action(action_id)["status"]})
        installation.make_due(action_id)
    installation.executor(sandbox.url).execute(action_id)
    assert versions(installation) == [1, 2]
    assert installation.action(action_id)["status"] == "executed"
    assert invariants.broken(installation.owner) == []


def test_another_process_knows_the_new_version_with_its_next_message(installation: Installation) -> None:
    other = installation.another_worker()
    other.apply_tokens([installation.producer("sira").sign(top_up("before")).token])
    assert installation.perform(change(installation, definition=policy())) == "executed"
    ticket = installation.producer("sira").sign(top_up("after"))
    other.apply_tokens([ticket.token])
    assert ticket.action_id is not None
    assert installation.action(ticket.action_id)["policy_version"] == 2


def test_what_the_engine_carries_out_and_what_comes_with_it_are_applied_one_after_the_other(
    installation: Installation,
) -> None:
    """A new policy may look at people whom the batch has not read: it is in force from the next transaction on."""
    half = {"required_quorum": {"type": "percentage", "value": {"percentage": 0.5, "pool": "merchant_admin"}}}
    action_id = change(installation, definition=policy(**half))
    token = due.draw_token(installation.owner)
    installation.applier.apply([AttemptStarted(action_id, token, "tests")])
    ticket = installation.producer("sira").sign(top_up("with it"))
    assert ticket.action_id is not None
    installation.applier.apply([Perform(action_id, token), *installation.opened(ticket)])
    assert installation.action(ticket.action_id)["policy_version"] == 2
    assert People(role="merchant_admin") in load_definitions(installation.owner).pools
    (need,) = [installation.action(ticket.action_id)["requirement"]["tree"]]
    assert need["count"] == 1


def shut_out(installation: Installation, **rules: Any) -> UUID:
    """Everybody agrees to what nobody can fill, and asks for its removal, which waits for that."""
    everything = policy(**rules) | {"name": "Everything", "criteria": {}, "priority": 1000}
    params = {"kind": "policy", "name": "Everything", "reason": "we grew"}
    asked = installation.agreed("CHANGE_DEFINITION", params | {"replaces": 0, "definition": everything}, "definitions")
    assert installation.perform(asked) == "executed"
    wish = {"origin": "ops_ui", "action_type": "CHANGE_DEFINITION", "created_by": "finance-user-4"}
    removal = CreateAction.model_validate(wish | {"params": params | {"replaces": 1, "definition": None}})
    (receipt,) = installation.tell("definitions", removal)
    assert receipt.action_id is not None, receipt
    return receipt.action_id


def test_the_owner_takes_a_policy_out_of_force_that_nobody_can_fill_as_the_page_says(
    installation: Installation,
) -> None:
    waiting = shut_out(installation, require_personal_key=True)
    (statement,) = re.findall(r"```sql\n(insert into ops_approval\.definitions.*?)```", OPERATIONS, re.DOTALL)
    url = installation.settings.database_url
    with connect(url, "tests") as worker, pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute(statement)
    with psycopg.connect(url, autocommit=True) as owner:
        assert owner.execute(statement).rowcount == 1
    assert installation.perform(change(installation, definition=policy())) == "executed"
    assert installation.vote(waiting, "finance-user-1").code == "personal_key_required", "it waits as it did"
    (broken,) = invariants.broken(installation.owner)
    assert [violation.id for violation in broken.violations] == ["policy Everything"]


def test_a_snapshot_of_the_directory_gives_a_role_that_a_policy_asks_for_and_nobody_held(
    installation: Installation,
) -> None:
    board = {"type": "role", "value": {"role": "board", "min_votes": 2}}
    waiting = shut_out(installation, required_quorum=board)
    assert installation.action(waiting)["unreachable"]
    given = PEOPLE | {"cfo-1": ("board",), "pay-admin-1": ("board",)}
    installation.tell("directory", directory(2, given))
    assert [installation.vote(waiting, person).outcome for person in ("cfo-1", "pay-admin-1")] == ["applied"] * 2
    installation.ask_to_execute(waiting)
    assert installation.perform(waiting) == "executed"
