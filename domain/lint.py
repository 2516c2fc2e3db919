"""What is doubtful about policies that are well-formed: each finding with a stable code and a sentence that says what to do."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from domain import creation, quorum, quorum_tree
from domain.conditions import Condition
from domain.definition import Risk
from domain.definitions import Definitions
from domain.directory import Directory
from domain.internal_types import INTERNAL_TYPES
from domain.policy import Policy
from domain.quorum import Choice, CountedVote, Requirement
from domain.world import World


class Severity(StrEnum):
    """How bad it is: an error means that the policy cannot do what it says, a warning that it may not be meant."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something doubtful about a policy; callers may rely on `code`, the sentence is for people."""

    policy: str
    code: str
    severity: Severity
    sentence: str


SEVERITIES: Mapping[str, Severity] = {
    "cannot_be_filled": Severity.ERROR,
    "never_asked": Severity.ERROR,
    "passed_over": Severity.ERROR,
    "too_few_personal_keys": Severity.ERROR,
    "escalates_to_the_same": Severity.WARNING,
    "executes_by_itself": Severity.WARNING,
    "no_approval": Severity.WARNING,
    "order_by_name": Severity.WARNING,
    "percentage_of_one": Severity.WARNING,
    "role_of_nobody": Severity.WARNING,
    "self_approval": Severity.WARNING,
    "unknown_action_type": Severity.WARNING,
    "waiting_makes_it_easier": Severity.WARNING,
    "execution_left_open": Severity.NOTE,
}
"""Every code, and how bad it is."""

Found = tuple[str, str]
"""A code and its sentence."""

_GREAT_RISKS = frozenset({"high", "critical"})
_NO_MOMENT = datetime(1, 1, 1, tzinfo=UTC)  # where it does not matter when, as nobody holds anything


def lint(definitions: Definitions, world: World | None) -> list[Doubt]:
    """What is doubtful about the policies in force, in the order in which they are asked.

    `world` has the people and keys that there are; without it nothing is said about these.
    """
    policies = [item.definition for item in definitions.policies_in_force]
    found = []
    for number, policy in enumerate(policies):
        checks: list[Iterable[Found]] = [look(policy) for look in _ALONE]
        checks += [_auto_execution(policy, definitions), _internal(policy, world), _order(policy, policies[:number])]
        if world is not None:
            checks += [_unknown_types(policy, definitions), *(look(policy, world) for look in _AMONG_PEOPLE)]
        told = [told for check in checks for told in check]
        found += [Doubt(policy.name, code, SEVERITIES[code], sentence) for code, sentence in told]
    return found


def _nobody(policy: Policy) -> Iterator[Found]:
    if policy.policy.tree is None:
        yield (
            "no_approval",
            "Nobody need agree: whatever matches is approved at creation. Ask for somebody, or disable it.",
        )


def _self_approval(policy: Policy) -> Iterator[Found]:
    if policy.policy.allow_self_approval:
        yield (
            "self_approval",
            "Who asks for an action may approve it. Leave allow_self_approval out unless that is meant.",
        )


def _steps(policy: Policy) -> Iterator[Found]:
    rules = policy.policy
    if rules.tree is None:
        return
    asked = {need.people.role for need in quorum_tree.needs(rules.tree)}
    for step in rules.steps(rules.timeout_seconds):
        if step.role in asked:
            yield (
                "escalates_to_the_same",
                f"It escalates to {step.role}, which is asked from the start: nobody is added. Name another role.",
            )


def _easier_steps(policy: Policy) -> Iterator[Found]:
    rules = policy.policy
    if rules.tree is None:
        return
    fewest = quorum_tree.fewest(rules.tree, Directory(), _NO_MOMENT)  # a share of a role is one person at least
    for step in rules.escalation:
        if step.is_easier(fewest):
            yield (
                "waiting_makes_it_easier",
                (
                    f"After waiting, {step.role} decides with {step.min_votes} in all where the quorum asks for {fewest} at least. "
                    "Leave min_votes out unless that is meant."
                ),
            )


def _shares_of_one(policy: Policy) -> Iterator[Found]:
    for pool in _lists(policy.policy.required_quorum):
        if len(pool) == 1:
            yield (
                "percentage_of_one",
                f"A percentage of the one person {pool[0]} is that person. Say so with specific_users, or list the others.",
            )


def _lists(document: Mapping[str, Any]) -> Iterator[list[str]]:
    value = document.get("value", {})
    if isinstance(value.get("pool"), list):
        yield value["pool"]
    for part in value.get("of", ()):
        yield from _lists(part)


_ALONE: tuple[Callable[[Policy], Iterator[Found]], ...] = (
    _nobody,
    _self_approval,
    _steps,
    _easier_steps,
    _shares_of_one,
)


def _auto_execution(policy: Policy, definitions: Definitions) -> Iterator[Found]:
    risks = sorted(_risks(policy, definitions) & _GREAT_RISKS)
    if not risks or policy.policy.auto_execute is False:
        return
    if policy.policy.auto_execute:
        sentence = (
            f"Actions of {' and '.join(risks)} risk execute by themselves once approved. Set auto_execute to false."
        )
        yield "executes_by_itself", sentence
    else:
        sentence = (
            f"Whether actions of {' and '.join(risks)} risk execute by themselves is left to who asks for them. "
            "Set auto_execute to false or true."
        )
        yield "execution_left_open", sentence


