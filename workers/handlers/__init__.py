"""Handlers make an approved action happen at the other side.

A handler is anything with `call(Call) -> Outcome`. It never raises for what the other side does: every failure is one
of the four outcomes of `domain.outcome`. It runs outside every database transaction.
"""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt to execute an action.

    `idempotency_key` is the same in every attempt of an action, so that a service that deduplicates does the effect
    once. `token` rises with every attempt, so that a service can refuse an attempt that was overtaken.
    """

    action_id: UUID
    action_type: str
    params: dict[str, Any]
    idempotency_key: str
    token: int
    timeout_seconds: float


class Handler(Protocol):
    """Makes one call to the other side and says what it came to."""

    def call(self, call: Call) -> Outcome: ...
