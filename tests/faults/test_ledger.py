"""The ledgers keep what docs/execution.md asks of a service with their guarantee, killed and started again too."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from tests.faults.ledger import Ledger


class Start(Protocol):
    def __call__(self, guarantee: str) -> Ledger: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as exits:
        yield lambda guarantee: exits.enter_context(Ledger(tmp_path / guarantee, guarantee))


def post(ledger: Ledger, token: int) -> int:
    headers = {"Idempotency-Key": "a", "Attempt-Token": str(token)}
    return httpx.post(ledger.url, json={}, headers=headers, trust_env=False).status_code


def asked(ledger: Ledger, token: int) -> str:
    headers = {"Idempotency-Key": "a", "Attempt-Token": str(token)}
    return str(httpx.get(ledger.url, headers=headers, trust_env=False).json()["state"])


def kill_and_start(ledger: Ledger) -> None:
    ledger.kill()
    with pytest.raises(httpx.ConnectError):
        post(ledger, 99)
    ledger.start()


@pytest.mark.parametrize("killed", [False, True])
def test_a_queryable_ledger_refuses_a_call_once_it_has_said_that_it_did_not_happen(start: Start, killed: bool) -> None:
    ledger = start("queryable")
    assert asked(ledger, 7) == "not_executed"
    if killed:
        kill_and_start(ledger)
    assert (post(ledger, 7), post(ledger, 6)) == (409, 409)
    assert ledger.effects() == {}
    assert post(ledger, 8) == 200
    assert ledger.effects() == {"a": 1}


@pytest.mark.parametrize("killed", [False, True])
def test_a_queryable_ledger_refuses_a_call_after_a_later_one(start: Start, killed: bool) -> None:
    ledger = start("queryable")
    assert post(ledger, 8) == 200
    if killed:
        kill_and_start(ledger)
    assert post(ledger, 7) == 409
    assert asked(ledger, 7) == "executed"
    assert ledger.effects() == {"a": 1}


def test_a_queryable_ledger_does_not_look_for_doubles_of_calls_that_come_in_order(start: Start) -> None:
    ledger = start("queryable")
    assert [post(ledger, 7), post(ledger, 8)] == [200, 200]
    assert ledger.effects() == {"a": 2}


def test_a_ledger_that_deduplicates_does_the_effect_once_though_it_is_killed(start: Start) -> None:
    ledger = start("deduplicates")
    assert [post(ledger, 7), post(ledger, 7)] == [200, 200]
    kill_and_start(ledger)
    assert [post(ledger, 8), post(ledger, 6)] == [200, 200]
    assert ledger.effects() == {"a": 1}


def test_a_ledger_that_promises_nothing_does_the_effect_of_every_call(start: Start) -> None:
    ledger = start("neither")
    assert [post(ledger, 8), post(ledger, 7), post(ledger, 7)] == [200, 200, 200]
    assert ledger.effects() == {"a": 3}
