"""What producers say and what the engine answers: message bodies, messages, receipts.

The bodies have the fields of the spec's examples, under the same names. A message is what a verified envelope carries; a
receipt is the answer to a message; one that is parked, dead or in quarantine may still get another.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, get_args
from uuid import UUID, uuid5

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from domain import mistakes
from domain.body import Body, Key, Moment, Text
from domain.definition import Origin, RiskName, Seconds
from domain.exact_json import MAX_INTEGER
from domain.keys import Scope
from domain.policy import Ratio
from domain.proposal import RecommendAction, RemediateAlert, key_of
from domain.quorum import Choice
from domain.quorum_tree import Name, RoleName
from domain.quorum_tree import parse as parse_quorum
from domain.refusals import Code, Refusal

MAX_SNAPSHOT_BYTES = 1024 * 1024
"""How long a token of a key that may send the directory can be: it says of everybody what roles they hold."""

LIFETIME_SECONDS = 7 * 86_400
CLOCK_TOLERANCE_SECONDS = 30

_ACTION_IDS = UUID("3f0a4b5e-8a67-5b8e-9a55-0d8c0c6f2b11")


def action_id(issuer: str, idempotency_key: str | None, jti: str) -> UUID:
    """The id of the action that a CreateAction makes: known to its producer at once, and nobody else's to take.

    UUIDv5 over the JSON `[issuer, "key" | "jti", value]`, so that equal keys of different issuers never meet.
    """
    source = ("jti", jti) if idempotency_key is None else ("key", idempotency_key)
    return uuid5(_ACTION_IDS, json.dumps([issuer, *source], ensure_ascii=False, separators=(",", ":")))


def _understood(quorum: dict[str, Any]) -> dict[str, Any]:
    parse_quorum(quorum)
    return quorum


class CreateAction(Body):
    """Ask for an operation; the spec's createOpsAction.

    Who must agree is the policy's to say. A producer's own `required_quorum`, `required_ratio` and `timeout_seconds` can
    only make it stricter: both quorums, the higher ratio, the shorter time.
    """

    idempotency_key: Key | None = None
    origin: Origin
    action_type: Name
    params: dict[str, JsonValue]
    target_tenant_type: Name | None = None
    target_tenant_id: Name | None = None
    risk_level: RiskName | None = None
    auto_execute: Annotated[bool, Field(strict=True)] | None = None
    required_quorum: Annotated[dict[str, JsonValue], AfterValidator(_understood)] | None = None
    required_ratio: Annotated[Ratio, PlainSerializer(float, when_used="json")] | None = None
    timeout_seconds: Seconds | None = None
    created_by: Name
    triggered_by: Name | None = None


class CastVote(Body):
    """Say yes, no or nothing to an action; `voter_roles` is a claim that the directory must bear out.

    `break_glass` is the reason why an approval is to be enough alone, by whoever the action's policy lets do that.
    """

    action_id: UUID
    voter_id: Name
    voter_roles: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    vote: Choice
    comment: Text | None = None
    cast_at: Moment | None = None
    content_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    break_glass: Annotated[str, Field(min_length=1, max_length=4000, pattern=r"\S", strict=True)] | None = None
    metadata: dict[str, JsonValue] = Field(default={})

    @field_validator("break_glass")
    @classmethod
    def _only_to_approve(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("vote") is not Choice.APPROVE:
            raise ValueError("glass is broken to approve, and by no other vote")
        return value


class ExecuteAction(Body):
    """Have an approved action executed now."""

    action_id: UUID
    executed_by: Name


class CancelAction(Body):
    """Take an action back before anything is done about it."""

    action_id: UUID
    cancelled_by: Name
    reason: Text | None = None


class PersonGrant(Body):
    """A role that the person holds, or somebody for whom they may act; exactly one of both. Without bounds, from now on."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["role"]}, {"required": ["acts_for"]}]})

    role: RoleName | None = None
    acts_for: Name | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "PersonGrant":
        if (self.role is None) == (self.acts_for is None):
            raise ValueError("a grant gives either a role or the right to act for somebody")
        return self

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> "PersonGrant":
        if self.starts_at is not None and self.ends_at is not None and self.ends_at < self.starts_at:
            raise ValueError("the grant ends before it begins")
        return self


