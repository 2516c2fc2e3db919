"""A short round of every fault, those together that need the same stage; `make faults` plays long ones, one by one."""

import re
from itertools import groupby

import pytest

from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.round import play

SEED = 1
STRIKES = 2


def needed(fault: type[Fault]) -> str:
    return " ".join([*fault.needs, "redis_forgets" * fault.redis_forgets]).strip() or "nothing_more"


GROUPS = [list(group) for _, group in groupby(sorted(FAULTS, key=needed), key=needed)]


@pytest.mark.parametrize("faults", GROUPS, ids=[re.sub(r"\W+", "_", needed(group[0])) for group in GROUPS])
def test_nothing_is_lost_and_nothing_happens_twice(faults: list[type[Fault]]) -> None:
    try:
        results = play(faults, SEED, STRIKES)
    except PermissionError as error:
        pytest.skip(str(error))
    verdict = results[0].verdict
    assert verdict.wrong == []
    assert verdict.executed > 0
    assert [result.fault.name for result in results if result.struck == 0] == []
    if any(fault.control_doubles for fault in faults):
        assert verdict.naive_doubled > 0
