"""Voting at the command line: what a policy asks of votes is easy to bring, and it is told which step waits for whom."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from db import keys
from domain.lifecycle import OPEN
from tests.workers.test_cli import run
from tests.world import KEYS, Installation, top_up
from workers import definition_files
from workers.envelope import SigningKey

POLICY = """
policies:
  - name: Strict
    criteria: {action_type: ADJUST_FLOAT}
    policy:
      required_quorum: {type: role, value: {role: finance_ops, min_votes: 2}}
      timeout_seconds: 3600
      escalation:
        - {role: cfo, timeout_seconds: 600}
        - {role: pay_admin, min_votes: 1, timeout_seconds: 300}
      require_content_hash: true
      require_personal_key: true
    priority: 1000
"""


@pytest.fixture(autouse=True)
def _strict(installation: Installation) -> None:
    definition_files.apply(installation.owner, definition_files.parse(POLICY, "strict"), by="tests")


@pytest.fixture
def urls(installation: Installation) -> dict[str, str]:
    return {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}


@pytest.fixture
def created(installation: Installation) -> UUID:
    (create,) = installation.tell("sira", top_up())
    assert create.action_id is not None
    return create.action_id


def test_a_vote_with_the_voters_own_key_names_the_content_that_was_shown(
    installation: Installation, urls: dict[str, str], created: UUID, tmp_path: Path
) -> None:
    own, tooling = SigningKey.generate("f1-1", "person:finance-user-1"), tmp_path / "tooling.json"
    keys.enrol_key(installation.owner, own.kid, "finance-user-1", own.public_bytes)
    own.write(tmp_path / "own.json")
    KEYS["ops-tooling"].write(tooling)

    nobody = run("vote", str(created), "approve", "--key", str(tooling), **urls)
    assert (nobody.returncode, "--as" in nobody.stderr) == (2, True)
    mine = ["vote", str(created), "approve", "--review", "--key", str(tmp_path / "own.json")]
    declined = run(*mine, typed="n\n", **urls)
    assert (declined.returncode, "Nothing was sent" in declined.stderr) == (1, True)
    assert installation.queued() == 0
    voted = run(*mine, typed="y\n", **urls)
    assert voted.returncode == 0, voted.stderr
    assert "agent-123" in voted.stdout
    assert "as finance-user-1?" in voted.stderr
    installation.drain()
    action = installation.action(created)
    assert [vote["voter_id"] for vote in action["votes"]] == ["finance-user-1"]
    assert installation.scalar("select content_hash from votes") == action["content_hash"]
    assert run("vote", str(UUID(int=1)), *mine[2:], typed="y\n", **urls).returncode == 1


def test_an_action_says_what_votes_must_bring_and_which_step_is_open(
    installation: Installation, urls: dict[str, str], created: UUID
) -> None:
    def shown() -> dict[str, str]:
        lines = run("actions", "show", str(created), **urls).stdout.splitlines()
        return {line[2:14].strip(): line[14:].strip() for line in lines if line.startswith("  ")}

    assert shown()["votes bring"] == "the content hash (--review) and the voter's own key (--key)"
    until = f"{installation.action(created)['expires_at']:%Y-%m-%d %H:%M:%S} UTC"
    assert shown()["escalates"] == f"at {until} to cfo; then pay_admin (votes in all: 1); then it expires"
    installation.make_due(created)
    installation.applier.sweep(OPEN)
    until = f"{installation.action(created)['expires_at']:%Y-%m-%d %H:%M:%S} UTC"
    assert (
        shown()["escalates"]
        == f"step 1 of 2 is open to cfo until {until}; then pay_admin (votes in all: 1); then it expires"
    )
    assert json.loads(run("actions", "show", str(created), "--json", **urls).stdout)["steps_reached"] == 1
    assert "step 1, role cfo" in run("actions", "trail", str(created), **urls).stdout
    for _ in range(2):
        installation.make_due(created)
        installation.applier.sweep(OPEN)
    assert installation.action(created)["status"] == "expired"
    assert "escalates" not in shown()


def test_a_policy_is_shown_with_its_steps_and_what_votes_must_bring(urls: dict[str, str]) -> None:
    told = run("policies", "show", "Strict", **urls).stdout
    assert "cfo for 10 min; then pay_admin (votes in all: 1) for 5 min" in told
    assert "the content hash (--review) and the voter's own key (--key)" in told
    assert json.loads(run("policies", "show", "Strict", "--json", **urls).stdout)["policy"]["timeout_seconds"] == 3600
    unknown = run("policies", "show", "Strikt", **urls)
    assert (unknown.returncode, "no policy Strikt in force" in unknown.stderr) == (1, True)


def test_the_list_of_policies_is_no_wider_than_120_columns(installation: Installation, urls: dict[str, str]) -> None:
    ids = ", ".join(f"merchant-{number}" for number in range(40))
    wide = POLICY.replace("Strict", "Wide").replace(
        "criteria: {action_type: ADJUST_FLOAT}",
        f"criteria: {{action_type: ADJUST_FLOAT, params.agent_id: {{$in: [{ids}]}}}}",
    )
    definition_files.apply(installation.owner, definition_files.parse(wide, "wide"), by="tests")
    lines = run("policies", "list", **urls).stdout.splitlines()
    assert max(map(len, lines)) == 120
    row = next(line for line in lines if "Wide" in line)
    assert "…  2 of finance_ops  1 h" in row
