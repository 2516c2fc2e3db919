"""What a step sees and changes: the rows a batch needs, held in memory between one load and one save.

The dataclasses have the columns of their tables as fields, under the same names. They are frozen: a change replaces the
row and marks it, so that `save` writes what changed and nothing else.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain import lifecycle, limits, trail
from domain.action_type import ActionType
from domain.definition import Kind, RiskName
from domain.definitions import AnyDefinition, Definitions
from domain.directory import Directory, Grant
from domain.keys import ALGORITHM, Scope, VerificationKey
from domain.lifecycle import Status
from domain.limits import Limits, Share, Use
from domain.messages import Message, Outcome, Receipt
from domain.proposal import RECOMMENDATION_THRESHOLD, Proposal, ProposalId
from domain.quorum import Choice, CountedVote, Requirement, Tally
from domain.refusals import Code, Refusal
from domain.trail import Event, EventName

ENGINE = "ops-approval"
"""The actor of what the engine does by itself: deadlines, decisions, automatic execution."""


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


@dataclass(frozen=True, slots=True)
class Record:
    """The row of a received message: what it was and its receipt. What nobody signed has no issuer and no jti.

    `actor` is whose share of the hour's messages it took from; None if it took from nobody's.
    """

    content_sha256: bytes
    token: str | None
    outcome: Outcome
    sentence: str
    code: Code | None = None
    action_id: UUID | None = None
    issuer: str | None = None
    jti: str | None = None
    kid: str | None = None
    type: str | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    excerpt: str | None = None
    actor: str | None = None

    @property
    def receipt(self) -> Receipt:
        """The answer that was given."""
        return Receipt(self.outcome, self.sentence, self.code, self.action_id, self.content_sha256)


@dataclass(frozen=True, slots=True)
class DefinitionVersion:
    """A new version of a definition, and the action in which people agreed to it; a `body` of None removes it."""

    kind: Kind
    name: str
    version: int
    body: dict[str, Any] | None
    created_by: str
    created_at: datetime
    agreed_in: UUID


@dataclass(frozen=True, slots=True)
class NewKey:
    """A public key that counts from now on, and the action in which people agreed to it; `person_id` is whose own it is."""

    kid: str
    issuer: str
    public_key: bytes
    scope: dict[str, Any]
    person_id: str | None
    valid_from: datetime
    created_at: datetime
    agreed_in: UUID
    alg: str = ALGORITHM


WITHOUT_IDENTITY = frozenset({Code.IDENTITY_CONFLICT, Code.WRONG_AUDIENCE})
"""Refusals that leave a message's identity to another: who came first, or who is addressed to us."""


@dataclass
class Changes:
    """What a fold of steps wants written; messages in the order of their coming. `directory` is None but for a snapshot."""

    actions: set[UUID] = field(default_factory=set)
    votes: set[tuple[UUID, str]] = field(default_factory=set)
    attempts: set[tuple[UUID, int]] = field(default_factory=set)
    messages: dict[bytes, None] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    definitions: list[DefinitionVersion] = field(default_factory=list)
    keys: list[NewKey] = field(default_factory=list)
    proposals: set[ProposalId] = field(default_factory=set)
    directory: "DirectoryChange | None" = None


@dataclass(frozen=True, slots=True)
class DirectoryChange:
    """A new snapshot: the people in it, the grants that end now, and those that begin."""

    snapshot: int
    people: dict[str, str | None]
    ended: tuple[Grant, ...]
    added: tuple[Grant, ...]


