"""A named point is where its name says."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from tests.faults import points
from tests.world import Installation
from workers.sandbox import Sandbox


class KilledError(BaseException):
    """What stands for the death of the process: no handler catches it."""


def die(*_: object) -> NoReturn:
    raise KilledError


@pytest.mark.parametrize(
    ("point", "state"),
    [("before the outcome is committed", "started"), ("after the outcome is committed", "succeeded")],
)
def test_an_executor_dies_on_its_side_of_the_commit_of_its_outcome(
    installation: Installation,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    point: str,
    state: str,
) -> None:
    action_id = installation.approved()
    with monkeypatch.context() as here:
        here.setenv("FAULTS_POINT", point)
        here.setenv("FAULTS_ARMED", str(tmp_path))
        here.setattr(os, "kill", die)
        here.setattr(points, "_countdown", 0)
        struck = points.POINTS[point]
        here.setattr(struck.owner, struck.name, getattr(struck.owner, struck.name))  # put back at the end
        points.arm()
        with pytest.raises(KilledError):
            installation.executor(sandbox.url).execute(action_id)
    assert [attempt["state"] for attempt in installation.action(action_id)["attempts"]] == [state]
    assert len(sandbox.effects()) == 1
