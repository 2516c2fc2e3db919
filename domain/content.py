"""What people vote on: the content of an action that is frozen at its creation, and the hash of it."""

from dataclasses import fields
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

from domain.action import Action
from domain.exact_json import canonical
from domain.requirement import Requirement

_NAMES = [item.name for item in fields(Action)]
FROZEN = tuple(name for name in _NAMES[: _NAMES.index("created_at")] if name != "body_sha256")
"""The fields of an action that its content hash covers: what is asked for and who must agree."""


def content_hash(frozen: dict[str, Any]) -> bytes:
    """The SHA-256 of the frozen content of an action, as JSON in canonical bytes: what people vote on."""
    return sha256(canonical(_as_json(frozen))).digest()


def content_hash_of(action: Action) -> bytes:
    """What the content hash of an action must be, by what its row says now."""
    return content_hash({name: getattr(action, name) for name in FROZEN})


def _as_json(frozen: dict[str, Any]) -> dict[str, Any]:
    """The frozen content of an action as JSON."""

    def plain(value: Any) -> Any:
        match value:
            case Requirement():
                return value.model_dump(mode="json", exclude={"steps_reached"})
            case UUID() | Decimal():
                return str(value)
            case _:
                return value

    return {name: plain(value) for name, value in frozen.items()}


def created(action: Action) -> dict[str, Any]:
    """The data of the created event: enough to tell the whole action again without its row."""
    names = (
        "issuer",
        "idempotency_key",
        "origin",
        "action_type",
        "action_type_version",
        "params",
        "target_tenant_type",
        "target_tenant_id",
        "risk_level",
        "triggered_by",
        "policy_name",
        "policy_version",
        "requirement",
        "timeout_seconds",
        "auto_execute",
        "execute_within_seconds",
        "caused_by",
    )
    return _as_json({name: getattr(action, name) for name in names}) | {"content_hash": action.content_hash.hex()}
