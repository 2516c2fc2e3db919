"""An outcome that nobody knows, by what the service guarantees; and leases of calls that last."""

from datetime import timedelta

import pytest

from domain.action_type import LEASE_MARGIN_SECONDS, ActionType
from domain.engine import step
from domain.executing import LEASE_SECONDS, NUDGE_AGAIN_SECONDS, AttemptRenewed, OutcomeFound
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from domain.outcomes import MAX_PAUSE_SECONDS
from tests.unit.in_memory import InMemory, answer

CALL_SECONDS = 10
CALL_ENDS = CALL_SECONDS + LEASE_MARGIN_SECONDS


class Called(InMemory):
    """One action whose first attempt has begun."""

    def __init__(self, guarantee: str, **changes: object) -> None:
        path = {"query_path": "/ask"} if guarantee == "queryable" else {}
        super().__init__(action_type={"guarantee": guarantee, "timeout_seconds": CALL_SECONDS} | path | changes)
        self.id = self.approved()
        self.ask_to_execute(self.id)
        assert self.start(self.id, 1) == "applied"

    def found(self, outcome: Outcome, token: int = 1) -> str:
        return answer(step(self.world, OutcomeFound(self.id, token, outcome)))

    def renew(self, token: int = 1) -> str:
        return answer(step(self.world, AttemptRenewed(self.id, token)))

    def state(self, number: int = 1) -> str:
        return self.world.attempts[self.id][number].state.value

    def next_try(self) -> float | None:
        at = self.action(self.id).next_attempt_at
        assert self.action(self.id).due_at == at  # or no sweep would ring for it
        return None if at is None else (at - self.world.now).total_seconds()


@pytest.mark.parametrize("silent", [True, False])
@pytest.mark.parametrize(
    ("guarantee", "status", "tries"),
    [("deduplicates", "approved", True), ("queryable", "outcome_unknown", True), ("neither", "outcome_unknown", False)],
)
def test_what_nobody_knows_is_repeated_asked_about_or_left_to_people(
    guarantee: str, status: str, *, silent: bool, tries: bool
) -> None:
    engine = Called(guarantee)
    if silent:
        engine.wait(CALL_ENDS)
        engine.sweep(engine.id)
    else:
        engine.finish(engine.id, 1, Unknown("timeout"))
    assert (engine.status(engine.id), engine.state()) == (status, "unknown")
    assert (engine.next_try() is not None) is tries
    assert (engine.action(engine.id).due_at is not None) is tries


@pytest.mark.parametrize("guarantee", ["deduplicates", "queryable", "neither"])
def test_what_certainly_did_not_happen_is_tried_again_whatever_is_guaranteed(guarantee: str) -> None:
    engine = Called(guarantee)
    engine.finish(engine.id, 1, Retry("busy"))
    assert engine.status(engine.id) == "approved"
    engine.wait(2)
    assert engine.start(engine.id, 2) == "applied"


def test_a_service_is_asked_only_once_the_call_cannot_be_on_its_way_any_more() -> None:
    engine = Called("queryable")
    engine.finish(engine.id, 1, Unknown("connection lost"))
    assert engine.next_try() == CALL_ENDS
    engine.wait(CALL_ENDS - 1)
    assert engine.start(engine.id, 2) == "not_due"
    for too_early in (Retry("it did not happen"), Rejected("no")):
        assert engine.found(too_early) == "not_due"
    engine.wait(1)
    assert engine.start(engine.id, 2) == "applied"
    assert engine.status(engine.id) == "outcome_unknown"
    assert engine.start(engine.id, 3) == "not_due"  # one worker asks
    engine.wait(NUDGE_AGAIN_SECONDS)
    assert engine.start(engine.id, 4) == "applied"  # and another when that one does not come back


@pytest.mark.parametrize(
    ("outcome", "status", "state", "event"),
    [
        (Done({"balance": 5}), "executed", "succeeded", "executed"),
        (Retry("it did not happen"), "approved", "retry", "retry_scheduled"),
        (Rejected("no"), "failed", "rejected", "failed"),
    ],
)
def test_what_the_service_says_settles_it(outcome: Outcome, status: str, state: str, event: str) -> None:
    engine = Called("queryable")
    engine.finish(engine.id, 1, Unknown("connection lost"))
    engine.wait(CALL_ENDS)
    engine.start(engine.id, 2)
    assert engine.found(outcome) == "applied"
    assert (engine.status(engine.id), engine.state()) == (status, state)
    assert engine.events(engine.id)[-2:] == ["outcome_unknown", event]
    assert engine.found(Done({"balance": 6})) == "stale_token"


def test_that_it_happened_is_believed_at_once() -> None:
    engine = Called("queryable")
    engine.finish(engine.id, 1, Unknown("connection lost"))
    assert engine.found(Done()) == "applied"
    assert engine.status(engine.id) == "executed"


@pytest.mark.parametrize("said", [Retry("busy"), Rejected("no")])
def test_an_attempt_that_said_what_it_came_to_is_not_found_to_be_something_else(said: Outcome) -> None:
    engine = Called("deduplicates", max_attempts=2)
    engine.finish(engine.id, 1, Unknown("connection lost"))
    engine.wait(engine.next_try() or 0)
    engine.start(engine.id, 2)
    engine.finish(engine.id, 2, said)
    assert engine.status(engine.id) == "outcome_unknown"  # because of the first
    assert engine.found(Done(), token=2) == "stale_token"
    assert engine.state(2) == ("retry" if isinstance(said, Retry) else "rejected")


