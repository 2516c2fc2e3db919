"""Action types: how risky an operation is, whom it concerns, what it takes, and what its service guarantees."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.definition import DAY_SECONDS, Definition, RiskName, Seconds
from domain.exact_json import canonical
from domain.params import ParamsSchema
from domain.quorum_tree import Name

LONGEST_KEY_BYTES = 1000
"""How long an exclusive key can be: what an index of the database holds with ease."""

LEASE_MARGIN_SECONDS = 10
"""How long after the deadline of a call it is still believed to be on its way: time to write down what it came to."""


class Guarantee(StrEnum):
    """What the other side does for us when nobody knows what became of a call."""

    DEDUPLICATES = "deduplicates"
    """It does the effect of one idempotency key once, so the call is repeated with the same key."""
    QUERYABLE = "queryable"
    """It can be asked whether the effect of a key happened, and is asked before anything is repeated."""
    NEITHER = "neither"
    """Nothing is repeated; people find out."""


class Target(BaseModel):
    """Where an action type's target comes from: the kind of tenant, and the param that holds its id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_type: Name
    param: Name


class Inverse(BaseModel):
    """What undoes an operation: another action type, with these of the operation's params and these of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action_type: Name
    copies: tuple[Name, ...] = ()
    params: dict[str, Any] = {}

    def params_for(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The params of what undoes an operation that had these."""
        return {name: params[name] for name in self.copies if name in params} | self.params


Path = Annotated[str, Field(pattern=r"^/[A-Za-z0-9/_.-]*$")]


class ActionType(Definition):
    """An operation that can be asked for, and the service that makes it happen.

    `params_schema` is a JSON Schema that the params must meet (see `domain.params`); without one any params do. The address
    of `service` is configured where the worker runs, so that one definition serves every installation; `path` is where it
    is called, `query_path` where it is asked what became of a call. Who is not called by HTTP has a `handler` instead, code
    that is installed where the worker runs. `timeout_seconds` is the deadline of a call.

    What certainly did not happen is tried again: at most `max_attempts` calls, within `retry_within_seconds` of the first,
    with a pause of about `retry_base_seconds` × 2ⁿ⁻¹ before the nth retry, at most an hour. A service that deduplicates
    remembers keys for `remembers_keys_seconds`, and no call may come later than that. `inverse` is what rolls it back.

    With `exclusive_params`, one action at a time is open for the same values of these; without, as many as come.
    """

    minimum_risk_level: RiskName = "medium"
    target: Target | None = None
    params_schema: dict[str, Any] | None = None
    service: Name | None = None
    path: Path | None = None
    handler: Name | None = None
    query_path: Path | None = None
    guarantee: Guarantee = Guarantee.NEITHER
    timeout_seconds: Annotated[int, Field(gt=0, le=300, strict=True)] = 10
    max_attempts: Annotated[int, Field(ge=1, le=50, strict=True)] = 12
    retry_base_seconds: Annotated[int, Field(gt=0, le=3600, strict=True)] = 2
    retry_within_seconds: Seconds = 2 * 3600
    remembers_keys_seconds: Seconds = DAY_SECONDS
    inverse: Inverse | None = None
    exclusive_params: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self.schema_of_params  # noqa: B018 - raises ValueError
        if (self.service is None) != (self.path is None) or (self.service is None) == (self.handler is None):
            raise ValueError("an action type has either a service and the path that is called there, or a handler")
        asked_at = self.query_path is not None
        if asked_at != (self.guarantee is Guarantee.QUERYABLE and self.handler is None):
            raise ValueError("query_path goes with guarantee queryable of a service, and with no other")
        last_call_ends = self.retry_within_seconds + self.timeout_seconds + LEASE_MARGIN_SECONDS
        if self.guarantee is Guarantee.DEDUPLICATES and last_call_ends >= self.remembers_keys_seconds:
            raise ValueError(
                "retry_within_seconds must end before the service forgets its keys (remembers_keys_seconds)"
            )
        return self

    @cached_property
    def schema_of_params(self) -> ParamsSchema | None:
        """The schema of params, understood; None where there is none."""
        return None if self.params_schema is None else ParamsSchema(self.params_schema)

    def problems_of(self, params: dict[str, Any]) -> list[str]:
        """What is wrong with the params of an action, each with its path and never with a value."""
        found = [] if self.schema_of_params is None else self.schema_of_params.problems(params)
        return found + self._problems_of_key(params)

    def exclusive_key(self, params: Mapping[str, Any]) -> str | None:
        """What one action at a time may be open for, as canonical JSON of the type's name and the values of its params.

        None where the type is not exclusive; and where the params are none that it takes (see `problems_of`).
        """
        if not self.exclusive_params or self._problems_of_key(params):
            return None
        return self._key(params)

    def _problems_of_key(self, params: Mapping[str, Any]) -> list[str]:
        """Nothing is exclusive by what is not there, or not plain: then it would not be, unseen."""
        unclear = [name for name in self.exclusive_params if not isinstance(params.get(name), str | int | float)]
        if unclear:
            return [
                f"params.{name}: needed, as text or a number: one action at a time is open for it" for name in unclear
            ]
        if self.exclusive_params and len(self._key(params).encode()) > LONGEST_KEY_BYTES:
            names = ", ".join(f"params.{name}" for name in self.exclusive_params)
            return [f"{names}: too long; with the type's name at most {LONGEST_KEY_BYTES} bytes of JSON"]
        return []

    def _key(self, params: Mapping[str, Any]) -> str:
        return canonical([self.name, {name: params[name] for name in self.exclusive_params}]).decode()
