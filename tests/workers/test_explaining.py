"""The commands that explain and doubt policies say what creating would do, and do nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workers.test_answers import Desk
from tests.world import Installation, top_up
from workers import definition_files

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


def test_doubts_about_what_is_in_force_and_about_a_file_are_told(
    installation: Installation, desk: Desk, tmp_path: Path
) -> None:
    told = desk.told("policies", "lint", code=1)
    assert [(doubt["name"], doubt["code"]) for doubt in told if doubt["severity"] != "note"] == [
        ("Merchant Freeze", "cannot_be_filled")  # there is one pay_admin here
    ]
    draft = tmp_path / "draft.yaml"
    draft.write_text(DRAFT.replace("cfo", "chairman"))
    alone = desk.told("policies", "lint", draft, code=1)
    assert [(doubt["name"], doubt["code"], doubt["severity"]) for doubt in alone] == [
        ("Large", "executes_by_itself", "warning")
    ]
    definition_files.apply(installation.owner, definition_files.read(draft), by="tests")
    said = desk.says("policies", "lint", code=1)
    assert "cannot_be_filled" in said
    assert "1 more of chairman" in said
    assert "Nothing was changed" in desk.says("policies", "lint", tmp_path / "nothing.yaml", code=2)
