"""Remediation rules: what is done about the alerts of a type, how sure SIRA must be, and who must agree."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, field_validator

from domain.definition import DAY_SECONDS, Definition, no_boolean
from domain.exact_json import canonical
from domain.internal_types import INTERNAL_TYPES
from domain.proposal import MANUAL_REVIEW
from domain.quorum_tree import Name, RoleName

Threshold = Annotated[Decimal, Field(ge=0, le=1), BeforeValidator(no_boolean)]
"""How sure a recommendation must be to be followed: exact, from 0 (always) to 1."""


class AutoAction(BaseModel):
    """The action that answers an alert. Its `params` go before those that SIRA recommends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action_type: Name
    params: dict[str, JsonValue] = {}

    @field_validator("params")
    @classmethod
    def _can_be_hashed(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        canonical(value)
        return value

    @field_validator("action_type")
    @classmethod
    def _is_asked_for_by_alerts(cls, value: str) -> str:
        if value in INTERNAL_TYPES:
            raise ValueError(f"{value} is the engine's own action type; no alert asks for it")
        if value == MANUAL_REVIEW:
            raise ValueError(f"{value} stands in for SIRA where it says nothing; give the action type another name")
        return value


class RemediationRule(Definition):
    """What answers alerts of the type that is its `name`: `auto_action`, where SIRA recommends that and is sure enough.

    After an alert of the type led to an action, others lead to none for `cooldown_seconds`, whomever they concern. With
    `require_multi_sig` the action also needs `required_approvals` people of `approver_role`, beside those whom its policy
    asks for, and is not executed by itself. `notify_channels` is kept with the decision, for whoever tells people.
    """

    enabled: Annotated[bool, Field(strict=True)] = True
    auto_action: AutoAction
    auto_threshold: Threshold = Decimal("0.90")
    cooldown_seconds: Annotated[int, Field(ge=0, le=366 * DAY_SECONDS, strict=True)] = 600
    require_multi_sig: Annotated[bool, Field(strict=True)] = False
    required_approvals: Annotated[int, Field(ge=1, le=100, strict=True)] = 2
    approver_role: RoleName = "ops_admin"
    notify_channels: Annotated[tuple[Name, ...], Field(max_length=20)] = ()

    @property
    def wished_quorum(self) -> dict[str, Any] | None:
        """Who must agree beside those whom the policy asks for, in the spec's notation."""
        if not self.require_multi_sig:
            return None
        return {"type": "role", "value": {"role": self.approver_role, "min_votes": self.required_approvals}}
