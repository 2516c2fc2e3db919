"""The measurements run; what they come to is no test's to judge."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("reaction", ["--deadlines", "2"]),
        ("relay", ["--idle", "3", "--seconds", "1"]),
        ("indexes", ["--rows", "100"]),
    ],
)
def test_a_measurement_prints_its_table(module: str, arguments: list[str]) -> None:
    command = [sys.executable, "-m", f"bench.{module}", "--rounds", "1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any(line.startswith("| 1 |") for line in done.stdout.splitlines())
