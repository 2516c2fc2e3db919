"""The commands that explain and doubt policies say what creating would do, and do nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workers.test_answers import Desk
from tests.workers.test_cli import NOWHERE, run
from tests.world import Installation, top_up

DRAFT = """
policies:
  - name: Large
    criteria: {params.amount: {$gte: 2000000}}
    policy: {required_quorum: {type: role, value: {role: cfo, min_votes: 1}}, auto_execute: true}
    priority: 1000
"""


@pytest.fixture
def desk(installation: Installation) -> Desk:
    return Desk(installation)


def written(path: Path, **changes: Any) -> Path:
    path.write_text(top_up(**changes).model_dump_json(exclude_unset=True))
    return path


def test_the_policy_is_the_one_that_the_action_gets(installation: Installation, desk: Desk, tmp_path: Path) -> None:
    file = written(tmp_path / "action.json")
    told = desk.told("policies", "explain", file)
    assert installation.scalar("select count(*) from actions") == 0
    (created,) = installation.tell("sira", top_up())
    assert created.action_id is not None
    action = installation.action(created.action_id)
    assert told["action"]["policy_name"] == action["policy_name"] == "Float Adjustment"
    assert told["action"]["required_quorum"] == action["required_quorum"]
    assert told["facts"]["risk_level"] == action["risk_level"]
    said = desk.says("policies", "explain", file)
    for part in ("2 of finance_ops", "when somebody asks for it", 'action_type = "PAUSE_PAYOUT": it is "ADJUST_FLOAT"'):
        assert part in said
    assert [row["state"] for row in told["policies"]].count("applies") == 1
    assert (told["policies"][-1]["name"], told["policies"][-1]["priority"]) == ("Default", None)


def test_a_draft_is_tried_on_top_of_what_is_in_force(desk: Desk, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(DRAFT)
    small, large = written(tmp_path / "s.json"), written(tmp_path / "l.json", amount=2_000_000, auto_execute=True)
    told = desk.told("policies", "explain", large, "--policies", draft)
    assert (told["action"]["policy_name"], told["action"]["auto_execute"]) == ("Large", True)
    (first, *_) = desk.told("policies", "explain", small, "--policies", draft)["policies"]
    assert (first["state"], first["because"]["criterion"]) == ("unmet", "params.amount gte 2000000")
    assert first["because"]["seen"] == [1_000_000]


def test_what_would_be_refused_is_told_with_its_code(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "action.json"
    body = json.loads(written(file).read_text())
    file.write_text(json.dumps(body | {"params": {"agent_id": "agent-123"}}))
    assert desk.told("policies", "explain", file, code=1)["refusal"]["code"] == "invalid_params"
    assert "invalid_params" in desk.says("policies", "explain", file, code=1)
    for text in ("{", json.dumps(body | {"origin": "nowhere"})):
        file.write_text(text)
        assert "docs/wire-format.md" in desk.says("policies", "explain", file, code=2)


def doubts(told: list[dict[str, str]]) -> list[tuple[str, str]]:
    """What is told, but for notes."""
    return [(doubt["name"], doubt["code"]) for doubt in told if doubt["severity"] != "note"]


def test_doubts_about_what_is_in_force_are_told(desk: Desk) -> None:
    told = desk.told("policies", "lint", code=1)
    assert doubts(told) == [("Merchant Freeze", "cannot_be_filled")]  # there is one pay_admin here
    assert {doubt["kind"] for doubt in told} == {"policy", "remediation_rule"}
    assert "policy Merchant Freeze" in desk.says("policies", "lint", code=1)


def test_a_file_is_doubted_among_the_people_and_definitions_that_there_are(desk: Desk, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(DRAFT.replace("cfo", "chairman"))
    assert doubts(desk.told("policies", "lint", draft, code=1)) == [
        ("Large", "executes_by_itself"),
        ("Large", "cannot_be_filled"),
    ]
    assert "1 more of chairman" in desk.says("policies", "lint", draft, code=1)
    draft.write_text(DRAFT.replace("{params.amount: {$gte: 2000000}}", "{}").replace("true", "false"))
    others = {name for name, code in doubts(desk.told("policies", "lint", draft, code=1)) if code == "never_asked"}
    assert {"High Value Payout", "Float Adjustment"} <= others, "nobody asks those any more"
    assert "Nothing was changed" in desk.says("policies", "lint", tmp_path / "nothing.yaml", code=2)


def test_a_remediation_rule_in_a_file_is_doubted(desk: Desk, tmp_path: Path) -> None:
    draft = tmp_path / "rules.yaml"
    rule = "{name: float_low, auto_action: {action_type: ADJUST_FLOT}, cooldown_seconds: 0}"
    draft.write_text(f"remediation_rules: [{rule}]")
    told = desk.told("policies", "lint", draft, code=1)
    assert doubts(told) == [("float_low", "no_cooldown"), ("float_low", "unknown_action_type")]
    assert {doubt["kind"] for doubt in told} == {"remediation_rule"}


def test_where_no_installation_answers_a_file_is_doubted_by_itself_and_that_is_said(tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(DRAFT.replace("cfo", "chairman"))
    for where in (NOWHERE, {"OPS_APPROVAL_DATA": str(tmp_path)}):
        done = run("policies", "lint", str(draft), "--json", **where)
        assert done.returncode == 1
        assert doubts(json.loads(done.stdout)) == [("Large", "executes_by_itself")]
        assert "No installation answers" in done.stderr
        assert "not looked at" in done.stderr


def test_where_nobody_is_in_the_directory_yet_that_is_said(installation: Installation, desk: Desk) -> None:
    installation.owner.execute("delete from grants; delete from people")
    assert "Nobody is in the directory yet" in desk.says("policies", "lint")
