"""What every definition has in common, and the words that several of them use."""

from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.quorum_tree import Name

DAY_SECONDS = 86_400

Kind = Literal["policy", "action_type", "remediation_rule"]
"""What people can define; under one name there is one of each kind."""

Seconds = Annotated[int, Field(gt=0, le=366 * DAY_SECONDS, strict=True)]
"""A time that people or other systems may be given: more than none, at most a year."""


class Definition(BaseModel):
    """A version of something that people define; frozen, and refused when it has a field that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name


class Risk(IntEnum):
    """Risk levels in their order; a message can raise its action type's level and never lower it."""

    low = 0
    medium = 1
    high = 2
    critical = 3


Origin = Literal["sira", "system", "ops_ui", "module", "alert"]
"""Where an action was asked for."""

RiskName = Literal["low", "medium", "high", "critical"]


def no_boolean(value: Any) -> Any:
    """Refuse true and false where a number is asked for: pydantic would take them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic reads ValueError
    return value
