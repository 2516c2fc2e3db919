"""The trail of an action: no event can be changed, dropped, swapped or put in between without its showing."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import trail
from domain.lifecycle import Status
from domain.trail import FIRST_PREVIOUS, BrokenTrail, Event, EventName
from tests.unit.in_memory import body_of

ACTION = UUID("c1042355-1d68-5d5b-b7ab-bb60e63362e1")
NOW = datetime(2025, 11, 12, 10, 0, 0, 250, tzinfo=UTC)
LIFE: tuple[tuple[EventName, str, dict[str, Any]], ...] = (
    (EventName.CREATED, "sira-system", {"params": {"amount": 1_000_000}}),
    (EventName.VOTED, "f1", {"vote": "reject"}),
    (EventName.VOTED, "f1", {"vote": "approve"}),
    (EventName.VOTED, "f2", {"vote": "approve"}),
    (EventName.APPROVED, "ops-approval", {}),
    (EventName.EXECUTING, "a1", {"attempt": 1}),
    (EventName.EXECUTED, "a1", {"result": {"ok": True}}),
)


def written(life: tuple[tuple[EventName, str, dict[str, Any]], ...] = LIFE) -> list[Event]:
    events: list[Event] = []
    for seq, (name, actor, data) in enumerate(life, start=1):
        previous = events[-1].hash if events else FIRST_PREVIOUS
        events.append(trail.chain(ACTION, seq, previous, name, actor, NOW + timedelta(seconds=seq), data))
    return events


def test_the_canonical_bytes_never_change() -> None:
    """Literal: every stored trail relies on this format. SHA-256 of
    {"action_id":"…","actor":"sira-system","at":"2025-11-12T10:00:01.000250Z","data":{"params":{"amount":1000000}},
    "event":"created","prev_hash":"00…","seq":1}, without the line breaks."""
    first, second = written()[:2]
    assert first.hash.hex() == "a7dd87ce0c4ca880fa866bf7c6df938067d000820bedb068cc9e50c3f2bd3730"
    assert second.hash.hex() == "c83a8a3981c99a2a76e4f778e8be6565100bd40455148690d3bec86c553fa653"
    assert second.prev_hash == first.hash
    assert bytes(32) == FIRST_PREVIOUS


def test_moments_are_told_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Africa/Lagos")
    time.tzset()
    try:
        body = body_of(
            "CastVote",
            {"action_id": ACTION, "voter_id": "f1", "vote": "approve", "cast_at": "2025-11-12T11:00:00+01:00"},
        )
        assert body.model_dump(mode="json")["cast_at"] == "2025-11-12T10:00:00Z"
        assert trail.timestamp(NOW.astimezone(timezone(timedelta(hours=3)))) == "2025-11-12T10:00:00.000250Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_each_event_left_its_action_in_the_status_that_the_fold_has_then() -> None:
    events = written()
    other = trail.chain(UUID(int=7), 1, FIRST_PREVIOUS, EventName.CREATED, "x", NOW, {})
    found = trail.statuses([*events[:3], other, *events[3:]])
    assert found.pop((UUID(int=7), 1)) is Status.REQUESTED
    assert found == {(ACTION, seq): trail.fold(events[:seq])["status"] for seq in range(1, len(events) + 1)}


def test_what_was_written_verifies() -> None:
    trail.verify(written())
    trail.verify([])


@pytest.mark.parametrize("index", range(len(LIFE)))
@pytest.mark.parametrize(
    "change",
    [
        lambda event: replace(event, data=event.data | {"vote": "abstain"}),
        lambda event: replace(event, data=event.data | {"more": None}),
        lambda event: replace(event, actor="mallory"),
        lambda event: replace(event, at=event.at + timedelta(microseconds=1)),
        lambda event: replace(event, event=EventName.CANCELLED),
        lambda event: replace(event, action_id=UUID(int=7)),
        lambda event: replace(event, seq=event.seq + 1),
        lambda event: replace(event, hash=bytes(32)),
        lambda event: replace(event, prev_hash=bytes([1] * 32)),
        lambda event: trail.chain(
            event.action_id, event.seq, bytes([1] * 32), event.event, event.actor, event.at, event.data
        ),
    ],
    ids=["data", "field", "actor", "at", "event", "action", "seq", "hash", "prev_hash", "rehashed"],
)
def test_a_changed_event_is_found(change: Callable[[Event], Event], index: int) -> None:
    events = written()
    events[index] = change(events[index])
    with pytest.raises(BrokenTrail):
        trail.verify(events)


@pytest.mark.parametrize("index", range(len(LIFE) - 1))
def test_an_event_that_was_changed_together_with_its_hash_is_found_at_the_next(index: int) -> None:
    events = written()
    old = events[index]
    events[index] = trail.chain(old.action_id, old.seq, old.prev_hash, old.event, "mallory", old.at, old.data)
    with pytest.raises(BrokenTrail, match=f"event {index + 2} "):
        trail.verify(events)


@pytest.mark.parametrize("index", range(len(LIFE) - 1))
def test_a_dropped_event_is_found(index: int) -> None:
    """The last one's absence only shows against the row, which holds the number and hash of the chain's end."""
    events = written()
    del events[index]
    with pytest.raises(BrokenTrail, match=f"event {index + 1} "):
        trail.verify(events)
    renumbered = [replace(event, seq=seq) for seq, event in enumerate(events, start=1)]
    with pytest.raises(BrokenTrail, match=f"event {index + 1} "):
        trail.verify(renumbered)


@given(st.permutations(range(len(LIFE))))
def test_events_in_another_order_are_found(order: list[int]) -> None:
    events = written()
    shuffled = [events[index] for index in order]
    if shuffled == events:
        return
    with pytest.raises(BrokenTrail):
        trail.verify(shuffled)
    with pytest.raises(BrokenTrail):
        trail.verify([replace(event, seq=seq) for seq, event in enumerate(shuffled, start=1)])


@pytest.mark.parametrize("index", range(len(LIFE)))
def test_an_inserted_event_is_found(index: int) -> None:
    events = written()
    previous = events[index].prev_hash
    events.insert(index, trail.chain(ACTION, index + 1, previous, EventName.VOTED, "mallory", NOW, {"vote": "approve"}))
    with pytest.raises(BrokenTrail):
        trail.verify(events)


def test_a_moment_has_one_spelling_whatever_its_time_zone() -> None:
    moment = datetime(2025, 11, 12, 10, tzinfo=UTC)
    assert trail.timestamp(moment) == "2025-11-12T10:00:00.000000Z"
    assert trail.timestamp(moment.astimezone(timezone(timedelta(hours=-5)))) == "2025-11-12T10:00:00.000000Z"
    assert trail.timestamp(datetime(987, 1, 1, tzinfo=UTC)) == "0987-01-01T00:00:00.000000Z"


def test_a_trail_tells_what_the_row_must_say() -> None:
    assert trail.fold(written()[:1])["executed_by"] is None
    assert trail.fold(written()) == {
        "status": Status.EXECUTED,
        "votes": {"f1": "approve", "f2": "approve"},
        "executed_by": "a1",
        "result": {"ok": True},
    }


@pytest.mark.parametrize(
    ("names", "status"),
    [
        ([], None),
        (["created"], "requested"),
        (["created", "voted"], "pending_approval"),
        (["created", "escalated", "voted"], "escalated"),
        (["created", "approved"], "approved"),
        (["created", "voted", "rejected"], "rejected"),
        (["created", "expired"], "expired"),
        (["created", "cancelled"], "cancelled"),
        (["created", "approved", "executing"], "executing"),
        (["created", "approved", "executing", "retry_scheduled"], "approved"),
        (["created", "approved", "executing", "failed"], "failed"),
        (["created", "approved", "executing", "outcome_unknown"], "outcome_unknown"),
    ],
)
def test_the_status_follows_the_events(names: list[str], status: str | None) -> None:
    data = {"vote": "approve", "result": {}}
    assert trail.fold(written(tuple((EventName(name), "x", data) for name in names)))["status"] == status


def test_every_event_has_a_place_in_the_fold() -> None:
    for name in EventName:
        trail.fold(written(((EventName.CREATED, "x", {}), (name, "x", {"vote": "approve", "result": {}}))))
