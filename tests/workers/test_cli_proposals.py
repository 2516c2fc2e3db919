"""Alerts and recommendations on the command line: sent, read and applied, for people and for programs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.workers.test_alerts import SURE, remediate
from tests.workers.test_cli import run
from tests.workers.test_recommendations import recommend
from tests.world import KEYS, Installation
from workers.cli.why import why

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def cli(installation: Installation, tmp_path: Path) -> Run:
    """The command line, at this installation and with its keys."""
    (tmp_path / "keys").mkdir()
    for issuer, key in KEYS.items():
        key.write(tmp_path / "keys" / f"{issuer}.json")
    env = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    return lambda *arguments: run(*arguments, **env, OPS_APPROVAL_DATA=str(tmp_path))


def written(path: Path, body: Any) -> str:
    path.write_text(body.model_dump_json(exclude_unset=True))
    return str(path)


def test_an_alert_is_sent_and_shown_with_its_decisions(cli: Run, installation: Installation, tmp_path: Path) -> None:
    sent = cli("alerts", "send", written(tmp_path / "alert.json", remediate("a-1")), "--json")
    assert sent.returncode == 0, sent.stderr
    installation.drain()
    shown = cli("alerts", "show", "a-1", "--json")
    told = json.loads(shown.stdout)
    assert told["remedied_by_action_id"] == json.loads(sent.stdout)["action_id"]
    assert [row["action"] for row in told["decisions"]] == ["suggest", "create_ops_action", "require_approval"]
    plain = cli("alerts", "show", "a-1")
    for word in ("float_low", "agent agent-123", "suggest", "create_ops_action", "requested"):
        assert word in plain.stdout
    action = cli("actions", "show", told["remedied_by_action_id"])
    assert "sure to 0.95, by sira-7" in action.stdout
    assert "float_days 0.4, weight 0.7" in action.stdout


def test_a_recommendation_is_sent_listed_shown_and_applied(
    cli: Run, installation: Installation, tmp_path: Path
) -> None:
    assert cli("recommendations", "list").stdout.strip() == "No recommendations."
    assert cli("recommendations", "send", written(tmp_path / "rec.json", recommend("r-1"))).returncode == 0
    installation.drain()
    assert "pending" in cli("recommendations", "list").stdout
    (row,) = json.loads(cli("recommendations", "list", "--json").stdout)
    assert f"--after {row['cursor']}" in cli("recommendations", "list", "--limit", "1").stdout
    assert cli("recommendations", "list", "--after", row["cursor"]).stdout.strip() == "No recommendations."
    assert "not a cursor" in cli("recommendations", "list", "--after", "x").stderr
    for word in ("Top up agent-123", "sure to 0.8, by sira-7", "pending", "finance_ops; SIRA is not sure enough"):
        assert word in cli("recommendations", "show", "r-1").stdout
    assert cli("recommendations", "apply", "r-1", "--as", "finance-user-1").returncode == 0
    installation.drain()
    found = json.loads(cli("recommendations", "show", "r-1", "--json").stdout)
    assert found["status"] == "pending_approval"
    assert installation.action(found["ops_action_id"])["triggered_by"] == "finance-user-1"


def test_the_rules_in_force_are_listed_and_an_alert_of_a_misspelt_type_is_told_where(
    cli: Run, installation: Installation
) -> None:
    listed = cli("alerts", "rules").stdout
    assert re.search(
        r"^fraud_score_high +1 +yes +FREEZE_MERCHANT +0.9\d* +10 min +2 of ops_admin$", listed, re.MULTILINE
    )
    names = [rule["name"] for rule in json.loads(cli("alerts", "rules", "--json").stdout)]
    assert names == ["float_low", "fraud_score_high"]
    (receipt,) = installation.tell("alerts", remediate("a-1", alert_type="flaot_low"))
    assert "no remediation rule is in force for alerts of the type 'flaot_low'" in receipt.sentence
    assert "`ops-approval alerts rules`" in receipt.sentence


def test_it_is_shown_why_a_recommendation_waits(cli: Run, installation: Installation) -> None:
    installation.tell("sira", recommend("r-0", confidence=0.8))
    installation.tell("sira", recommend("r-1", confidence=0.95))
    installation.tell("sira", recommend("r-2", confidence=0.95, tenant_id="agent-5"))
    assert "superseded" in cli("recommendations", "show", "r-0").stdout
    assert "waits for" not in cli("recommendations", "show", "r-1").stdout
    assert "it was refused: The target named in the message" in cli("recommendations", "show", "r-2").stdout


@pytest.mark.parametrize("what", ["alerts", "recommendations"])
def test_what_is_not_there_is_told(cli: Run, what: str) -> None:
    done = cli(what, "show", "nowhere")
    assert (done.returncode, "There is no" in done.stderr) == (1, True)


def test_a_file_that_is_no_alert_is_told_by_its_field(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "alert.json"
    for text, told in (('{"alert": {}}', "alert.id: it is missing"), ("{", "such as examples/alert.json.")):
        path.write_text(text)
        done = cli("alerts", "send", str(path))
        assert (done.returncode, told in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("explanation", "lines"),
    [
        (SURE["explanation"], ["sure to 0.9, by sira-7", "float_days 0.4, weight 0.7"]),
        ({"features": [{"name": "x"}, 5]}, ["sure to 0.9", '{"name": "x"}', "5"]),
        ({"features": 5}, ["sure to 0.9"]),
        ("because", ["sure to 0.9", '"because"']),
        (None, ["sure to 0.9"]),
    ],
)
def test_whatever_an_explanation_is_it_can_be_read(explanation: Any, lines: list[str]) -> None:
    assert list(why({"sira_confidence": 0.9, "sira_explanation": explanation})) == lines
    assert list(why({"sira_explanation": explanation})) == []
