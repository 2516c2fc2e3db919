"""One round: a seed, faults, strikes while everything works, then the verdict."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
import redis

from tests.faults.fault import Fault
from tests.faults.judge import Verdict, drain, judge
from tests.faults.stage import Stage
from tests.faults.workload import Workload
from workers.stack.process import wait_until

RECOVERY_SECONDS = 60


@dataclass
class Result:
    """What a round did, and what came of it."""

    fault: type[Fault]
    seed: int
    strikes: int
    struck: int = 0
    messages: int = 0
    resent: int = 0
    recovery_seconds: list[float] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)


def play(fault_types: Sequence[type[Fault]], seed: int, strikes: int) -> list[Result]:
    """Play faults that need the same stage one after the other, then judge once: every result has the one verdict.

    The same arguments do the same harm to the same work, at moments that are the machine's. Raises TimeoutError when the
    stage does not recover or does not come to rest, PermissionError when it cannot be set up here.
    """
    results = [Result(fault_type, seed, strikes) for fault_type in fault_types]
    with Stage(seed, **fault_types[0].needs) as stage:
        workload = Workload(stage, seed)
        _recovered(workload)  # begin when everything is up
        workload.start()
        try:
            for result in results:
                _strike(result, workload)
        finally:
            workload.stop()
        drain(workload)
        stage.stop()
        verdict = judge(workload, redis_forgets=fault_types[0].redis_forgets)
    for result in results:
        result.messages, result.resent, result.verdict = workload.messages_sent, workload.resent, verdict
    return results


def _strike(result: Result, workload: Workload) -> None:
    fault = result.fault(workload.stage, workload)
    for _ in range(result.strikes):
        workload.note_receipts()
        result.struck += fault.strike()
        time.sleep(fault.holds_seconds)
        result.struck += fault.heal()
        result.recovery_seconds.append(_recovered(workload))
    fault.end()


def _recovered(workload: Workload) -> float:
    """How many seconds it takes until new work is committed. Raises TimeoutError."""
    begun = time.monotonic()
    probe = workload.probe()

    def has_its_receipt() -> bool:
        try:
            if workload.stage.rows("select from receipts where content_sha256 = %s", probe.content_sha256):
                return True
        except psycopg.Error:
            pass
        return False

    while not wait_until(has_its_receipt, 3):
        if time.monotonic() - begun > RECOVERY_SECONDS:
            raise TimeoutError(f"new work was not taken {RECOVERY_SECONDS} seconds after the fault was healed")
        try:
            workload.resend()
        except (psycopg.Error, redis.RedisError):
            continue
    return time.monotonic() - begun
