"""Write what is generated from the code: `docs/states.md`, `docs/refusals.md` and the transitions in `schema.sql`.

Run by `make generate`; a test fails when the files and the code differ.
"""

import re
from pathlib import Path

from domain.lifecycle import FINAL, MEANINGS, NOT_YET, OPEN, TRANSITIONS, Status
from domain.refusals import SENTENCES, groups

ROOT = Path(__file__).resolve().parent.parent


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=-- generated: {name}\n).*?(?= *-- generated: end)", re.DOTALL)


def states_page() -> str:
    """The page about the states of an action."""
    states = [f"| `{status}` | {MEANINGS[status]} | {_kind(status)} |" for status in Status]
    transitions = [
        f"| `{before}` | `{after}` | {why}{' *(no message does this yet)*' if (before, after) in NOT_YET else ''} |"
        for (before, after), why in TRANSITIONS.items()
    ]
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


def _kind(status: Status) -> str:
    if status in OPEN:
        return "open: votes are counted"
    return "final" if status in FINAL else ""


def schema(text: str) -> str:
    """The schema with the transitions and the final states of the code in it."""
    pairs = ",\n".join(f"        ('{before}', '{after}')" for before, after in TRANSITIONS)
    final = ", ".join(f"'{status}'" for status in Status if status in FINAL)
    text = _block("transitions").sub(lambda _: f"{pairs}\n", text)
    return _block("final").sub(lambda _: f"        {final}\n", text)


def main() -> None:
    """Write the files."""
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "states.md").write_text(states_page())
    (ROOT / "docs" / "refusals.md").write_text(refusals_page())
    path = ROOT / "schema.sql"
    path.write_text(schema(path.read_text()))


if __name__ == "__main__":
    main()
