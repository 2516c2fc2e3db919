"""Choosing the policy that an action falls under."""

from collections.abc import Iterable, Mapping
from typing import Any

from domain.conditions import Finding
from domain.definitions import Definitions, Versioned
from domain.policy import DEFAULT_POLICY, Policy
from domain.refusals import Code, Refusal


def choose(definitions: Definitions, facts: Mapping[str, Any]) -> Versioned[Policy] | Refusal:
    """The policy for an action with these facts (see `domain.policy.FIELDS`).

    The first match in force wins. Where a value of another type than a policy asks for decides whether that policy matches,
    the creation is a refusal, `criteria_type_mismatch`: a weaker one must not win by a mistake.
    """
    for policy in definitions.policies_in_force:
        criteria = policy.definition.parsed_criteria
        answer = criteria.judge(facts)
        if not answer.sure:
            mistake = first_mistake(criteria.explain(facts))
            return Refusal(Code.CRITERIA_TYPE_MISMATCH, f"Policy {policy.definition.name!r} asks for {mistake.words}.")
        if answer.holds:
            return policy
    return Versioned(0, DEFAULT_POLICY)


def first_mistake(findings: Iterable[Finding]) -> Finding:
    """The first single condition that met a value of another type, of findings that are unsure because of one."""
    first = next(finding for finding in findings if finding.type_mismatch)
    return first_mistake(first.within) if first.within else first
