"""What is doubtful about breaking glass: who could, how often and for how long, and whether others could ratify it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from uuid import UUID

from domain import creation, duration, quorum_tree, ratifying
from domain.break_glass import BreakGlass
from domain.conditions import Condition
from domain.definition import DAY_SECONDS
from domain.facts import facts_of
from domain.internal_types import INTERNAL_TYPES, Internal
from domain.keys import with_own_keys
from domain.lint import matching
from domain.lint.doubt import Found
from domain.lint.people import lacks
from domain.policy import Policy, Rules
from domain.quorum_tree import ANY_ROLE
from domain.refusals import Refusal
from domain.requirement import Requirement
from domain.world import World

_OFTEN = 10
"""So many times a day are no exception any more."""

_ABSENT_AT_MOST = 2
"""Who breaks glass and who asked for the action."""


def look(policy: Policy, world: World | None) -> Iterator[Found]:
    """What is doubtful about a policy's `break_glass`; `world` has the people and what is in force, where they are known."""
    glass = policy.policy.break_glass
    if glass is None:
        return
    if (why := _for_nothing(policy)) is not None:
        yield "break_glass_for_nothing", f"{why} Leave break_glass out."
        return
    yield from _limits(policy.policy, glass)
    if policy.policy.auto_execute:
        yield (
            "break_glass_executes_by_itself",
            "What one person approves alone executes by itself, before anybody else has seen it. Set auto_execute to false.",
        )
    if world is not None and world.directory.holders(glass.role, world.now):
        yield from _among_people(policy, glass, world)


def _for_nothing(policy: Policy) -> str | None:
    """Why nobody needs or may break glass under this policy, if so."""
    if policy.policy.tree is None:
        return "Nobody need agree, so there is no glass to break."
    types = matching.types(policy)
    if types is not None and types <= INTERNAL_TYPES.keys():
        return f"{' and '.join(sorted(types))} is carried out by the engine itself, and nobody approves that alone."
    return None


def _limits(rules: Rules, glass: BreakGlass) -> Iterator[Found]:
    if glass.uses * DAY_SECONDS > _OFTEN * glass.within_seconds:
        within = duration.in_words(glass.within_seconds)
        yield (
            "break_glass_too_often",
            f"{glass.uses} in {within} for each person is more than {_OFTEN} a day. Allow fewer, or in a longer time.",
        )
    if glass.valid_seconds > min(rules.execute_within_seconds, DAY_SECONDS):
        good_for = duration.in_words(min(glass.valid_seconds, rules.execute_within_seconds))
        yield (
            "break_glass_too_long",
            f"What one person approves alone is good for {good_for}. Give less in valid_seconds: it is meant for an emergency.",
        )


def _among_people(policy: Policy, glass: BreakGlass, world: World) -> Iterator[Found]:
    able = _able(policy.policy, glass, world)
    if not able:
        key = " or have no key of their own, which it asks for" if policy.policy.require_personal_key else ""
        yield (
            "break_glass_by_nobody",
            (
                f"All holders of {glass.role} were refused a ratification since they were granted it{key}, so nobody may. "
                "Have it granted anew, or to others."
            ),
        )
        return
    yield from _ratified_by_fewer(policy.policy, able[0], world)
    yield from _not_ratified(policy, able, world)


def _ratified_by_fewer(rules: Rules, person: str, world: World) -> Iterator[Found]:
    bypassed, ratifying = (
        quorum_tree.fewest(tree, world.directory, world.now)
        for tree in (rules.tree, _ratification(world, {person}).tree)
        if tree is not None
    )
    if ratifying < bypassed:
        yield (
            "ratified_by_fewer",
            (
                f"Who breaks glass does without {bypassed} people, and {ratifying} ratify it. Have a policy for RATIFY ask for "
                "more, unless that is meant."
            ),
        )


def _not_ratified(policy: Policy, able: list[str], world: World) -> Iterator[Found]:
    """Whether those who are left could ratify it, whoever of these breaks glass and whoever asked for the action."""
    kinds = _Kinds(world, _ratification(world, {able[0]}))
    askers = sorted(
        person
        for role in creation.CREATOR_ROLES
        for person in world.directory.holders(role, world.now)
        if _may_ask(policy, person)
    )
    alone, asking = kinds.some_of(able), kinds.some_of(askers)
    if not lacks(_ratification(world, {*alone, *asking}), world):
        return  # nor is anything lacking where fewer of these are kept out
    pairs = [(person, asker) for person in alone for asker in asking if asker != person]
    for person, *others in [*((person,) for person in alone), *pairs]:
        if missing := lacks(_ratification(world, {person, *others}), world):
            asked = f"{others[0]} asks for an action and " if others else ""
            yield (
                "cannot_be_ratified",
                (
                    f"If {asked}{person} breaks glass, nobody can ratify it: that would lack {' and '.join(missing)}. Have more "
                    "people given the roles, or define a policy for RATIFY that asks others."
                ),
            )
            return


def _may_ask(policy: Policy, person: str) -> bool:
    """Whether a person could ask for actions under this policy, by what its criteria say of who asks."""
    facts = {"origin": "ops_ui", "created_by": person}
    conditions = (part for part in policy.parsed_criteria.conditions if isinstance(part, Condition))
    return all(part.judge(facts).holds for part in conditions if part.path in facts)


def _ratification(world: World, kept_out: set[str]) -> Requirement:
    """What ratifying takes where these people have a part in it, with all steps of its escalation begun."""
    body = ratifying.wish(UUID(int=0), min(kept_out), "emergency")
    facts = facts_of(INTERNAL_TYPES[Internal.RATIFY], body)
    assert not isinstance(facts, Refusal)  # noqa: S101 - it names its target
    chosen = creation.policy_for(world, facts)
    assert not isinstance(chosen, Refusal)  # noqa: S101 - there always is one for a ratification
    rules = chosen.definition.policy
    asked = creation.requirement(world, rules, rules.terms(None, None, None), Internal.RATIFY, kept_out)
    return asked.model_copy(update={"steps_reached": len(asked.escalation)})


class _Kinds:
    """People by what their absence would mean to a requirement: two of a kind stand for all of it, as two are absent at most."""

    def __init__(self, world: World, requirement: Requirement) -> None:
        self._electorate = requirement.electorate(world.directory, world.now)
        delegations = [grant for grant in world.directory.grants if grant.acts_for and grant.held_at(world.now)]
        self._singular = {name for grant in delegations for name in (grant.person, grant.acts_for)}

    def some_of(self, people: Iterable[str]) -> list[str]:
        """Of these people two of each kind."""
        seen: Counter[object] = Counter()
        found = []
        for person in dict.fromkeys(people):
            kind = self._kind(person)
            seen[kind] += 1
            if seen[kind] <= _ABSENT_AT_MOST:
                found.append(person)
        return found

    def _kind(self, person: str) -> object:
        if person in self._singular:
            return person
        electorate = self._electorate
        roles = electorate.directory.roles_of(person, electorate.now) | {ANY_ROLE}
        return frozenset(pool for pool in electorate.pools if pool.include(person, roles))


def _able(rules: Rules, glass: BreakGlass, world: World) -> list[str]:
    """Who could break glass now: whose role is not spent, with a key of their own where votes need one."""
    holders = world.directory.holders(glass.role, world.now)
    if rules.require_personal_key:
        holders &= with_own_keys(world.keys.values(), world.now)
    return sorted(who for who in holders if world.directory.may_break_glass(who, glass.role, world.now))
