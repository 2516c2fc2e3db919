"""The commands about definitions: they ask for approval once there is somebody to approve, and tell what changed and by whom."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from db import read
from domain.lifecycle import Status
from tests.world import KEYS, Installation, directory, top_up
from workers.cli.main import app
from workers.sandbox import Sandbox

POLICY = """
policies:
  - name: Float Adjustment
    description: Moving an agent's float
    criteria: {action_type: ADJUST_FLOAT}
    policy:
      required_quorum: {type: role, value: {role: finance_ops, min_votes: %s}}
      required_ratio: 0.60
      timeout_seconds: 3600
      escalation_role: cfo
    priority: 95
  - name: Payouts at night
    criteria: {action_type: PAUSE_PAYOUT}
    policy: {required_quorum: {type: role, value: {role: pay_admin, min_votes: 1}}}
"""


class Desk:
    """Somebody at the command line of an installation, with the key that asks for changes."""

    def __init__(self, installation: Installation, directory: Path) -> None:
        self.installation = installation
        self.file = directory / "policies.yaml"
        self.file.write_text(POLICY % 3)
        key = directory / "definitions.json"
        KEYS["definitions"].write(key)
        settings = installation.settings
        self.env = {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "OPS_APPROVAL_KEY": str(key),
        }

    def run(self, *arguments: str) -> tuple[int, str]:
        """A command's exit code and what it prints; in this process, as there are many of them here."""
        done = CliRunner().invoke(app, arguments, env=self.env)
        return done.exit_code, done.output

    def says(self, *arguments: str, code: int = 0) -> str:
        """What a command prints; it ends with this exit code."""
        ended, said = self.run("policies", *arguments)
        assert ended == code, said
        return said

    def told(self, *arguments: str) -> Any:
        """What a command tells programs."""
        return json.loads(self.says(*arguments, "--json"))

    def apply(self) -> list[tuple[str, str]]:
        """Ask for what the file says, and take the messages in: what became of each definition."""
        told = self.told("apply", str(self.file), "--as", "finance-user-3")
        self.installation.drain()
        return [(answer["name"], answer["state"]) for answer in told]

    def agree(self) -> None:
        """Have everything agreed to that was asked for, and carried out."""
        for action in read.list_actions(self.installation.owner, [Status.REQUESTED], 10):
            for person in ("ops-admin-1", "ops-admin-2"):
                assert self.installation.vote(action["id"], person).outcome == "applied"
            assert self.installation.ask_to_execute(action["id"], "finance-user-4").outcome == "applied"
            assert self.installation.perform(action["id"]) == "executed"


@pytest.fixture
def desk(installation: Installation, tmp_path: Path) -> Desk:
    return Desk(installation, tmp_path)


FIRST, SECOND = "Float Adjustment", "Payouts at night"


def test_applying_a_file_asks_for_approval_of_each_difference_and_changes_nothing_by_itself(desk: Desk) -> None:
    assert desk.apply() == [(FIRST, "asked"), (SECOND, "asked")]
    assert desk.installation.scalar("select max(version) from definitions where kind = 'policy'") == 1
    asked = read.list_actions(desk.installation.owner, [Status.REQUESTED], 10)
    assert {row["target_tenant_id"] for row in asked} == {FIRST, SECOND}
    assert desk.apply() == [(FIRST, "waiting"), (SECOND, "waiting")]
    desk.agree()
    assert desk.apply() == [(FIRST, "unchanged"), (SECOND, "unchanged")]
    (created,) = desk.installation.tell("sira", top_up())
    assert created.action_id is not None
    assert desk.installation.action(created.action_id)["policy_version"] == 2


def test_people_are_told_what_they_ask_for_and_what_comes_next(desk: Desk) -> None:
    said = desk.says("apply", str(desk.file), "--as", "finance-user-3", "--reason", "we grew")
    desk.installation.drain()
    assert f"policy {FIRST} asks for approval of version 2, in action " in said
    assert "actions show" in said
    action_id = said.split("in action ")[1][:36]
    lines = desk.run("actions", "show", action_id)[1].splitlines()
    for line in (
        "  reason       we grew",
        f"  --- policy {FIRST} version 1",
        f"  +++ policy {FIRST} version 2",
        "  -      min_votes: 2",
        "  +      min_votes: 3",
    ):
        assert line in lines
    assert not any("priority" in line or "params" in line for line in lines), "what stays as it is is not told"
    assert any("2 of ops_admin" in line for line in lines)