@dataclass
class World:
    """The rows that a batch needs, at one moment of the database's clock (`now`), and the changes made to them.

    `parked_counts` says how many votes wait for actions that are not there; `compromised` are the ids of keys that were revoked as such: what they signed counts for nothing. `keys` are all that are registered, where one more is asked for. `broken` says when people broke glass, and `used` what they and machines did in the last hour, of which `limits` bound it.

    `remedied_at` says by alert type when an alert last led to an action; `recommendation_threshold` how sure SIRA must be for a recommendation to lead to one by itself.
    """

    now: datetime
    audience: str
    directory: Directory = field(default_factory=Directory)
    definitions: Definitions = field(default_factory=Definitions)
    snapshot: int = 0
    actions: dict[UUID, Action] = field(default_factory=dict)
    votes: dict[UUID, dict[str, Vote]] = field(default_factory=dict)
    attempts: dict[UUID, dict[int, Attempt]] = field(default_factory=dict)
    records: dict[bytes, Record] = field(default_factory=dict)
    identities: dict[tuple[str, str], bytes] = field(default_factory=dict)
    parked: dict[UUID, list[Message]] = field(default_factory=dict)
    parked_counts: dict[UUID, int] = field(default_factory=dict)
    compromised: set[str] = field(default_factory=set)
    keys: dict[str, VerificationKey] = field(default_factory=dict)
    broken: dict[str, list[datetime]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    used: dict[Share, Use] = field(default_factory=dict)
    proposals: dict[ProposalId, Proposal] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    remedied_at: dict[str, datetime] = field(default_factory=dict)
    recommendation_threshold: Decimal = RECOMMENDATION_THRESHOLD
    changes: Changes = field(default_factory=Changes)

    def put(self, action: Action) -> Action:
        """Keep a new or changed action; raises `ForbiddenTransition` if its status may not become what it is."""
        if (known := self.actions.get(action.id)) is not None:
            lifecycle.check(known.status, action.status)
        action = replace(action, updated_at=self.now)
        self.actions[action.id] = action
        self.changes.actions.add(action.id)
        return action

    def note(self, action: Action, name: EventName, actor: str, data: dict[str, Any], **changes: Any) -> Action:
        """Append an event to the action's trail, and make these changes of its row along with it."""
        event = trail.chain(action.id, action.event_seq + 1, action.event_hash, name, actor, self.now, data)
        self.changes.events.append(event)
        return self.put(replace(action, event_seq=event.seq, event_hash=event.hash, **changes))

    def tally(self, action: Action, tally: Tally) -> Action:
        """Keep the count of votes on the action's row, where lists read it."""
        return self.put(
            replace(
                action,
                votes_approve=tally.votes_approve,
                votes_reject=tally.votes_reject,
                votes_abstain=tally.votes_abstain,
                quorum_satisfied=tally.quorum_satisfied,
            )
        )

    def put_vote(self, vote: Vote) -> None:
        """Make this the person's current vote."""
        self.votes.setdefault(vote.action_id, {})[vote.person_id] = vote
        self.changes.votes.add((vote.action_id, vote.person_id))

    def put_attempt(self, attempt: Attempt) -> Attempt:
        """Keep a new or changed attempt."""
        self.attempts.setdefault(attempt.action_id, {})[attempt.number] = attempt
        self.changes.attempts.add((attempt.action_id, attempt.number))
        return attempt

    def put_proposal(self, proposal: Proposal) -> Proposal:
        """Keep a new or changed proposal."""
        proposal = replace(proposal, updated_at=self.now)
        self.proposals[proposal.key] = proposal
        self.changes.proposals.add(proposal.key)
        return proposal

    def put_record(self, record: Record) -> None:
        """Keep what became of a message; the first of an identity owns it."""
        self.records[record.content_sha256] = record
        self.changes.messages[record.content_sha256] = None
        if record.issuer is not None and record.jti is not None and record.code not in WITHOUT_IDENTITY:
            self.identities.setdefault((record.issuer, record.jti), record.content_sha256)

    def over_limit(self, message: Message) -> Refusal | None:
        """Why a message must wait, as what it takes from is used up for this hour; None if it is not."""
        return limits.refusal(self.limits, self.used, limits.share_of(message, self.directory, self.now))

    def use(self, share: Share) -> None:
        """Count a message that was applied."""
        used = self.used.get(share, Use(0, self.now))
        self.used[share] = replace(used, count=used.count + 1)

    def put_definition(self, version: DefinitionVersion, definition: AnyDefinition | None) -> None:
        """Put a new version in force, or with None remove what it names; what was created before keeps its own."""
        self.definitions = self.definitions.changed(version.kind, version.name, version.version, definition)
        self.changes.definitions.append(version)

    def put_key(self, key: NewKey) -> None:
        """Make a key count from the next batch on."""
        scope = Scope.model_validate(key.scope)
        self.keys[key.kid] = VerificationKey(
            key.kid, key.issuer, key.public_key, scope, key.valid_from, None, None, key.person_id
        )
        self.changes.keys.append(key)

    def action_type_of(self, action: Action) -> ActionType:
        """The version of its action type that an action was created with."""
        return self.definitions.action_type(action.action_type, action.action_type_version)
