"""What events keep beside who did what: decided again, told again and audited from these words alone."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.action import Attempt, AttemptState
from domain.engine import step
from domain.executing import OutcomeFound
from domain.messages import CancelAction
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from tests.unit.in_memory import HOUR, NOW, InMemory, body_of
from tests.unit.test_break_glass import engine_with
from tests.unit.test_engine_internal import Company

IN_A_MINUTE = {"next_attempt_at": "2025-11-12T10:01:00.000000Z"}


def data_of(engine: InMemory, action: UUID, name: str) -> dict[str, Any]:
    """The data of the action's newest event of this name."""
    return [item.data for item in engine.world.changes.events if (item.action_id, item.event) == (action, name)][-1]


def test_created_has_the_hash_of_the_content_and_a_requirement_without_what_time_adds_to_it() -> None:
    engine = InMemory()
    action = engine.created()
    told = data_of(engine, action, "created")
    assert told["content_hash"] == engine.action(action).content_hash.hex()
    assert "steps_reached" not in told["requirement"]


def test_voted_has_all_that_counts_of_the_vote() -> None:
    engine = engine_with()
    action = engine.created()
    seen = engine.action(action).content_hash.hex()
    more = {"comment": "agreed", "content_hash": seen, "break_glass": "nobody answers"}
    engine.tell(body_of("CastVote", {"action_id": action, "voter_id": "duty", "vote": "approve"} | more), jti="v1")
    assert data_of(engine, action, "voted") == more | {
        "vote": "approve",
        "roles": ["*", "duty"],
        "acts_for": {},
        "cast_at": "2025-11-12T10:00:00.000000Z",
        "issuer": "tooling",
        "jti": "v1",
        "kid": "tooling-1",
    }


def test_a_decision_has_its_tally_beside_its_votes() -> None:
    engine = InMemory()
    action = engine.created()
    for person, choice in (("f1", "approve"), ("f3", "abstain"), ("f2", "approve")):
        engine.vote(action, person, choice)
    told = data_of(engine, action, "approved")
    assert [vote["person"] for vote in told.pop("votes")] == ["f1", "f2", "f3"]
    assert told == {
        "reason": "quorum_and_ratio_reached",
        "votes_approve": 2,
        "votes_reject": 0,
        "votes_abstain": 1,
        "approval_ratio": "1.0000",
        "steps_reached": 0,
    }


def test_executing_has_the_attempt_its_token_and_its_lease() -> None:
    engine = InMemory()
    action = engine.approved()
    engine.ask_to_execute(action)
    assert engine.start(action, 7) == "applied"
    lease = {"lease_until": "2025-11-12T10:00:20.000000Z"}
    assert data_of(engine, action, "executing") == {"attempt": 1, "token": 7} | lease
    assert engine.world.changes.events[-1].actor == "admin"
    until = NOW + timedelta(seconds=20)
    assert engine.world.attempts[action] == {1: Attempt(action, 1, 7, AttemptState.STARTED, "w", NOW, until)}


def test_cancelled_has_what_it_was_and_why_and_the_message() -> None:
    engine = InMemory()
    action = engine.created()
    body = CancelAction.model_validate({"action_id": action, "cancelled_by": "admin", "reason": "a mistake"})
    engine.tell(body, jti="c1")
    told = {"was": "requested", "reason": "a mistake", "issuer": "tooling", "jti": "c1"}
    assert data_of(engine, action, "cancelled") == told


@pytest.mark.parametrize(
    ("people", "was", "deadline"),
    [
        ((), "requested", "2025-11-12T11:00:00.000000Z"),
        (("f1",), "pending_approval", "2025-11-12T11:00:00.000000Z"),
        (("f1", "f2"), "approved", "2025-11-12T12:00:00.000000Z"),
    ],
)
def test_expired_has_what_it_was_and_the_deadline_whenever_that_is_noticed(
    people: tuple[str, ...], was: str, deadline: str
) -> None:
    engine = InMemory({"escalation_role": None, "execute_within_seconds": 2 * HOUR})
    action = engine.created()
    for person in people:
        engine.vote(action, person)
    engine.wait(5 * HOUR)
    engine.sweep(action)
    assert data_of(engine, action, "expired") == {"was": was, "deadline": deadline}


class Tried(InMemory):
    """An action of which the first attempt has begun, as attempt 1 with the token 7."""

    def __init__(self, **action_type: Any) -> None:
        super().__init__(action_type=action_type)
        self.id = self.approved()
        self.ask_to_execute(self.id, "f3")
        assert self.start(self.id, 7) == "applied"


TRIED = {"attempt": 1, "token": 7}


@pytest.mark.parametrize(
    ("guarantee", "outcome", "name", "actor", "more"),
    [
        ("neither", Done({"balance": 5}), "executed", "f3", {"result": {"balance": 5}}),
        ("neither", Rejected("no"), "failed", "f3", {"reason": "no"}),
        ("neither", Unknown("timeout"), "outcome_unknown", "f3", {"reason": "timeout"}),
        ("deduplicates", Retry("busy", 60), "retry_scheduled", "ops-approval", {"reason": "busy"} | IN_A_MINUTE),
    ],
)
def test_what_an_attempt_came_to_has_the_attempt_and_the_reason(
    guarantee: str, outcome: Outcome, name: str, actor: str, more: dict[str, Any]
) -> None:
    engine = Tried(guarantee=guarantee)
    engine.finish(engine.id, 7, outcome)
    assert data_of(engine, engine.id, name) == TRIED | more
    assert engine.world.changes.events[-1].actor == actor


@pytest.mark.parametrize(
    ("found", "name", "more"),
    [
        ("executed", "executed", TRIED | {"result": {}}),
        ("failed", "failed", TRIED | {"reason": "we looked into it"}),
        ("approved", "retry_scheduled", {"reason": "we looked into it"} | IN_A_MINUTE),
    ],
)
def test_what_people_found_out_has_their_action_their_reason_and_who_had_it_done(
    found: str, name: str, more: dict[str, Any]
) -> None:
    engine = Company()
    action = engine.approved()
    engine.ask_to_execute(action, "f1")
    assert engine.start(action, 7) == "applied"
    engine.finish(action, 7, Unknown("timeout"))
    engine.wait(60)
    engine._token = 7
    resolved = engine.do("RESOLVE_OUTCOME", action, outcome=found)
    assert data_of(engine, action, name) == more | {"agreed_in": str(resolved)}
    (event,) = [item for item in engine.world.changes.events if (item.action_id, item.event) == (action, name)]
    assert event.actor == "admin-3"
    reason = None if found == "executed" else "we looked into it"
    assert engine.world.attempts[action][1].reason == reason


def test_while_nobody_knows_the_row_says_why_the_service_did_not() -> None:
    engine = Tried(guarantee="queryable", query_path="/ask")
    engine.finish(engine.id, 7, Unknown("timeout"))
    step(engine.world, OutcomeFound(engine.id, 7, Unknown("it is busy")))
    assert engine.action(engine.id).error == "it is busy"
