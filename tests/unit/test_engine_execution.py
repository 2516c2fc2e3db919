"""Execution: who may ask for it, one attempt at a time, retries, and an outcome that nobody knows."""

from datetime import timedelta
from uuid import uuid4

import pytest

from domain.action_type import LEASE_MARGIN_SECONDS
from domain.executing import NUDGE_AGAIN_SECONDS
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from domain.outcomes import MAX_PAUSE_SECONDS
from tests.unit.in_memory import HOUR, NOW, WHOLE, InMemory, answer, directory

DAY = 86_400
LEASE = 10 + LEASE_MARGIN_SECONDS


@pytest.mark.parametrize(
    ("person", "roles", "expected"),
    [
        ("admin", ("*",), "applied"),
        ("f3", ("*",), "applied"),
        ("f1", ("finance_ops",), "applied"),
        ("pay", ("*",), "executor_not_allowed"),
        ("cfo", ("*",), "executor_not_allowed"),
        ("stranger", ("*",), "executor_not_allowed"),
        ("admin", (), "executor_not_allowed"),
        ("admin", ("finance_ops",), "executor_not_allowed"),
    ],
)
def test_who_executes_needs_a_role_that_the_key_may_speak_for(
    person: str, roles: tuple[str, ...], expected: str
) -> None:
    engine = InMemory()
    action = engine.approved()
    receipt = engine.ask_to_execute(action, person, scope=WHOLE.model_copy(update={"roles": roles}))
    assert answer(receipt) == expected
    assert engine.action(action).executable_at(engine.world.now) is (expected == "applied")
    unspoken = (person, expected) == ("admin", "executor_not_allowed")
    assert ("The key may not speak for ops_admin, which they hold." in receipt.sentence) is unspoken


def test_a_key_executes_only_the_action_types_of_its_scope() -> None:
    engine = InMemory()
    action = engine.approved()
    scope = WHOLE.model_copy(update={"action_types": ("OTHER",)})
    assert answer(engine.ask_to_execute(action, scope=scope)) == "out_of_scope"


def test_only_an_approved_action_is_executed_and_only_once() -> None:
    engine = InMemory()
    assert answer(engine.ask_to_execute(uuid4())) == "unknown_action"
    action = engine.created()
    assert answer(engine.ask_to_execute(action)) == "not_approved"
    assert engine.start(action, 1) == "not_approved"
    for person in ("f1", "f2"):
        engine.vote(action, person)
    assert engine.start(action, 1) == "not_due"  # nobody asked for it
    assert answer(engine.ask_to_execute(action)) == "applied"
    assert answer(engine.ask_to_execute(action, "f3")) == "already_started"
    assert engine.start(action, 1) == "applied"
    assert engine.finish(action, 1, Done({"ok": True})) == "applied"
    assert answer(engine.ask_to_execute(action)) == "already_started"
    assert engine.start(action, 2) == "not_approved"
    assert engine.events(action)[-3:] == ["approved", "executing", "executed"]
    found = engine.action(action)
    assert (found.executed_by, found.executed_at, found.result, found.due_at) == ("admin", NOW, {"ok": True}, None)


def test_an_approval_that_nobody_uses_expires() -> None:
    engine = InMemory({"execute_within_seconds": 60})
    action = engine.approved()
    engine.wait(59)
    assert engine.sweep(action) == "not_due"
    engine.wait(1)
    assert answer(engine.ask_to_execute(action)) == "not_approved"
    assert engine.events(action)[-1] == "expired"


def test_an_execution_that_was_asked_for_is_rung_for_again_until_it_starts() -> None:
    engine = InMemory({"execute_within_seconds": 60})
    action = engine.approved()
    engine.ask_to_execute(action)
    assert engine.sweep(action) == "applied"
    assert engine.status(action) == "approved"
    assert engine.action(action).due_at == engine.world.now + timedelta(seconds=NUDGE_AGAIN_SECONDS)
    engine.wait(59)
    assert engine.start(action, 1) == "applied"


def test_no_first_attempt_is_made_on_an_old_approval_whoever_asked_for_it() -> None:
    engine = InMemory({"execute_within_seconds": 60})
    action = engine.approved()
    engine.ask_to_execute(action)
    engine.wait(60)
    assert engine.start(action, 1) == "not_approved"
    found = engine.action(action)
    assert (found.status, found.executed_by, found.next_attempt_at) == ("expired", "admin", None)


@pytest.mark.parametrize(
    ("by_policy", "by_message", "executes"),
    [(True, None, True), (True, False, False), (None, True, True), (None, None, False), (False, True, False)],
)
def test_after_approval_it_executes_by_itself_where_neither_side_says_no(
    by_policy: bool | None, by_message: bool | None, *, executes: bool
) -> None:
    engine = InMemory({"auto_execute": by_policy})
    action = engine.created({"auto_execute": by_message})
    assert not engine.action(action).executable_at(engine.world.now)
    for person in ("f1", "f2"):
        engine.vote(action, person)
    assert engine.action(action).executable_at(engine.world.now) is executes
    assert engine.action(action).executed_by == ("ops-approval" if executes else None)


