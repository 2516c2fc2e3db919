"""`ops-approval doctor`: what an installation stands on, one line for each check, and what to do where it does not stand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import typer

from workers.checks import gather
from workers.checks.finding import Check, Finding, Level
from workers.cli.console import REFUSED, UNAVAILABLE, AsJson, coloured, out, print_json, print_table
from workers.cli.context import Data, settings_for


def doctor(*, as_json: AsJson = False, data: Data = None) -> None:
    """Say what is wrong with an installation and what to do: its servers, keys, services, processes, disk.

    Exit code 0 means that nothing is a problem, 1 that something is, 3 that a server does not answer.
    """
    findings = gather.everything(settings_for(data))
    verdict, sentence, code = _verdict(findings)
    if as_json:
        print_json({"verdict": verdict, "findings": [asdict(finding) for finding in findings]})
    else:
        # The worst last, where the eye is when it is printed.
        print_findings(sorted(findings, key=lambda finding: list(Level).index(finding.level)))
        out.print(sentence, style="bold")
    raise typer.Exit(code)


def print_findings(findings: Sequence[Finding]) -> None:
    """One line each."""
    rows = ((coloured(finding.level), finding.name, finding.sentence) for finding in findings)
    print_table(("", "check", "found"), rows)


def _verdict(findings: Sequence[Finding]) -> tuple[str, str, int]:
    """All of it in a word, in a sentence and as an exit code."""
    count = Counter(finding.level for finding in findings)
    if any(finding.level is Level.PROBLEM and finding.name in {Check.POSTGRES, Check.REDIS} for finding in findings):
        return "unavailable", "A server does not answer: begin there.", UNAVAILABLE
    if count[Level.PROBLEM]:
        return "problem", f"{_many(count, Level.PROBLEM)} to solve, and {_many(count, Level.WARNING)}.", REFUSED
    if count[Level.WARNING]:
        return "warning", f"It can work; {_many(count, Level.WARNING)}.", 0
    return "ok", "All is well.", 0


def _many(count: Counter[Level], level: Level) -> str:
    return f"{count[level]} {level}{'' if count[level] == 1 else 's'}"