def difference(desk: Desk, action_id: Any) -> Any:
    return json.loads(desk.run("actions", "show", str(action_id), "--json")[1])["difference"]


def test_who_votes_on_a_change_sees_what_it_was_compared_with_when_it_was_asked_for(desk: Desk) -> None:
    first, second = (answer["action_id"] for answer in desk.told("apply", str(desk.file), "--as", "finance-user-3"))
    desk.installation.drain()
    assert difference(desk, second)["diff"].startswith(f"--- nothing\n+++ policy {SECOND} version 1")
    before = difference(desk, first)
    assert (before["before"], before["after"]) == (1, 2)
    assert "-      min_votes: 2\n+      min_votes: 3" in before["diff"]
    desk.agree()
    assert difference(desk, first) == before, "though another version is in force by now"
    (removal,) = desk.told("remove", FIRST, "--as", "finance-user-3")
    desk.installation.drain()
    assert "-      min_votes: 3" in difference(desk, removal["action_id"])["diff"].splitlines()
    (created,) = desk.installation.tell("sira", top_up())
    assert difference(desk, created.action_id) is None


def test_who_asks_must_say_who_they_are_and_may_be_refused(desk: Desk, sandbox: Sandbox) -> None:
    assert "--as PERSON" in desk.says("apply", str(desk.file), code=2)
    with desk.installation.at_work(sandbox.url):
        said = desk.says("apply", str(desk.file), "--as", "merchant-viewer", "--wait", code=1)
        assert "may not be asked for: The creator may not ask for this" in said
        assert ".." not in said
        assert "asks for approval" in desk.says("apply", str(desk.file), "--as", "ops-admin-1", "--wait")


def test_what_was_rejected_can_be_asked_for_again(desk: Desk) -> None:
    desk.apply()
    for action in read.list_actions(desk.installation.owner, [Status.REQUESTED], 10):
        for person in ("ops-admin-1", "ops-admin-2"):
            desk.installation.vote(action["id"], person, "reject")
    assert desk.apply() == [(FIRST, "asked"), (SECOND, "asked")]
    assert len(read.list_actions(desk.installation.owner, [Status.REQUESTED], 10)) == 2


def test_the_history_of_a_policy_tells_who_agreed_to_each_version(desk: Desk) -> None:
    desk.apply()
    desk.agree()
    first, second = desk.told("history", FIRST)
    assert (first["version"], first["created_by"], first["agreed_in"]) == (1, "tests", None)
    assert (second["version"], second["created_by"]) == (2, "finance-user-3")
    assert second["approved_by"] == ["ops-admin-1", "ops-admin-2"]
    assert desk.installation.action(second["agreed_in"])["status"] == "executed"
    said = desk.says("history", FIRST)
    assert "without approval" in said
    assert f"ops-admin-1, ops-admin-2  {second['agreed_in']}" in said
    assert "There never was a policy Nothing. See `ops-approval policies list`" in desk.says(
        "history", "Nothing", code=1
    )
    for command in (["history"], ["diff"], ["remove", "--as", "finance-user-3"]):
        assert "For the remediation rule add --kind remediation_rule." in desk.says(*command, "float_low", code=1)


def test_a_difference_is_shown_line_by_line(desk: Desk) -> None:
    wanted = desk.says("diff", str(desk.file))
    for line in ("-      min_votes: 2", "+      min_votes: 3", f"+name: {SECOND}"):
        assert line in wanted.splitlines()
    desk.apply()
    desk.agree()
    assert "Nothing differs" in desk.says("diff", str(desk.file))
    (between,) = desk.told("diff", FIRST)
    assert (between["before"], between["after"]) == (1, 2)
    assert "-      min_votes: 2\n+      min_votes: 3" in between["diff"]
    (reverse,) = desk.told("diff", FIRST, "--from", "2", "--to", "1")
    assert "-      min_votes: 3\n+      min_votes: 2" in reverse["diff"]
    assert f"+name: {FIRST}" in desk.says("diff", FIRST, "--to", "1")
    assert "no version 7" in desk.says("diff", FIRST, "--from", "7", code=1)


