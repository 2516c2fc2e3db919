"""Rows of the database as the objects of `domain.world`, and back."""

import base64
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from db.keys import read_scope
from domain.action import Action, Attempt, AttemptState, Vote
from domain.directory import Grant
from domain.exact_json import parse_json
from domain.lifecycle import Status
from domain.messages import Message, Outcome, parse_body
from domain.proposal import Proposal
from domain.quorum import Choice
from domain.refusals import Code, Refusal
from domain.requirement import Requirement
from domain.trail import Event, EventName
from domain.world import Record

Row = Mapping[str, Any]


def _pick(row: Row, model: type[Any], **converted: Any) -> dict[str, Any]:
    """The columns that a dataclass has as fields, some of them converted."""
    return {name.name: row[name.name] for name in fields(model)} | converted


def action(row: Row) -> Action:
    """A row of actions."""
    requirement = Requirement.model_validate(row["requirement"])
    return Action(**_pick(row, Action, requirement=requirement, status=Status(row["status"])))


def vote(row: Row) -> Vote:
    """A row of votes."""
    return Vote(**_pick(row, Vote, choice=Choice(row["choice"]), roles=tuple(row["roles"])))


def attempt(row: Row) -> Attempt:
    """A row of attempts."""
    return Attempt(**_pick(row, Attempt, state=AttemptState(row["state"])))


def proposal(row: Row) -> Proposal:
    """A row of proposals."""
    return Proposal(**_pick(row, Proposal, decisions=tuple(row["decisions"])))


def grant(row: Row) -> Grant:
    """A row of grants."""
    return Grant(row["person_id"], row["role"], row["starts_at"], row["ends_at"], row["acts_for"])


def event(row: Row) -> Event:
    """A row of events."""
    return Event(**_pick(row, Event, event=EventName(row["event"])))


def record(row: Row) -> Record:
    """A row of messages."""
    code = Code(row["code"]) if row["code"] else None
    return Record(**_pick(row, Record, outcome=Outcome(row["outcome"]), code=code))


def parked_message(parked: Record, scope: Any, person: str | None, revoked_at: datetime | None) -> Message:
    """A parked message again, from its envelope, with its key's scope as it is now; `person` is whose own key it is.

    Its signature was verified when it came. That its key was revoked since, or that this release cannot read it any
    more, makes its body a refusal.
    """
    token, expires_at, issued_at = parked.token or "", parked.expires_at, parked.issued_at
    assert parked.issuer and parked.jti and parked.kid and parked.type and expires_at and issued_at  # noqa: S101, PT018
    try:
        payload = parse_json(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        body, audience = parse_body(parked.type, payload["body"]), payload["aud"]
    except (ValueError, LookupError, TypeError):
        body, audience = Refusal(Code.INVALID_BODY), ""
    return Message(
        content_sha256=parked.content_sha256,
        token=token,
        issuer=parked.issuer,
        jti=parked.jti,
        kid=parked.kid,
        type=parked.type,
        audience=audience,
        issued_at=issued_at,
        expires_at=expires_at,
        scope=read_scope(scope),
        body=body if revoked_at is None else Refusal(Code.KEY_NOT_VALID),
        person=person,
    )


def as_row(item: Any) -> dict[str, Any]:
    """A dataclass as the JSON that `jsonb_populate_recordset` turns into a row of its table."""
    return {name.name: _as_json(getattr(item, name.name)) for name in fields(item)}


def action_row(item: Action) -> dict[str, Any]:
    """An action as the JSON of its row, with whose say is asked for, by which lists find it."""
    asks = item.live_requirement
    return as_row(item) | {"roles_asked": sorted(asks.roles_asked), "people_asked": sorted(asks.people_asked)}


def _as_json(value: Any) -> Any:
    match value:
        case bytes():
            return f"\\x{value.hex()}"
        case datetime():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
        case BaseModel():
            return value.model_dump(mode="json")
        case _:
            return value
