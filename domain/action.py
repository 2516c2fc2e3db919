"""An action, its votes and its attempts, as their rows say it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain import trail
from domain.definition import RiskName
from domain.lifecycle import Status
from domain.quorum import Choice, CountedVote
from domain.requirement import Requirement


@dataclass(frozen=True, slots=True)
class Action:
    """An operation somebody asked for. Down to `content_hash` nothing ever changes after creation."""

    id: UUID
    issuer: str
    idempotency_key: str | None
    body_sha256: bytes
    origin: str
    action_type: str
    action_type_version: int
    params: dict[str, Any]
    target_tenant_type: str | None
    target_tenant_id: str | None
    risk_level: RiskName
    created_by: str
    triggered_by: str | None
    policy_name: str
    policy_version: int
    requirement: Requirement
    required_quorum: dict[str, Any]
    required_ratio: Decimal
    timeout_seconds: int
    escalation_role: str | None
    auto_execute: bool
    execute_within_seconds: int
    caused_by: UUID | None
    created_at: datetime
    exclusive_key: str | None
    content_hash: bytes

    updated_at: datetime
    expires_at: datetime
    status: Status = Status.REQUESTED
    due_at: datetime | None = None
    steps_reached: int = 0
    votes_approve: int = 0
    votes_reject: int = 0
    votes_abstain: int = 0
    quorum_satisfied: bool = False
    unreachable: bool = False
    decided_at: datetime | None = None
    next_attempt_at: datetime | None = None
    executed_by: str | None = None
    executed_at: datetime | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    last_token: int = 0
    attempts_before: int = 0
    event_seq: int = 0
    event_hash: bytes = trail.FIRST_PREVIOUS

    @property
    def live_requirement(self) -> Requirement:
        """The frozen requirement with the escalation steps that are open by now."""
        return self.requirement.model_copy(update={"steps_reached": self.steps_reached})

    def executable_at(self, at: datetime) -> bool:
        """Whether a worker may turn to it at this moment: start an attempt, or ask what became of the last one."""
        waits = self.status in {Status.APPROVED, Status.OUTCOME_UNKNOWN}
        return waits and self.next_attempt_at is not None and self.next_attempt_at <= at


@dataclass(frozen=True, slots=True)
class Vote:
    """A person's current vote on an action; `roles` are those held when casting that the key may speak for.

    `acts_for` are the people whom the voter could act for then, each with their roles of which the same is true.
    `break_glass` is why an approval is to be enough alone.
    """

    action_id: UUID
    person_id: str
    choice: Choice
    comment: str | None
    roles: tuple[str, ...]
    cast_at: datetime
    issuer: str
    jti: str
    kid: str
    content_hash: str | None
    metadata: dict[str, Any]
    recorded_at: datetime
    acts_for: dict[str, list[str]] = field(default_factory=dict)
    break_glass: str | None = None

    @property
    def order(self) -> tuple[datetime, str, str]:
        """By what the latest of a person's votes is told: the same one in whatever order they arrive."""
        return self.cast_at, self.jti, self.issuer

    @property
    def counted(self) -> CountedVote:
        """What `quorum.decide` looks at."""
        acts_for = {person: frozenset(roles) for person, roles in self.acts_for.items()}
        breaks_glass = self.break_glass is not None
        return CountedVote(self.person_id, self.choice, frozenset(self.roles), acts_for, breaks_glass)


class AttemptState(StrEnum):
    """Where an attempt stands; `unknown` also when its lease ended without a word."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    RETRY = "retry"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to the other side; only the holder of the highest `token` may say what it came to."""

    action_id: UUID
    number: int
    token: int
    state: AttemptState
    worker: str
    started_at: datetime
    lease_until: datetime
    finished_at: datetime | None = None
    reason: str | None = None
