"""What the documents tell people to type is there, and what they link to exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from db.invariants import load
from domain import quorum_tree
from domain.action_type import ActionType
from domain.outgoing import TOLD
from domain.policy import Rules
from domain.trail import EventName
from workers import definition_files
from workers.cli.main import app
from workers.handlers import http
from workers.invariants import LOOKS
from workers.relay import KEPT, STREAM
from workers.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *ROOT.glob("examples/*/*.md"),
]
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(ops-approval [^`]+)`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def commands(text: str) -> Iterator[list[str]]:
    """Everything that begins with ops-approval, in blocks and within sentences."""
    lines = [line for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *_INLINE.findall(text)]:
        words = shlex.split(line.replace("…", ""), comments=True)
        if "ops-approval" in words:
            yield words[words.index("ops-approval") + 1 :]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_that_a_page_shows_exist_with_their_options(page: Path) -> None:
    for words in commands(page.read_text()):
        command: Any = get_command(app)
        rest = list(words)
        while hasattr(command, "commands"):
            if not rest or rest[0].startswith("-"):
                break
            assert rest[0] in command.commands, f"{page.name}: ops-approval {' '.join(words)}"
            command = command.commands[rest.pop(0)]
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {"--help"}
        for word in rest:
            assert not word.startswith("--") or word in known, f"{page.name}: {word} in ops-approval {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_exists(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_invariant_is_listed_with_checks_and_tests_that_exist() -> None:
    page = (ROOT / "docs" / "invariants.md").read_text()
    rows = re.findall(r"^\| (\d+) \| .+$", page, re.MULTILINE)
    assert rows == [str(number) for number in range(1, 21)]
    known = {invariant.name for invariant in [*load(), *LOOKS]}
    assert set(re.findall(r"\[(\d\d_\w+)\]\(", page)) == known
    for name, path in re.findall(r"\[(test_\w+)\]\(\.\./([^)]+)\)", page):
        assert f"\ndef {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"


def test_the_action_types_and_inverses_that_a_page_shows_can_be_put_in_force() -> None:
    page = (ROOT / "docs" / "execution.md").read_text()
    whole, inverse = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ((_, shown),) = definition_files.parse(whole, "execution.md")
    assert isinstance(shown, ActionType)
    known = next(item for _, item in definition_files.shipped() if item.name == "ADJUST_FLOAT")
    assert isinstance(known, ActionType)
    named = YAML(typ="safe", pure=True).load(inverse)["inverse"]
    reversible = ActionType.model_validate(known.model_dump() | {"inverse": named})
    assert reversible.inverse is not None
    undone = {"agent_id": "agent-123", "adjustment": "top_up", "amount": 1}
    undoes = {name: undone[name] for name in reversible.inverse.copies} | reversible.inverse.params
    assert reversible.problems_of(undoes) == []
    with Sandbox() as sandbox:
        sandbox_says = [
            httpx.post(
                f"{sandbox.url}{reversible.path}",
                headers={"Idempotency-Key": key},
                json={"action_id": key, "action_type": "ADJUST_FLOAT", "params": params},
            ).status_code
            for key, params in (("done", undone), ("undone", undoes))
        ]
    assert sandbox_says == [200, 200]


def test_the_events_that_a_page_lists_are_all_there_are_with_what_is_told_of_them() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    _, _, table = page.partition("| event | in `data` |")
    rows = re.findall(r"^\| (`.+?) \| (.*?) ?\|$", table.partition("\n\n")[0], re.MULTILINE)
    assert sorted(name for names, _ in rows for name in re.findall(r"`(\w+)`", names)) == sorted(EventName)
    assert {name for _, told in rows for name in re.findall(r"`(\w+)`", told)} == set(TOLD)
    assert f"`{STREAM}`" in page
    assert page.count(f"{KEPT:,}") == 2


def test_every_status_of_an_answer_means_what_the_page_about_execution_says() -> None:
    page = (ROOT / "docs" / "execution.md").read_text()
    said: dict[int, str] = {}
    for answer, outcome in re.findall(r"^\| (\d[^|]+) \| (\w+) \|", page, re.MULTILINE):
        if "more than" in answer:
            continue
        for first, last in re.findall(r"(\d{3})(?: to (\d{3})| and above)?", answer.replace(" and above", " to 599")):
            for status in range(int(first), int(last or first) + 1):
                said.setdefault(status, outcome)  # the ranges come after what is said of single ones
    assert set(said) == set(range(200, 600))
    for status, outcome in said.items():
        meant = http._outcome(httpx.Response(status), b"", whole=True)
        assert type(meant).__name__.lower() == outcome, status


def test_the_quorums_and_rules_of_the_page_about_policies_are_understood() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    blocks = re.findall(r"^```yaml\n(policy:.*?)^```", page, re.MULTILINE | re.DOTALL)
    for block in blocks:
        Rules.model_validate(YAML(typ="safe", pure=True).load(block)["policy"])
    shapes = re.findall(r"^\| `(\{type: .+?\})` \|", page, re.MULTILINE)
    for shape in shapes:
        quorum_tree.parse(YAML(typ="safe", pure=True).load(shape.replace("QUORUM, …", f"{shapes[0]}, {shapes[1]}")))
    assert blocks
    assert len(shapes) == 8