class Asked(InMemory):
    """An installation with one approved action, the execution of which was asked for."""

    def __init__(self, max_attempts: int = 5, **changes: object) -> None:
        kind = {"max_attempts": max_attempts, "retry_base_seconds": 2, "timeout_seconds": 10}
        super().__init__(action_type=kind | changes)
        self.id = self.approved()
        assert answer(self.ask_to_execute(self.id)) == "applied"


def test_one_attempt_holds_the_lease_and_only_a_higher_token_takes_one() -> None:
    engine = Asked()
    assert engine.start(engine.id, 7) == "applied"
    assert engine.start(engine.id, 7) == "stale_token"
    assert engine.start(engine.id, 8) == "not_approved"
    assert engine.finish(engine.id, 6, Done()) == "stale_token"
    assert engine.finish(engine.id, 8, Done()) == "stale_token"
    assert engine.status(engine.id) == "executing"
    assert engine.finish(engine.id, 7, Retry("busy")) == "applied"
    assert engine.finish(engine.id, 7, Done()) == "stale_token"
    engine.wait(2)
    assert engine.start(engine.id, 6) == "stale_token"
    assert engine.start(engine.id, 9) == "applied"
    assert engine.finish(engine.id, 7, Done()) == "stale_token"
    assert engine.status(engine.id) == "executing"


def test_the_end_of_the_lease_is_an_unknown_outcome_and_a_late_word_changes_nothing() -> None:
    engine = Asked()
    engine.start(engine.id, 1)
    engine.wait(LEASE - 1)
    assert engine.sweep(engine.id) == "not_due"
    engine.wait(1)
    assert engine.sweep(engine.id) == "applied"
    assert (engine.status(engine.id), engine.world.attempts[engine.id][1].state) == ("approved", "unknown")
    assert engine.finish(engine.id, 1, Done()) == "stale_token"
    engine.wait(2)
    assert engine.start(engine.id, 2) == "applied"
    assert engine.finish(engine.id, 1, Rejected("no")) == "stale_token"
    assert engine.finish(engine.id, 2, Done()) == "applied"
    assert engine.status(engine.id) == "executed"


def test_pauses_between_attempts_double_less_some_jitter_and_are_kept() -> None:
    engine = Asked(max_attempts=20, retry_within_seconds=12 * HOUR)
    pauses = []
    for token in range(1, 14):
        assert engine.start(engine.id, token) == "applied"
        engine.finish(engine.id, token, Retry("busy"))
        due_at = engine.action(engine.id).due_at
        assert due_at is not None
        pauses.append((due_at - engine.world.now).total_seconds())
        engine.wait(pauses[-1] - 1)
        assert engine.start(engine.id, token + 1) == "not_due"
        assert engine.sweep(engine.id) == "not_due"
        engine.wait(1)
    doubled = [min(2.0**number, MAX_PAUSE_SECONDS) for number in range(1, 14)]
    assert all(0.8 * most <= pause <= most for pause, most in zip(pauses, doubled, strict=True))
    assert len({pause / most for pause, most in zip(pauses, doubled, strict=True)}) > 5


@pytest.mark.parametrize(
    ("after_seconds", "least", "most"),
    [(None, 1.6, 2), (1, 1.6, 2), (60, 60, 60), (10**9, MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS), (-5, 1.6, 2)],
)
def test_the_service_may_ask_for_a_longer_pause_within_bounds(
    after_seconds: float | None, least: float, most: float
) -> None:
    engine = Asked()
    engine.start(engine.id, 1)
    engine.finish(engine.id, 1, Retry("busy", after_seconds))
    at = engine.action(engine.id).next_attempt_at
    assert at is not None
    assert least <= (at - engine.world.now).total_seconds() <= most


def test_nothing_is_tried_again_after_its_time_so_that_no_key_is_forgotten() -> None:
    engine = Asked(max_attempts=50, retry_within_seconds=60)
    began = engine.world.now
    for token in range(1, 50):
        if engine.start(engine.id, token) != "applied":
            break
        assert engine.world.now <= began + timedelta(seconds=60)
        engine.finish(engine.id, token, Retry("busy"))
        engine.wait(((engine.action(engine.id).next_attempt_at or engine.world.now) - engine.world.now).total_seconds())
    assert engine.status(engine.id) == "failed"


