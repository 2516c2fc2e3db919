"""What one call to the other side came to.

A handler returns exactly one of these four. The difference between `Retry` and `Unknown` is the one that matters: after
`Retry` the effect certainly did not happen, after `Unknown` nobody knows.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """The effect happened; `result` is what the other side said about it."""

    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The other side refused for good and the effect did not happen; trying again would not help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The effect certainly did not happen, and a later try may succeed."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call was made and nobody knows whether the effect happened (a timeout, a dropped connection, a 5xx)."""

    reason: str


Outcome = Done | Rejected | Retry | Unknown
