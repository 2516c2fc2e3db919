"""The audit trail of an action: a gapless, hash-chained list of events that tells its whole life.

Each event's hash covers the event and the hash before it, over canonical bytes (RFC 8785), so that no event can be
changed, dropped or put in between without every later hash being wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from domain.exact_json import canonical
from domain.lifecycle import Status

FIRST_PREVIOUS = bytes(32)
"""What stands for the hash before the first event."""


class EventName(StrEnum):
    """What happened, in the words that callers know, and after them what only this engine tells apart."""

    CREATED = "created"
    VOTED = "voted"
    APPROVED = "approved"
    REJECTED = "rejected"
    ESCALATED = "escalated"
    EXECUTING = "executing"
    EXECUTED = "executed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RETRY_SCHEDULED = "retry_scheduled"
    OUTCOME_UNKNOWN = "outcome_unknown"
    REOPENED = "reopened"
    UNREACHABLE = "unreachable"
    GLASS_BROKEN = "glass_broken"
    RATIFIED = "ratified"
    RATIFICATION_REFUSED = "ratification_refused"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to an action; `seq` counts from 1 without gaps."""

    action_id: UUID
    seq: int
    event: EventName
    actor: str
    at: datetime
    data: dict[str, Any]
    prev_hash: bytes
    hash: bytes


class BrokenTrail(ValueError):
    """A trail that was tampered with or damaged; the message says at which event."""


def chain(
    action_id: UUID, seq: int, prev_hash: bytes, event: EventName, actor: str, at: datetime, data: dict[str, Any]
) -> Event:
    """The next event of a chain, with its hash."""
    return Event(
        action_id, seq, event, actor, at, data, prev_hash, _hash(action_id, seq, prev_hash, event, actor, at, data)
    )


def _hash(
    action_id: UUID, seq: int, prev_hash: bytes, event: str, actor: str, at: datetime, data: dict[str, Any]
) -> bytes:
    content = {
        "action_id": str(action_id),
        "seq": seq,
        "event": event,
        "actor": actor,
        "at": timestamp(at),
        "data": data,
        "prev_hash": prev_hash.hex(),
    }
    return sha256(canonical(content)).digest()


def timestamp(at: datetime) -> str:
    """A moment as text in UTC with microseconds, the same for the same moment (RFC 3339)."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def verify(events: Iterable[Event]) -> None:
    """Raises `BrokenTrail` unless the events are one gapless chain from the first, each with the hash of its content."""
    prev_hash = FIRST_PREVIOUS
    for seq, event in enumerate(events, start=1):
        if event.seq != seq:
            raise BrokenTrail(f"event {seq} of action {event.action_id} is missing")
        expected = _hash(event.action_id, seq, prev_hash, event.event, event.actor, event.at, event.data)
        if event.prev_hash != prev_hash or event.hash != expected:
            raise BrokenTrail(f"event {seq} of action {event.action_id} is not what was written")
        prev_hash = event.hash


AFTERWARDS = frozenset({EventName.RATIFIED, EventName.RATIFICATION_REFUSED})
"""What others say of an action that one person approved alone, perhaps after it has ended."""

_TELLS_ONLY = AFTERWARDS | {EventName.UNREACHABLE, EventName.GLASS_BROKEN}

_STATUS_AFTER = {
    EventName.CREATED: Status.REQUESTED,
    EventName.APPROVED: Status.APPROVED,
    EventName.REJECTED: Status.REJECTED,
    EventName.ESCALATED: Status.ESCALATED,
    EventName.EXECUTING: Status.EXECUTING,
    EventName.EXECUTED: Status.EXECUTED,
    EventName.FAILED: Status.FAILED,
    EventName.CANCELLED: Status.CANCELLED,
    EventName.EXPIRED: Status.EXPIRED,
    EventName.RETRY_SCHEDULED: Status.APPROVED,
    EventName.OUTCOME_UNKNOWN: Status.OUTCOME_UNKNOWN,
    EventName.REOPENED: Status.PENDING_APPROVAL,
}


def status_after(before: Status | None, event: Event) -> Status | None:
    """The status that an event leaves an action in; None is before the first."""
    if event.event in _TELLS_ONLY:
        return before
    if event.event is EventName.VOTED:
        first = before is Status.REQUESTED and event.data["vote"] != "withdraw"
        return Status.PENDING_APPROVAL if first else before
    return _STATUS_AFTER[event.event]


def statuses(events: Iterable[Event]) -> dict[tuple[UUID, int], Status]:
    """The status in which each event left its action, of trails from their first events on."""
    found: dict[tuple[UUID, int], Status] = {}
    for event in events:
        status = status_after(found.get((event.action_id, event.seq - 1)), event)
        assert status is not None  # noqa: S101 - the first event is `created`
        found[event.action_id, event.seq] = status
    return found


def fold(events: Iterable[Event]) -> dict[str, Any]:
    """What an action's row must say, told from its events alone: status, votes by person, executor, result."""
    row: dict[str, Any] = {"status": None, "votes": {}, "executed_by": None, "result": None}
    for event in events:
        row["status"] = status_after(row["status"], event)
        if event.event is EventName.VOTED:
            row["votes"][event.actor] = event.data["vote"]
        if event.event is EventName.EXECUTING:
            row["executed_by"] = event.actor
        if event.event is EventName.EXECUTED:
            row["result"] = event.data["result"]
    return row
