"""For which actions a policy is, as far as its criteria say so by themselves."""

import json
from collections.abc import Mapping
from typing import Any

from domain.conditions import Combination, Condition, Part
from domain.definition import Risk
from domain.definitions import Definitions
from domain.policy import Policy
from domain.truth import UNSURE, Truth, all_of


def risks(policy: Policy, definitions: Definitions) -> frozenset[str]:
    """The risk levels of actions that may match: those that the criteria let through, from the types' minimum on."""
    asked = [part for part in policy.parsed_criteria.conditions if isinstance(part, Condition)]
    of_risk = [part for part in asked if part.path == "risk_level"]
    known, named = definitions.action_types_in_force, types(policy)
    least = [Risk[known[name].definition.minimum_risk_level] for name in named or () if name in known]
    lowest = min(least) if named and len(least) == len(named) else Risk.low
    return frozenset(
        level.name
        for level in Risk
        if level >= lowest and all(part.judge({"risk_level": level.name}).holds for part in of_risk)
    )


def types(policy: Policy) -> frozenset[str] | None:
    """The action types that the policy is for, by name; None where it does not name them."""
    for part in policy.parsed_criteria.conditions:
        if isinstance(part, Condition) and part.path == "action_type" and part.operator in {"$eq", "$in"}:
            return frozenset(_alternatives(part))
    return None


def _alternatives(part: Condition) -> list[Any]:
    return part.operand if part.operator == "$in" else [part.operand]


def matches(policy: Policy, facts: Mapping[str, Any]) -> bool | None:
    """Whether a policy matches what is known of an action; None where that depends on what is not."""
    answer = all_of(_judge(part, facts) for part in policy.parsed_criteria.conditions)
    return answer.holds if answer.sure else None


def _judge(part: Part, facts: Mapping[str, Any]) -> Truth:
    """Whether a condition holds: unsure where it looks at what is not known, as params that are not there."""
    if isinstance(part, Combination):
        return part.combine(_judge(inner, facts) for inner in part.parts)
    root, *below = part.path.split(".")
    known = below[:1] and below[0] in facts["params"] if root == "params" else root in facts
    return part.judge(facts) if known else UNSURE


def entries(policy: Policy) -> frozenset[str]:
    """The criteria, entry by entry: who has all the entries of another, and more, matches nothing that the other does not."""
    return frozenset(json.dumps([path, asked], sort_keys=True) for path, asked in policy.criteria.items())


def apart(policy: Policy, other: Policy) -> bool:
    """Whether no action matches both, as they name different values of one field."""
    one, two = _named(policy), _named(other)
    return any(not (one[path] & two[path]) for path in one.keys() & two.keys())


def _named(policy: Policy) -> dict[str, frozenset[str]]:
    """The values that fields must have one of, by path: of fields that are not lists, and so have one value."""
    return {
        part.path: frozenset(map(str, _alternatives(part)))
        for part in policy.parsed_criteria.conditions
        if isinstance(part, Condition) and part.operator in {"$eq", "$in"} and not part.path.startswith("params")
    }
