"""Action types that the engine carries out itself: on another action, their subject, or on definitions and keys.

They are asked for, voted on and executed like all others. Nobody defined them, so their version is 0; and nobody can
define another of their name.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, get_args
from uuid import UUID

from domain.action_type import ActionType, Guarantee, Target
from domain.definition import Kind, RiskName
from domain.lifecycle import Status

ATTEMPT = "attempt"
"""The param by which an internal action says which attempt at its subject it is about, the last when it was asked for."""

_ACTION = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_ATTEMPT = {"type": "integer", "minimum": 1}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 4000}
_PUBLIC_KEY = {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 200}


class Internal(StrEnum):
    """What the engine can be asked to do."""

    RETRY = "RETRY"
    RESOLVE_OUTCOME = "RESOLVE_OUTCOME"
    ROLL_BACK = "ROLL_BACK"
    CHANGE_DEFINITION = "CHANGE_DEFINITION"
    REGISTER_KEY = "REGISTER_KEY"
    ENROL_KEY = "ENROL_KEY"
    RATIFY = "RATIFY"


SUBJECT_STATUS = {
    Internal.RETRY: Status.FAILED,
    Internal.RESOLVE_OUTCOME: Status.OUTCOME_UNKNOWN,
    Internal.ROLL_BACK: Status.EXECUTED,
}
"""The state in which a subject must be, when it is asked for and when it is done."""

KEY_TYPES = frozenset({Internal.REGISTER_KEY, Internal.ENROL_KEY})
"""What makes a key count: an issuer's, or a person's own."""

CHANGES = frozenset({Internal.CHANGE_DEFINITION}) | KEY_TYPES
"""What changes the rules for everybody: asked for with a key that names it."""


def _action_type(name: Internal, risk: RiskName, target: Target, params: dict[str, Any], *optional: str) -> ActionType:
    properties = params | {"reason": _TEXT}
    required = [param for param in properties if param not in optional]
    return ActionType(
        name=name,
        minimum_risk_level=risk,
        target=target,
        params_schema={"required": required, "properties": properties, "additionalProperties": False},
        service="ops-approval",
        path="/",
        guarantee=Guarantee.DEDUPLICATES,  # a step that was cut off has done nothing
    )


def _about_an_action(name: Internal, *optional: str, **params: dict[str, Any]) -> ActionType:
    return _action_type(
        name, "high", Target(tenant_type="action", param="action_id"), {"action_id": _ACTION} | params, *optional
    )


def _about_an_attempt(name: Internal, *optional: str, **params: dict[str, Any]) -> ActionType:
    return _about_an_action(name, ATTEMPT, *optional, attempt=_ATTEMPT, **params)


INTERNAL_TYPES: Mapping[str, ActionType] = {
    Internal.RETRY: _about_an_attempt(Internal.RETRY),
    Internal.RESOLVE_OUTCOME: _about_an_attempt(
        Internal.RESOLVE_OUTCOME,
        "result",
        outcome={"enum": ["executed", "approved", "failed"]},
        result={"type": "object"},
    ),
    Internal.ROLL_BACK: _about_an_attempt(Internal.ROLL_BACK),
    Internal.RATIFY: _about_an_action(Internal.RATIFY),
    Internal.CHANGE_DEFINITION: _action_type(
        Internal.CHANGE_DEFINITION,
        "critical",
        Target(tenant_type="definition", param="name"),
        {
            "kind": {"enum": list(get_args(Kind))},
            "name": _NAME,
            "replaces": {"type": "integer", "minimum": 0},
            "definition": {"type": ["object", "null"]},
        },
    ),
    Internal.REGISTER_KEY: _action_type(
        Internal.REGISTER_KEY,
        "critical",
        Target(tenant_type="issuer", param="issuer"),
        {"kid": _NAME, "issuer": _NAME, "public_key": _PUBLIC_KEY, "scope": {"type": "object"}},
    ),
    Internal.ENROL_KEY: _action_type(
        Internal.ENROL_KEY,
        "critical",
        Target(tenant_type="person", param="person_id"),
        {"kid": _NAME, "person_id": _NAME, "public_key": _PUBLIC_KEY},
    ),
}


def subject_of(action_type: str, params: Mapping[str, Any]) -> UUID | None:
    """The action that an internal action is about; None of any other, and of params that name none."""
    named = params.get("action_id")
    if action_type not in SUBJECT_STATUS or not isinstance(named, str):
        return None
    try:
        return UUID(named)
    except ValueError:
        return None
