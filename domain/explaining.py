"""Why an action falls under a policy and under no other: creation answers, and each policy says what it found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain import choosing, creation, messages, policy
from domain.action import Action
from domain.conditions import Finding, first_unmet
from domain.definitions import Versioned
from domain.facts import facts_of
from domain.internal_types import CHANGES
from domain.keys import Scope
from domain.messages import CreateAction
from domain.policy import Policy
from domain.refusals import Refusal
from domain.subject import with_attempt
from domain.world import World

_ANY_KEY = Scope(
    types=(CreateAction.__name__,), origins=("*",), action_types=("*", *sorted(CHANGES)), roles=("*",)
)  # that of the sender is not known


class State(StrEnum):
    """What a policy says to an action."""

    APPLIES = "applies"
    UNMET = "unmet"
    """A criterion surely does not hold."""
    TYPE_MISMATCH = "type_mismatch"
    """A value has another type than a criterion asks for, and it depends on it whether they hold."""
    DISABLED = "disabled"
    ALSO_MATCHES = "also_matches"
    """Its criteria hold, and one that is asked before applies."""
    PASSED_OVER = "passed_over"
    """Its criteria hold, and one person could agree alone to what the engine carries out itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one policy says; `because` is the first criterion that is the reason, where one is."""

    policy: Versioned[Policy]
    state: State
    because: Finding | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a CreateAction that came now, with a key that may ask for anything.

    `facts` is what criteria look at, None where the action was refused before. `verdicts` are of every policy, in the
    order in which they are asked; the default is the last.
    """

    answer: Action | Refusal
    facts: Mapping[str, Any] | None
    verdicts: tuple[Verdict, ...]


def explain(world: World, body: CreateAction) -> Explanation:
    """Create the action in this world, which is not saved, and tell what every policy says to it."""
    message = messages.as_if_sent(body, world.audience, world.now, _ANY_KEY)
    receipt = creation.create(world, message, body)
    action_type = world.definitions.action_types_in_force.get(body.action_type)
    asked = with_attempt(world, body)
    asked = body if isinstance(asked, Refusal) else asked
    facts = facts_of(action_type.definition, asked) if action_type is not None else None
    if isinstance(facts, Refusal):
        facts = None
    if isinstance(receipt, Refusal):
        chosen = choosing.choose(world.definitions, facts or {})
        name = None if isinstance(chosen, Refusal) else (chosen.definition.name, chosen.version)
        return Explanation(receipt, facts, () if facts is None else tuple(_verdicts(world, facts, name)))
    assert receipt.action_id is not None  # noqa: S101 - what is applied made one
    action = world.actions[receipt.action_id]
    name = (action.policy_name, action.policy_version)
    return Explanation(action, facts, tuple(_verdicts(world, facts or {}, name)))


def _verdicts(world: World, facts: Mapping[str, Any], chosen: tuple[str, int] | None) -> Iterator[Verdict]:
    """The policy that was chosen applies; of every other its criteria say why not. None is chosen where a type is wrong."""
    applied = chosen is None
    for asked in (*world.definitions.policies_in_order, Versioned(0, policy.DEFAULT_POLICY)):
        if (asked.definition.name, asked.version) == chosen:
            applied = True
            yield Verdict(asked, State.APPLIES)
        else:
            yield _verdict(asked, facts, after=applied)


def _verdict(asked: Versioned[Policy], facts: Mapping[str, Any], *, after: bool) -> Verdict:
    criteria = asked.definition.parsed_criteria
    answer, findings = criteria.judge(facts), criteria.explain(facts)
    if not asked.definition.enabled:
        return Verdict(asked, State.DISABLED)
    if not answer.sure:
        return Verdict(asked, State.TYPE_MISMATCH, choosing.first_mistake(findings))
    if not answer.holds:
        return Verdict(asked, State.UNMET, first_unmet(findings))
    return Verdict(asked, State.ALSO_MATCHES if after else State.PASSED_OVER)