class Person(Body):
    """Somebody who works here, with the roles they hold and the people they may act for."""

    id: Name
    name: Text | None = None
    grants: Annotated[tuple[PersonGrant, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _acts_for_others(self) -> "Person":
        if any(grant.acts_for == self.id for grant in self.grants):
            raise ValueError("nobody acts for themselves")
        return self


class SyncDirectory(Body):
    """The whole directory as it is now; who or what is missing from it ends. Only higher `snapshot`s are taken."""

    snapshot: Annotated[int, Field(ge=1, le=MAX_INTEGER, strict=True)]
    people: Annotated[tuple[Person, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _everybody_once(self) -> "SyncDirectory":
        if len({person.id.casefold() for person in self.people}) != len(self.people):
            raise ValueError("a person is in the snapshot twice, be it with other capitals")
        return self

    @model_validator(mode="after")
    def _acts_for_somebody_here(self) -> "SyncDirectory":
        here = {None, *(person.id for person in self.people)}
        if any(grant.acts_for not in here for person in self.people for grant in person.grants):
            raise ValueError("a grant is to act for somebody who is not in the snapshot")
        return self


AnyBody = CreateAction | CastVote | ExecuteAction | CancelAction | RemediateAlert | RecommendAction | SyncDirectory

BODIES: dict[str, type[AnyBody]] = {body.__name__: body for body in get_args(AnyBody)}


def action_of(body: AnyBody, issuer: str, jti: str) -> UUID | None:
    """The action that a message of this issuer makes, may lead to, or concerns."""
    match body:
        case CreateAction(idempotency_key=key):
            return action_id(issuer, key, jti)
        case RemediateAlert():
            return action_id(issuer, key_of("alert", body.alert.id), jti)
        case RecommendAction():
            return action_id(issuer, key_of("recommendation", body.id), jti)
        case CastVote() | ExecuteAction() | CancelAction():
            return body.action_id
        case SyncDirectory():
            return None


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose signature was verified: somebody known did send this. `body` may still be a refusal.

    `person` is who signed it with a key of their own; None where a machine or a tool did.
    """

    content_sha256: bytes
    token: str
    issuer: str
    jti: str
    kid: str
    type: str
    audience: str
    issued_at: datetime
    expires_at: datetime
    scope: Scope
    body: AnyBody | Refusal
    person: str | None = None

    @property
    def action_id(self) -> UUID | None:
        """The action that this message makes, may lead to, or concerns."""
        return None if isinstance(self.body, Refusal) else action_of(self.body, self.issuer, self.jti)


def as_if_sent(body: AnyBody, audience: str, now: datetime, scope: Scope, person: str | None = None) -> Message:
    """A message that nobody sent, to judge what would become of one that came just now with a key of this scope."""
    return Message(
        content_sha256=b"",
        token="",
        issuer="",
        jti="",
        kid="",
        type=type(body).__name__,
        audience=audience,
        issued_at=now,
        expires_at=now,
        scope=scope,
        body=body,
        person=person,
    )


@dataclass(frozen=True, slots=True)
class Unopened:
    """Something on the queue that nobody is known to have sent; `excerpt` is its beginning, for whoever looks into it.

    `token` is kept where it may only be early: a well-formed envelope whose key is not known or not valid.
    """

    content_sha256: bytes
    refusal: Refusal
    excerpt: str
    token: str | None = None


class Outcome(StrEnum):
    """What became of a message."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    PARKED = "parked"
    QUARANTINED = "quarantined"
    DEAD = "dead"


UNSETTLED = frozenset({Outcome.QUARANTINED, Outcome.DEAD})
"""Not the last word: the same message is looked at again when it comes again, unless an operator drops it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a message: what became of it, a stable code where it was not applied, and a sentence for people."""

    outcome: Outcome
    sentence: str
    code: Code | None = None
    action_id: UUID | None = None
    content_sha256: bytes = field(default=b"", repr=False)

    @classmethod
    def refused(cls, refusal: Refusal, action_id: UUID | None = None) -> "Receipt":
        """The receipt of a refusal; it names the action that stands in the way, else the one that the message concerns."""
        return cls(Outcome.REFUSED, refusal.sentence, refusal.code, refusal.action_id or action_id)


def parse_body(type_name: str, body: Any) -> AnyBody | Refusal:
    """The body of a message of this type, or why it has not its form; the sentence names fields, never values."""
    model = BODIES.get(type_name)
    if model is None:
        return Refusal(Code.UNKNOWN_TYPE, f"Known are {', '.join(BODIES)}.")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        return Refusal(Code.INVALID_BODY, "; ".join(mistakes.told(error, "body")[:5]))


def content_sha256(data: bytes) -> bytes:
    """The hash under which a token, or a queue entry that holds none, is recorded."""
    return sha256(data).digest()