def test_an_answer_about_an_earlier_attempt_settles_nothing() -> None:
    engine = Called("queryable")
    engine.finish(engine.id, 1, Unknown("timeout"))
    engine.wait(CALL_ENDS)
    assert engine.found(Retry("not there")) == "applied"
    engine.wait(engine.next_try() or 0)
    assert engine.start(engine.id, 2) == "applied"
    engine.finish(engine.id, 2, Unknown("timeout"))
    engine.wait(CALL_ENDS)
    for outcome in (Retry("not there"), Rejected("no"), Done()):
        assert engine.found(outcome, token=1) == "stale_token"
    assert engine.status(engine.id) == "outcome_unknown"


@pytest.mark.parametrize("outcome", [Rejected("why"), Retry("why"), Unknown("why")])
def test_an_attempt_keeps_why_it_ended(outcome: Outcome) -> None:
    engine = Called("neither")
    engine.finish(engine.id, 1, outcome)
    assert (engine.world.attempts[engine.id][1].reason, engine.action(engine.id).error) == ("why", "why")


def test_one_worker_asks_at_a_time_however_long_the_service_takes() -> None:
    engine = Called("queryable", timeout_seconds=300)
    engine.finish(engine.id, 1, Unknown("timeout"))
    engine.wait(300 + LEASE_MARGIN_SECONDS)
    assert engine.start(engine.id, 2) == "applied"
    assert engine.next_try() == 300
    engine.wait(299)
    assert engine.start(engine.id, 3) == "not_due"
    engine.wait(1)
    assert engine.start(engine.id, 4) == "applied"


def test_a_service_that_does_not_know_is_asked_again_ever_more_rarely() -> None:
    engine = Called("queryable")
    engine.finish(engine.id, 1, Unknown("connection lost"))
    pauses = []
    for token in range(2, 14):
        engine.wait(engine.next_try() or 0)
        assert engine.start(engine.id, token) == "applied"
        assert engine.found(Unknown("in progress")) == "applied"
        pauses.append(engine.next_try() or 0)
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_PAUSE_SECONDS
    assert engine.events(engine.id)[-1] == "outcome_unknown"


def test_nobody_is_asked_where_nobody_can_be() -> None:
    engine = Called("neither")
    engine.finish(engine.id, 1, Unknown("timeout"))
    engine.wait(10 * MAX_PAUSE_SECONDS)
    assert engine.sweep(engine.id) == "not_due"
    assert engine.start(engine.id, 2) == "not_due"
    assert engine.status(engine.id) == "outcome_unknown"


def test_a_lease_is_renewed_as_long_as_the_call_may_last_and_no_longer() -> None:
    engine = Called("neither", timeout_seconds=100)
    begun = engine.world.now
    for _ in range(10):
        engine.wait(10)
        assert engine.renew() == "applied"
    assert engine.world.attempts[engine.id][1].lease_until == begun + timedelta(seconds=110)
    assert engine.finish(engine.id, 1, Done()) == "applied"
    assert engine.status(engine.id) == "executed"
    assert engine.renew() == "stale_token"


def test_a_sweep_at_the_old_end_of_a_renewed_lease_ends_nothing() -> None:
    engine = Called("neither", timeout_seconds=100)
    engine.wait(LEASE_SECONDS - 10)
    assert engine.renew() == "applied"
    engine.wait(10)
    assert engine.sweep(engine.id) == "not_due"
    engine.wait(LEASE_SECONDS - 10)
    assert engine.sweep(engine.id) == "applied"
    assert engine.status(engine.id) == "outcome_unknown"


def test_a_worker_that_says_nothing_loses_its_lease_long_before_its_call_would_end() -> None:
    engine = Called("deduplicates", timeout_seconds=300)
    engine.wait(LEASE_SECONDS)
    assert engine.renew() == "stale_token"
    assert engine.sweep(engine.id) == "applied"
    assert (engine.status(engine.id), engine.state()) == ("approved", "unknown")
    assert engine.finish(engine.id, 1, Done()) == "stale_token"
    assert engine.renew() == "stale_token"


def test_a_lease_is_renewed_by_its_holder_alone() -> None:
    engine = Called("neither", timeout_seconds=100)
    assert engine.renew(token=2) == "stale_token"
    assert engine.found(Done()) == "stale_token"  # nobody asks while it is under way


@pytest.mark.parametrize(
    "change",
    [
        {"guarantee": "queryable"},
        {"guarantee": "neither", "query_path": "/ask"},
        {"guarantee": "deduplicates", "retry_within_seconds": 3600, "remembers_keys_seconds": 3600},
        {"guarantee": "perhaps"},
    ],
)
def test_a_guarantee_that_does_not_fit_is_an_error(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"guarantee|retry_within_seconds"):
        ActionType.model_validate({"name": "X", "service": "x", "path": "/x"} | change)


def test_who_says_nothing_of_its_service_gets_no_guarantee() -> None:
    assert ActionType.model_validate({"name": "X", "service": "x", "path": "/x"}).guarantee == "neither"