def test_a_policy_is_removed_by_approval_and_its_history_stays(desk: Desk) -> None:
    (asked,) = desk.told("remove", FIRST, "--as", "finance-user-3")
    assert (asked["state"], asked["version"]) == ("asked", 2)
    desk.installation.drain()
    desk.agree()
    assert FIRST not in desk.says("list")
    assert [version["body"] is None for version in desk.told("history", FIRST)] == [False, True]
    assert "removed" in desk.says("history", FIRST)
    assert "-      min_votes: 2" in desk.says("diff", FIRST)
    assert "no policy Float Adjustment in force" in desk.says("remove", FIRST, "--as", "finance-user-3", code=1)
    assert desk.apply()[0] == (FIRST, "asked")
    desk.agree()
    assert [version["version"] for version in desk.told("history", FIRST)] == [1, 2, 3]


def test_before_there_is_a_directory_the_owner_puts_definitions_in_force_at_once(desk: Desk) -> None:
    installation = desk.installation
    with psycopg.connect(installation.settings.database_url, autocommit=True) as conn:
        conn.execute("drop schema ops_approval cascade")
    assert desk.run("db", "init")[0] == 0
    told = desk.told("apply", str(desk.file))
    assert [(answer["state"], answer["version"]) for answer in told] == [("in_force", 1), ("in_force", 1)]
    assert "without approval" in desk.says("remove", SECOND)
    assert f"{SECOND} is now version 3" in desk.says("apply", str(desk.file))
    assert "is in force as it is here" in desk.says("apply", str(desk.file))


def test_with_the_first_snapshot_the_owner_needs_approval_too(desk: Desk) -> None:
    installation = desk.installation
    with psycopg.connect(installation.settings.database_url, autocommit=True) as conn:
        conn.execute("drop schema ops_approval cascade")
    assert desk.run("db", "init")[0] == 0
    jwk = desk.file.with_name("directory.jwk")
    jwk.write_text(json.dumps(KEYS["directory"].public_jwk))
    assert desk.run("keys", "register", "directory", str(jwk), "--type", "SyncDirectory")[0] == 0
    assert installation.tell("directory", directory())[0].outcome == "applied"
    assert "needs approval" not in desk.says("diff", str(desk.file))
    assert "--as PERSON" in desk.says("apply", str(desk.file), code=2)
    assert "--as PERSON" in desk.says("remove", "Merchant Freeze", code=2)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("policies:\n  - name: X\n   criteria: {}\n", "line 3, column 4: expected <block end>"),
        (
            "policy: []\n",
            "expected an object with the list policies, action_types, remediation_rules, or several of them, but found policy",
        ),
        ("", "expected an object with the list policies, action_types, remediation_rules, or several of them."),
    ],
)
def test_a_file_that_is_no_list_of_definitions_is_told_where_on_one_line(
    tmp_path: Path, written: str, told: str
) -> None:
    file = tmp_path / "draft.yaml"
    file.write_text(written)
    done = CliRunner().invoke(app, ["policies", "lint", str(file)])
    assert done.exit_code == 2
    assert told in done.output
    assert len(done.output.splitlines()) == 1


def test_a_file_that_is_not_there_is_not_taken_for_a_policy(desk: Desk) -> None:
    assert "There is no file drafts.yaml" in desk.says("diff", "drafts.yaml", code=2)


def test_the_action_types_in_force_are_listed_with_the_params_they_take(desk: Desk) -> None:
    ended, said = desk.run("types", "list")
    assert ended == 0
    rows = {line.split()[0]: line for line in said.splitlines()[1:]}
    assert "merchant_id: string, duration: string or integer, amount?: integer" in rows["PAUSE_PAYOUT"]
    assert rows["RETRY"].split()[1] == "0", "the engine's own has no version"
    listed = json.loads(desk.run("types", "list", "--json")[1])
    assert [item["name"] for item in listed] == list(rows) == sorted(rows)


def test_an_action_type_is_shown_in_full_and_an_unknown_one_is_told_the_others(desk: Desk) -> None:
    ended, said = desk.run("types", "show", "PAUSE_PAYOUT")
    assert ended == 0
    assert "max_attempts: 12" in said.splitlines()
    assert json.loads(desk.run("types", "show", "PAUSE_PAYOUT", "--json")[1])["version"] == 1
    ended, said = desk.run("types", "show", "PAUSE_PAYOUTS")
    assert ended == 1
    assert "There are ADJUST_FLOAT," in said
