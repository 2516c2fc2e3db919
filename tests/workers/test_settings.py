"""What a process says whose environment cannot be read."""

import os
import subprocess
import sys

import pytest

SECRET = "geheim"  # noqa: S105 - not one


@pytest.mark.parametrize("module", ["scheduler", "main"])
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATABASE_URL", f"postgres//u:{SECRET}@h", "DATABASE_URL: that is no address; write postgresql://"),
        ("REDIS_URL", f"radish://:{SECRET}@h", "REDIS_URL: that is no address; write redis://"),
        ("REDIS_URL", f"redis://:{SECRET}@h:port", "REDIS_URL: that is no address; write redis://"),
        ("BROKER_URL", f"redis://:{SECRET}@h", "BROKER_URL: that is no address; write amqp://"),
        ("OPS_APPROVAL_LIMITS", SECRET, "OPS_APPROVAL_LIMITS is not JSON."),
        ("OPS_APPROVAL_SERVICES", '{"float": "x"}', "OPS_APPROVAL_SERVICES float: Input should be a valid URL"),
        *(
            ("OPS_APPROVAL_SERVICES", f'{{"float": "{url}"}}', "OPS_APPROVAL_SERVICES float: write it without a login")
            for url in (f"https://h/v2?tenant={SECRET}", f"https://h/#{SECRET}", f"https://u:{SECRET}@h")
        ),
        ("OPS_APPROVAL_ESCALATE_EVERY_SECONDS", "0", "OPS_APPROVAL_ESCALATE_EVERY_SECONDS: Input should be greater"),
    ],
)
def test_a_process_with_settings_that_cannot_be_read_says_which_and_ends(
    module: str, name: str, value: str, says: str
) -> None:
    command = [sys.executable, "-m", f"workers.{module}"]
    done = subprocess.run(command, env=os.environ | {name: value}, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith(f"Error: {says}")) == (1, True), line
    assert SECRET not in line
