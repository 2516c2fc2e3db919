"""What a step sees and changes: the rows a batch needs, held in memory between one load and one save.

Rows are dataclasses with the columns of their tables as fields, under the same names (actions, votes and attempts are in
`action`). They are frozen: a change replaces the row and marks it, so that `save` writes what changed and nothing else.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain import lifecycle, limits, trail
from domain.action import Action, Attempt, Vote
from domain.action_type import ActionType
from domain.definition import Kind
from domain.definitions import AnyDefinition, Definitions
from domain.directory import Directory, Grant
from domain.keys import ALGORITHM, Scope, VerificationKey
from domain.limits import Limits, Share, Use
from domain.messages import Message, Outcome, Receipt
from domain.proposal import RECOMMENDATION_THRESHOLD, Proposal, ProposalId
from domain.quorum import Tally
from domain.refusals import Code, Refusal
from domain.trail import Event, EventName

ENGINE = "ops-approval"
"""The actor of what the engine does by itself: deadlines, decisions, automatic execution."""


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
