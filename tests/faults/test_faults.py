"""A short round of every fault; `make faults` plays long ones."""

import re

import pytest

from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.round import play

SEED = 1
LONG_SECONDS = 2


@pytest.mark.parametrize("fault", FAULTS, ids=[re.sub(r"\W+", "_", fault.name) for fault in FAULTS])
def test_nothing_is_lost_and_nothing_happens_twice(fault: type[Fault]) -> None:
    try:
        result = play(fault, SEED, strikes=1 if fault.holds_seconds >= LONG_SECONDS else 2)
    except PermissionError as error:
        pytest.skip(str(error))
    assert result.verdict.wrong == []
    assert result.struck > 0
    assert result.verdict.executed > 0
    if fault.control_doubles:
        assert result.verdict.naive_doubled > 0
