"""Action types that the engine carries out itself, on another action, their subject.

They are asked for, voted on and executed like all others. Nobody defined them, so their version is 0; and nobody can
define another of their name.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.action_type import ActionType, Guarantee, Target
from domain.lifecycle import Status

_ACTION = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 4000}


class Internal(StrEnum):
    """What the engine can be asked to do with an action."""

    RETRY = "RETRY"
    RESOLVE_OUTCOME = "RESOLVE_OUTCOME"
    ROLL_BACK = "ROLL_BACK"


SUBJECT_STATUS = {
    Internal.RETRY: Status.FAILED,
    Internal.RESOLVE_OUTCOME: Status.OUTCOME_UNKNOWN,
    Internal.ROLL_BACK: Status.EXECUTED,
}
"""The state in which a subject must be, when it is asked for and when it is done."""


def _action_type(name: Internal, **params: dict[str, Any]) -> ActionType:
    required = ["action_id", "reason", *(["outcome"] if "outcome" in params else [])]
    properties = {"action_id": _ACTION, "reason": _TEXT} | params
    schema = {"required": required, "properties": properties, "additionalProperties": False}
    return ActionType(
        name=name,
        minimum_risk_level="high",
        target=Target(tenant_type="action", param="action_id"),
        params_schema=schema,
        service="ops-approval",
        path="/",
        guarantee=Guarantee.DEDUPLICATES,  # a step that was cut off has done nothing
    )


INTERNAL_TYPES: Mapping[str, ActionType] = {
    Internal.RETRY: _action_type(Internal.RETRY),
    Internal.RESOLVE_OUTCOME: _action_type(
        Internal.RESOLVE_OUTCOME,
        outcome={"enum": ["executed", "approved", "failed"]},
        result={"type": "object"},
    ),
    Internal.ROLL_BACK: _action_type(Internal.ROLL_BACK),
}


def subject_of(action_type: str, params: Mapping[str, Any]) -> UUID | None:
    """The action that an internal action is about; None of any other, and of params that name none."""
    named = params.get("action_id")
    if action_type not in INTERNAL_TYPES or not isinstance(named, str):
        return None
    try:
        return UUID(named)
    except ValueError:
        return None