def _risks(policy: Policy, definitions: Definitions) -> frozenset[str]:
    """The risk levels of actions that may match: those that the criteria let through, from the types' minimum on."""
    asked = [part for part in policy.parsed_criteria.conditions if isinstance(part, Condition)]
    of_risk = [part for part in asked if part.path == "risk_level"]
    types = definitions.action_types_in_force
    least = [types[name].definition.minimum_risk_level for name in _types(policy) or () if name in types]
    known = least and len(least) == len(_types(policy) or ())
    lowest = min(Risk[name] for name in least) if known else Risk.low
    return frozenset(
        level.name
        for level in Risk
        if level >= lowest and all(part.judge({"risk_level": level.name}).holds for part in of_risk)
    )


def _types(policy: Policy) -> frozenset[str] | None:
    """The action types that the policy is for, by name; None where it does not name them."""
    for part in policy.parsed_criteria.conditions:
        if isinstance(part, Condition) and part.path == "action_type" and part.operator in {"$eq", "$in"}:
            return frozenset(_alternatives(part))
    return None


def _alternatives(part: Condition) -> list[Any]:
    return part.operand if part.operator == "$in" else [part.operand]


def _unknown_types(policy: Policy, definitions: Definitions) -> Iterator[Found]:
    for name in sorted(_types(policy) or ()):
        if name not in definitions.action_types_in_force:
            yield (
                "unknown_action_type",
                f"No action type {name} is defined, so none of its actions can come. Correct the name, or define it.",
            )


def _internal(policy: Policy, world: World | None) -> Iterator[Found]:
    names = (_types(policy) or frozenset()) & INTERNAL_TYPES.keys()
    if world is None and quorum_tree.pool_roles(policy.policy.tree):
        return
    if names and creation.lets_one_alone(world or World(now=_NO_MOMENT, audience=""), policy):
        yield (
            "passed_over",
            (
                f"One person could agree alone, so it never applies to {', '.join(sorted(names))}; two ops_admin must agree "
                "to these. Ask for two people at least."
            ),
        )


def _order(policy: Policy, before: Iterable[Policy]) -> Iterator[Found]:
    """What policies that are asked before do to this one."""
    criteria = _entries(policy)
    for other in before:
        if _entries(other) <= criteria:
            yield (
                "never_asked",
                f"{other.name} is asked before and matches whatever this one does. Give this one a higher priority.",
            )
            return
        if other.priority == policy.priority and not _apart(policy, other):
            yield (
                "order_by_name",
                (
                    f"{other.name} has the same priority, {policy.priority}, and an action may match both: the name decides. "
                    "Give them different priorities."
                ),
            )


def _entries(policy: Policy) -> frozenset[str]:
    """The criteria, entry by entry: who has all the entries of another, and more, matches nothing that the other does not."""
    return frozenset(json.dumps([path, asked], sort_keys=True) for path, asked in policy.criteria.items())


def _apart(policy: Policy, other: Policy) -> bool:
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


def _lacks(policy: Policy, world: World, people: frozenset[str] | None) -> tuple[str, ...]:
    """What the policy's quorum lacks if all of these people approve; all that there are, if None."""
    rules, directory = policy.policy, world.directory
    requirement = Requirement(tree=rules.tree, required_ratio=rules.required_ratio)
    votes = [
        CountedVote(person, Choice.APPROVE, roles)
        for person, roles in requirement.electorate(directory, world.now).others(())
        if people is None or person in people
    ]
    return quorum.decide(requirement, votes, directory, world.now).missing


def _enough_people(policy: Policy, world: World) -> Iterator[Found]:
    own = frozenset(key.person for key in world.keys.values() if key.person and key.valid_at(world.now))
    if missing := _lacks(policy, world, None):
        yield (
            "cannot_be_filled",
            f"Even if everybody approved it would lack {' and '.join(missing)}. Ask for fewer, or have people given the roles.",
        )
    elif policy.policy.require_personal_key and (missing := _lacks(policy, world, own)):
        yield (
            "too_few_personal_keys",
            (
                f"Votes need the voter's own key, and of people with one it lacks {' and '.join(missing)}. "
                "Enrol keys with `ops-approval keys enrol`."
            ),
        )


def _roles_of_nobody(policy: Policy, world: World) -> Iterator[Found]:
    rules = policy.policy
    roles = {step.role: "It escalates to" for step in rules.steps(rules.timeout_seconds)}
    roles |= dict.fromkeys(rules.veto_roles, "A veto is given to")
    for role, said in roles.items():
        if not world.directory.holders(role, world.now):
            yield (
                "role_of_nobody",
                f"{said} {role}, a role that nobody holds now. Correct the name, or have people given it.",
            )


_AMONG_PEOPLE: tuple[Callable[[Policy, World], Iterator[Found]], ...] = (_enough_people, _roles_of_nobody)
