"""What the bodies of messages are made of."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def _only_iso(value: Any) -> Any:
    if not isinstance(value, datetime) and not (isinstance(value, str) and _ISO.match(value)):
        raise ValueError("expected a time such as 2025-11-12T10:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("no moment of the calendar in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_only_iso), AfterValidator(_in_utc)]
"""A point in time, written as RFC 3339 does, kept in UTC."""
Text = Annotated[str, Field(max_length=4000, strict=True)]
Key = Annotated[str, Field(min_length=1, max_length=300, strict=True)]


class Body(BaseModel):
    """What a message says; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
