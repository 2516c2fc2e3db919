"""The command that holds past actions against a draft tells which decisions change, and changes nothing."""

from pathlib import Path

import pytest

from tests.workers.test_alerts import remediate
from tests.workers.test_answers import Desk
from tests.world import Installation, top_up
from workers import backtest, definition_files

DRAFT = """
policies:
  - name: Float Adjustment
    criteria: {action_type: ADJUST_FLOAT}
    policy: {required_quorum: {type: role, value: {role: finance_ops, min_votes: 3}}}
    priority: 95
"""


@pytest.fixture
def desk(installation: Installation) -> Desk:
    return Desk(installation)


def test_what_would_change_is_told_and_nothing_changes(
    installation: Installation, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(DRAFT)
    assert "no actions yet" in desk.says("policies", "backtest", draft)
    made = []
    for number, votes in enumerate([["approve"] * 2, ["reject"] * 2, ["approve"], ["abstain", "approve", "approve"]]):
        (created,) = installation.tell("sira", top_up(f"key-{number}"))
        assert created.action_id is not None
        for person, choice in enumerate(votes, 1):
            installation.vote(created.action_id, f"finance-user-{person}", choice)
        made.append(created.action_id)
    before = installation.scalar("select count(*) from events")
    monkeypatch.setattr(backtest, "PAGE", 3)
    told = desk.told("policies", "backtest", draft)
    assert told["looked_at"] == 4
    assert [item["action_id"] for item in told["actions"]] == [str(action) for action in reversed(made)]
    results = [(item["was"]["came_to"], item["draft"]["came_to"], item["changed"]) for item in told["actions"]]
    assert results == [
        ("approved", "pending", True),
        ("pending", "pending", False),
        ("rejected", "pending", True),
        ("approved", "pending", True),
    ]
    assert told["summary"][0] == {"was": "approved", "draft": "pending", "actions": 2}
    assert told["actions"][0]["was"]["needed"].startswith("2 of finance_ops")
    assert told["actions"][0]["draft"]["needed"].startswith("3 of finance_ops")
    said = desk.says("policies", "backtest", draft, "--limit", 2)
    assert "1 of 2 decisions change; of 1 others only who was needed" in said
    assert str(made[3]) in said
    assert str(made[0]) not in said
    assert installation.scalar("select count(*) from events") == before


def test_a_policy_that_the_draft_does_not_name_is_as_in_force(
    installation: Installation, desk: Desk, tmp_path: Path
) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(DRAFT.replace("ADJUST_FLOAT", "OTHER").replace("Float Adjustment", "Other"))
    action_id = installation.approved(required_ratio=0.9)
    (item,) = desk.told("policies", "backtest", draft)["actions"]
    assert (item["action_id"], item["changed"]) == (str(action_id), False)
    assert item["was"] == item["draft"]
    assert item["draft"]["needed"].startswith("2 of finance_ops, ratio 0.9")


def test_what_the_engine_carries_out_itself_is_held_against_the_draft_too(
    installation: Installation, desk: Desk, tmp_path: Path
) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(DRAFT)
    params = {"kind": "policy", "name": "Merchant Freeze", "replaces": 1, "definition": None, "reason": "not needed"}
    changed = installation.agreed("CHANGE_DEFINITION", params, "definitions")
    assert installation.perform(changed) == "executed"
    (item,) = desk.told("policies", "backtest", draft)["actions"]
    assert (item["action_type"], item["was"]["came_to"], item["changed"]) == ("CHANGE_DEFINITION", "approved", False)


def test_the_approvers_whom_a_remediation_rule_adds_are_needed_by_the_draft_too(
    installation: Installation, desk: Desk, tmp_path: Path
) -> None:
    rule = (
        "{name: float_low, auto_action: {action_type: ADJUST_FLOAT}, require_multi_sig: true, required_approvals: %d}"
    )
    (parsed,) = definition_files.parse(f"remediation_rules: [{rule % 2}]", "rule")
    definition_files.apply(installation.owner, [parsed], by="tests")
    installation.tell("alerts", remediate("a-1"))
    draft = tmp_path / "draft.yaml"
    draft.write_text(DRAFT)
    (item,) = desk.told("policies", "backtest", draft)["actions"]
    assert "2 of ops_admin" in item["was"]["needed"]
    assert "3 of finance_ops; 2 of ops_admin" in item["draft"]["needed"]
    draft.write_text(f"remediation_rules: [{rule % 1}]")
    (item,) = desk.told("policies", "backtest", draft)["actions"]
    assert item["draft"]["needed"] == item["was"]["needed"].replace("2 of ops_admin", "1 of ops_admin")
