"""The demo is the document's scenario, on real servers, for programs and for people."""

import json
import re
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from workers.cli.main import main; main()", "demo"]


def test_the_demo_for_programs_is_one_json_object() -> None:
    demo = subprocess.Popen([*COMMAND, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = demo.communicate(timeout=120)
    assert demo.returncode == 0, errors
    told = json.loads(output)
    assert set(told) == {"action", "trail", "effects", "receipts", "alert"}
    assert [(event["event"], event["actor"]) for event in told["trail"]] == [
        ("created", "sira-system"),
        ("voted", "finance-user-1"),
        ("voted", "finance-user-2"),
        ("approved", "ops-approval"),
        ("executing", "ops-admin-1"),
        ("executed", "ops-admin-1"),
    ]
    assert all(event["at"].endswith("Z") for event in told["trail"])
    (effect,) = told["effects"]
    assert effect["params"]["amount"] == 1_000_000
    assert effect["result"]["balance_after"] - effect["result"]["balance_before"] == 1_000_000
    assert told["action"]["status"] == "executed"
    assert told["alert"]["status"] == "auto_remediated"
    assert told["alert"]["remedied_by_action_id"] == told["action"]["id"]
    assert [receipt["outcome"] for receipt in told["receipts"]] == ["applied"] * 4
    left = list(Path("/tmp").glob(f"ops-demo-{demo.pid}-*"))  # noqa: S108 - where the demo puts its directory
    assert left == [], "the demo left its directory behind"


def test_the_demo_for_people_is_plain_text_where_there_is_no_terminal() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = readme.partition("```text\n")[2].partition("```")[0]
    assert without_times(shown.strip()) in without_times(done.stdout), "the README shows another demo than this one"


def without_times(text: str) -> str:
    return re.sub(r"([\d-]+ )?\d\d:\d\d:\d\d", "then", text)
