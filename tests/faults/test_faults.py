"""A short round of every fault; `make faults` plays long ones."""

import re

import pytest

from tests.faults.faults import FAULTS, Fault, PostgresStopped
from tests.faults.round import play

SEED = 1
STRIKES = 2


@pytest.mark.parametrize("fault", FAULTS, ids=[re.sub(r"\W+", "_", fault.name) for fault in FAULTS])
def test_nothing_is_lost_and_nothing_happens_twice(fault: type[Fault]) -> None:
    try:
        result = play(fault, SEED, STRIKES)
    except PermissionError as error:
        pytest.skip(str(error))
    assert result.verdict.wrong == []
    assert result.struck > 0
    assert result.verdict.executed > 0


def test_the_control_doubles_effects_where_ours_has_none() -> None:
    result = play(PostgresStopped, SEED, 12)
    assert result.verdict.naive_doubled > 0
    assert result.verdict.doubled == 0
