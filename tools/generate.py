"""Write what is generated from the code: parts of `docs/`, and what `schema.sql` says of states.

Run by `make generate`; a test fails when the files and the code differ.
"""

import json
import re
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from domain.lifecycle import FINAL, HOLDING, MEANINGS, OPEN, TRANSITIONS, Status
from domain.messages import BODIES
from domain.refusals import SENTENCES, groups
from workers.checks.finding import WANTED
from workers.envelope import Header, Payload

ROOT = Path(__file__).resolve().parent.parent

WIRE: dict[str, type[BaseModel]] = {"Header": Header, "Payload": Payload, **BODIES}
"""What producers write and what its schemas are called."""


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=-- generated: {name}\n).*?(?= *-- generated: end)", re.DOTALL)


_CHECKS = re.compile(r"(?<=<!-- generated: checks -->\n).*?(?=<!-- generated: end -->)", re.DOTALL)


def states_page() -> str:
    """The page about the states of an action."""
    states = [f"| `{status}` | {MEANINGS[status]} | {_kind(status)} |" for status in Status]
    transitions = [f"| `{before}` | `{after}` | {why} |" for (before, after), why in TRANSITIONS.items()]
    arrows = [f"    {before} --> {after}" for before, after in TRANSITIONS]
    return "\n".join(
        [
            "# The states of an action",
            "",
            "Generated from `TRANSITIONS` in [domain/lifecycle.py](../domain/lifecycle.py) by `make generate`. The database",
            "holds the same graph (`guard_action` in [schema.sql](../schema.sql)) and refuses any other change.",
            "",
            "| state | meaning | |",
            "| --- | --- | --- |",
            *states,
            "",
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> requested",
            *arrows,
            "```",
            "",
            "| from | to | when |",
            "| --- | --- | --- |",
            *transitions,
            "",
        ]
    )


def refusals_page() -> str:
    """The page about everything the engine says no to."""
    lines = [
        "# Refusals",
        "",
        "Every code that a receipt can carry, with its sentence; a receipt's own sentence adds what this message got wrong.",
        "Codes are stable, sentences are for people. A refused message changes nothing, and is recorded:",
        "`ops-approval receipts show JTI`.",
        "",
        "Generated from [domain/refusals.py](../domain/refusals.py) by `make generate`.",
    ]
    for heading, codes in groups().items():
        lines += ["", f"## {heading}", "", "| code | sentence |", "| --- | --- |"]
        lines += [f"| `{code}` | {SENTENCES[code]} |" for code in codes]
    return "\n".join([*lines, ""])


def operations(text: str) -> str:
    """The page about running it, with the table of checks of the code in it."""
    table = "\n".join(
        ["| check | wants |", "| --- | --- |", *(f"| `{name}` | {what} |" for name, what in WANTED.items())]
    )
    return _CHECKS.sub(lambda _: f"{table}\n", text)


def _kind(status: Status) -> str:
    if status in OPEN:
        return "open: votes are counted"
    return "final" if status in FINAL else ""


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles of fields, which only repeat their names."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's own signature
        return False


def json_schema(model: type[BaseModel]) -> str:
    """The JSON Schema of what producers write."""
    found = model.model_json_schema(schema_generator=_Untitled)
    return json.dumps({"$schema": _Untitled.schema_dialect, **found}, indent=2, ensure_ascii=False) + "\n"


def schema(text: str) -> str:
    """The schema with the transitions, and the states that are open, final or hold an exclusive key, of the code in it."""
    pairs = ",\n".join(f"        ('{before}', '{after}')" for before, after in TRANSITIONS)
    text = _block("transitions").sub(lambda _: f"{pairs}\n", text)
    for name, chosen, indent in (("open", OPEN, 4), ("holding", HOLDING, 4), ("final", FINAL, 8)):
        statuses = ", ".join(f"'{status}'" for status in Status if status in chosen)
        text = _block(name).sub(f"{' ' * indent}{statuses}\n", text)
    return text


def main() -> None:
    """Write the files."""
    schemas = ROOT / "docs" / "schemas"
    schemas.mkdir(parents=True, exist_ok=True)
    for name, model in WIRE.items():
        (schemas / f"{name}.json").write_text(json_schema(model))
    (ROOT / "docs" / "states.md").write_text(states_page())
    (ROOT / "docs" / "refusals.md").write_text(refusals_page())
    for path, write in ((ROOT / "schema.sql", schema), (ROOT / "docs" / "operations.md", operations)):
        path.write_text(write(path.read_text()))


if __name__ == "__main__":
    main()
