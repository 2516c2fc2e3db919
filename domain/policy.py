"""Policies: which one an action falls under, and what it asks for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from domain import criteria as matching
from domain import quorum_tree
from domain.break_glass import BreakGlass
from domain.conditions import Condition
from domain.definition import DAY_SECONDS, Definition, Origin, RiskName, Seconds, no_boolean
from domain.operators import ORDERINGS
from domain.quorum_tree import RoleName, Tree
from domain.requirement import EscalationStep, VetoRoles

FIELDS = frozenset(
    {"action_type", "origin", "risk_level", "target_tenant_type", "target_tenant_id", "created_by", "params"}
)
"""The fields of an action that criteria may look at; `params` with any path below it."""


_NAMES: Mapping[str, tuple[str, ...]] = {"origin": get_args(Origin), "risk_level": get_args(RiskName)}
"""Fields that have one of these values; whoever asks for another has misspelt one, and a weaker policy would win by that."""


MOST_STEPS = 8
"""How many escalation steps a policy may have."""

Ratio = Annotated[Decimal, Field(ge=Decimal("0.5"), le=1, decimal_places=20), BeforeValidator(no_boolean)]
"""An approval ratio, from one half to one; with no more places than its product with a number of people has exactly."""


class Rules(BaseModel):
    """What a policy asks for: the `policy` object of the spec, with its defaults.

    `auto_execute` None means the policy is silent and the message's own wish counts. `execute_within_seconds` is how long
    an approval is good for when nobody asks for the execution. `escalation` is a chain of steps, one after the other;
    `escalation_role` is the spec's chain of one step, which lasts as long as the action's own deadline. Who holds one of
    `veto_roles` rejects alone. `allow_self_approval` lets who created or triggered an action vote on it like others; its
    target never does. By `break_glass` one person approves alone, which others ratify afterwards.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    required_quorum: dict[str, Any]
    required_ratio: Ratio = Decimal("0.60")
    timeout_seconds: Seconds = DAY_SECONDS
    escalation_role: RoleName | None = None
    escalation: Annotated[tuple[EscalationStep, ...], Field(max_length=MOST_STEPS)] = ()
    require_content_hash: Annotated[bool, Field(strict=True)] = False
    require_personal_key: Annotated[bool, Field(strict=True)] = False
    veto_roles: VetoRoles = ()
    allow_self_approval: Annotated[bool, Field(strict=True)] = False
    break_glass: BreakGlass | None = None
    auto_execute: Annotated[bool, Field(strict=True)] | None = None
    execute_within_seconds: Seconds = DAY_SECONDS

    @field_validator("required_quorum")
    @classmethod
    def _quorum_is_understood(cls, value: dict[str, Any]) -> dict[str, Any]:
        quorum_tree.parse(value)
        return value

    @model_validator(mode="after")
    def _one_way_to_escalate(self) -> Self:
        if self.escalation_role is not None and self.escalation:
            raise ValueError("escalation_role is a chain of one step: give that or escalation, not both")
        return self

    @model_validator(mode="after")
    def _nobody_breaks_glass_for_themselves(self) -> Self:
        if self.break_glass is not None and self.allow_self_approval:
            raise ValueError(
                "break_glass and allow_self_approval do not go together: nobody approves their own wish alone"
            )
        return self

    @cached_property
    def tree(self) -> Tree | None:
        """The quorum tree; None where the policy says that nobody need approve."""
        return quorum_tree.parse(self.required_quorum)

    def terms(
        self, required_quorum: dict[str, Any] | None, required_ratio: Decimal | None, timeout_seconds: int | None
    ) -> "Terms":
        """What an action must meet: these rules, made stricter by a producer's wishes where it has any.

        Both quorums, the higher ratio, the shorter time. The steps of `escalation` keep their times.
        """
        wished = None if required_quorum is None else quorum_tree.parse(required_quorum)
        timeout_seconds = min(self.timeout_seconds, timeout_seconds or self.timeout_seconds)
        return Terms(
            tree=quorum_tree.both(self.tree, wished),
            required_quorum=_both_documents(self, wished, required_quorum),
            required_ratio=max(self.required_ratio, required_ratio or self.required_ratio),
            timeout_seconds=timeout_seconds,
            escalation=self.steps(timeout_seconds),
            brought_forward=timeout_seconds < self.timeout_seconds,
        )

    def steps(self, timeout_seconds: int) -> tuple[EscalationStep, ...]:
        """The escalation steps of an action that has this deadline of its own."""
        if self.escalation_role is None:
            return self.escalation
        return (EscalationStep(role=self.escalation_role, timeout_seconds=timeout_seconds),)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the approval of one action takes; `required_quorum` says of `tree` what the spec's notation says.

    `brought_forward` says that the producer asked for a shorter time than the policy gives, so that escalation begins
    earlier.
    """

    tree: Tree | None
    required_quorum: dict[str, Any]
    required_ratio: Decimal
    timeout_seconds: int
    escalation: tuple[EscalationStep, ...]
    brought_forward: bool


def _both_documents(rules: Rules, wished: Tree | None, document: dict[str, Any] | None) -> dict[str, Any]:
    if wished is None or document is None:
        return rules.required_quorum
    if rules.tree is None:
        return document
    return {"type": "all_of", "value": {"of": [rules.required_quorum, document]}}


class Policy(Definition):
    """For which actions (`criteria`) who must agree (`policy`); the highest `priority` wins, ties by name."""

    description: str = ""
    criteria: dict[str, Any]
    policy: Rules
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000, strict=True)] = 100
    enabled: Annotated[bool, Field(strict=True)] = True
    created_by: str | None = None
    updated_by: str | None = None

    @model_validator(mode="after")
    def _criteria_are_understood(self) -> Self:
        for condition in self.parsed_criteria.single_conditions():
            root, _, below = condition.path.partition(".")
            if root not in FIELDS or (below and root != "params"):
                raise ValueError(
                    f"criteria: an action has no field {condition.path!r}; it has {', '.join(sorted(FIELDS))}"
                )
            if root == "risk_level" and condition.operator in ORDERINGS:
                raise ValueError("criteria: risk levels are names and have no order here; list them with $in")
            if root != "params" and not condition.judge({root: "text"}).sure:
                raise ValueError(f"criteria: {condition.path} is text, but {condition.words} asks for something else")
            if unknown := _misspelt(condition):
                raise ValueError(
                    f"criteria: {json.dumps(unknown[0])} is no {root}; there are {', '.join(_NAMES[root])}"
                )
        return self

    @cached_property
    def parsed_criteria(self) -> matching.Criteria:
        """The criteria, understood."""
        return matching.parse(self.criteria)


def _misspelt(condition: Condition) -> list[Any]:
    """What a condition compares its field with and the field never is."""
    if condition.path not in _NAMES or condition.operator not in {"$eq", "$ne", "$in", "$nin"}:
        return []
    values = condition.operand if condition.operator in {"$in", "$nin"} else [condition.operand]
    return [value for value in values if value not in _NAMES[condition.path]]


DEFAULT_POLICY = Policy.model_validate(
    {
        "name": "Default",
        "description": "Two ops_admin, wherever no other policy matches.",
        "criteria": {},
        "policy": {
            "required_quorum": {"type": "role", "value": {"role": "ops_admin", "min_votes": 2}},
            "auto_execute": False,
        },
    }
)
"""In force when nothing matches; its version is 0 because nobody defined it."""


def effective_auto_execute(policy: bool | None, message: bool | None) -> bool:
    """Whether an approved action executes by itself: false forbids, on either side; who is silent follows the other."""
    if policy is None:
        return bool(message)
    return policy and message is not False
