"""What is doubtful about what a policy says, by itself and among the others."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from domain import changing, creation, quorum_tree
from domain.definitions import Definitions
from domain.directory import Directory
from domain.internal_types import INTERNAL_TYPES
from domain.lint import matching, people
from domain.lint.doubt import GREAT_RISKS, Found
from domain.policy import Policy
from domain.world import World

_NO_MOMENT = datetime(1, 1, 1, tzinfo=UTC)  # where it does not matter when, as nobody holds anything


def look(policy: Policy, before: Sequence[Policy], definitions: Definitions, world: World | None) -> Iterator[Found]:
    """What is doubtful about a policy; `before` are those that are asked before, `world` has the people, where they are known."""
    for check in (_shutting_out, _nobody, _self_approval, _steps, _easier_steps, _shares_of_one):
        yield from check(policy)
    yield from _auto_execution(policy, definitions)
    yield from _internal(policy, world)
    yield from _order(policy, before)
    if world is not None:
        yield from people.look(policy, world)


def _shutting_out(policy: Policy) -> Iterator[Found]:
    if (mistake := changing.shutting_out(policy)) is not None:
        yield (
            "changes_refused",
            (
                f"{mistake.words} meets another type in every change of definitions, so that all are refused, the removal of "
                "this policy too. Name the action types that it is for."
            ),
        )


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


def _auto_execution(policy: Policy, definitions: Definitions) -> Iterator[Found]:
    risks = sorted(matching.risks(policy, definitions) & GREAT_RISKS)
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


def unknown_types(policy: Policy, definitions: Definitions) -> Iterator[Found]:
    """Action types that it names and nobody has defined."""
    for name in sorted(matching.types(policy) or ()):
        if name not in definitions.action_types_in_force:
            yield (
                "unknown_action_type",
                f"No action type {name} is defined, so none of its actions can come. Correct the name, or define it.",
            )


def _internal(policy: Policy, world: World | None) -> Iterator[Found]:
    names = (matching.types(policy) or frozenset()) & INTERNAL_TYPES.keys()
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


def _order(policy: Policy, before: Sequence[Policy]) -> Iterator[Found]:
    """What policies that are asked before do to this one."""
    criteria = matching.entries(policy)
    for other in before:
        if matching.entries(other) <= criteria:
            yield (
                "never_asked",
                f"{other.name} is asked before and matches whatever this one does. Give this one a higher priority.",
            )
            return
        if other.priority == policy.priority and not matching.apart(policy, other):
            yield (
                "order_by_name",
                (
                    f"{other.name} has the same priority, {policy.priority}, and an action may match both: the name decides. "
                    "Give them different priorities."
                ),
            )