@pytest.mark.parametrize(("outcome", "status"), [(Unknown("timeout"), "outcome_unknown"), (Retry("busy"), "failed")])
@pytest.mark.parametrize("swept", [True, False])
def test_what_no_worker_came_to_try_again_in_time_is_given_up(outcome: Outcome, status: str, *, swept: bool) -> None:
    """Everything was down for longer than the service remembers the key: the call would do the effect again."""
    engine = Asked()
    engine.start(engine.id, 1)
    engine.finish(engine.id, 1, outcome)
    engine.wait(25 * HOUR)
    if swept:
        engine.sweep(engine.id)
    assert engine.start(engine.id, 2) in {"not_approved", "not_due"}
    assert (engine.status(engine.id), engine.events(engine.id)[-1]) == (status, status)
    action = engine.action(engine.id)
    assert (action.next_attempt_at, action.due_at, action.error) == (None, None, "It was not tried again in time.")


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([Rejected("no")], "failed"),
        ([Retry("busy"), Rejected("no")], "failed"),
        ([Retry("busy")] * 3, "failed"),
        ([Unknown("timeout"), Rejected("no")], "outcome_unknown"),
        ([Unknown("timeout"), Retry("busy"), Retry("busy")], "outcome_unknown"),
        ([Retry("busy"), Retry("busy"), Unknown("timeout")], "outcome_unknown"),
        ([Unknown("timeout")] * 3, "outcome_unknown"),
        ([Unknown("timeout"), Done()], "executed"),
        ([Retry("busy"), Retry("busy"), Done()], "executed"),
    ],
)
def test_it_fails_only_if_no_attempt_can_have_had_an_effect(outcomes: list[Outcome], status: str) -> None:
    engine = Asked(max_attempts=3)
    for token, outcome in enumerate(outcomes, start=1):
        assert engine.start(engine.id, token) == "applied"
        assert engine.finish(engine.id, token, outcome) == "applied"
        engine.wait(MAX_PAUSE_SECONDS)
    assert engine.status(engine.id) == status
    assert engine.action(engine.id).due_at is None
    assert engine.start(engine.id, 99) in {"not_approved", "not_due"}
    assert engine.sweep(engine.id) == "not_due"
    assert [attempt.number for attempt in engine.world.attempts[engine.id].values()] == list(
        range(1, len(outcomes) + 1)
    )
    assert engine.events(engine.id)[-1] == status


def test_before_the_first_attempt_it_is_decided_again() -> None:
    """A role that was lost after the approval, and before anything happened, still counts."""
    engine = Asked()
    engine.world.directory = directory({"f1": ["finance_ops"], "f3": ["finance_ops"]})
    assert engine.start(engine.id, 1) == "not_approved"
    assert engine.status(engine.id) == "pending_approval"


def test_what_was_reopened_and_approved_anew_waits_until_somebody_asks_for_its_execution_again() -> None:
    engine = Asked()
    engine.world.directory = directory({"f1": ["finance_ops"], "f3": ["finance_ops"], "admin": ["ops_admin"]})
    engine.start(engine.id, 1)
    reopened = engine.action(engine.id)
    assert (reopened.decided_at, reopened.executed_by, reopened.due_at) == (None, None, reopened.expires_at)
    engine.vote(engine.id, "f3")
    assert engine.status(engine.id) == "approved"
    assert engine.start(engine.id, 2) == "not_due"
    assert answer(engine.ask_to_execute(engine.id)) == "applied"
    assert engine.start(engine.id, 3) == "applied"


@pytest.mark.parametrize(("by_itself", "status"), [(False, "approved"), (True, "executing")])
def test_what_is_approved_anew_as_it_is_decided_again_begins_only_if_it_executes_by_itself(
    *, by_itself: bool, status: str
) -> None:
    """The step of escalation begins at once, as the quorum is out of reach, and those who have voted are enough for it."""
    engine = InMemory({"auto_execute": by_itself})
    action_id = engine.approved(("both", "f1"))
    if not by_itself:
        engine.ask_to_execute(action_id)
    engine.world.directory = directory({"both": ["cfo"], "f1": ["finance_ops"], "admin": ["ops_admin"]})
    assert engine.start(action_id, 1) == ("applied" if by_itself else "not_approved")
    assert engine.events(action_id)[4:7] == ["reopened", "escalated", "approved"]
    assert engine.status(action_id) == status
    if not by_itself:
        assert engine.start(action_id, 2) == "not_due"
        assert answer(engine.ask_to_execute(action_id)) == "applied"
        assert engine.start(action_id, 3) == "applied"
    assert engine.action(action_id).executed_by == ("ops-approval" if by_itself else "admin")


def test_what_was_reopened_is_decided_by_further_votes() -> None:
    """Both who approved have left; one who was against it still stands, and is joined."""
    engine = InMemory({"required_ratio": 0.66})
    action = engine.created()
    for person, vote in (("f3", "reject"), ("f1", "approve"), ("f2", "approve")):
        engine.vote(action, person, vote)
    assert engine.status(action) == "approved"
    engine.ask_to_execute(action)
    engine.world.directory = directory({person: ["finance_ops"] for person in ("f3", "f4", "f5")})
    assert engine.start(action, 1) == "not_approved"
    assert engine.status(action) == "pending_approval"
    engine.vote(action, "f4", "reject")
    assert engine.status(action) == "rejected"


def test_once_an_attempt_was_made_later_losses_change_nothing() -> None:
    engine = Asked()
    engine.start(engine.id, 1)
    engine.finish(engine.id, 1, Unknown("timeout"))
    engine.world.directory = directory({})
    engine.wait(HOUR)
    assert engine.start(engine.id, 2) == "applied"
