"""Whether there are people for what a policy asks."""

from collections.abc import Iterator

from domain import quorum, quorum_tree
from domain.keys import with_own_keys
from domain.lint.doubt import Found
from domain.policy import Policy
from domain.quorum import Choice, CountedVote
from domain.requirement import Requirement
from domain.world import World


def look(policy: Policy, world: World) -> Iterator[Found]:
    """What a policy lacks among the people and keys that there are."""
    found = list(_enough(policy, world))
    yield from found
    yield from _roles_of_nobody(policy, world, quorum_is_told=bool(found))


def lacks(requirement: Requirement, world: World, people: frozenset[str] | None = None) -> tuple[str, ...]:
    """What an approval would lack if all of these people approved; all that there are, if None."""
    votes = [
        CountedVote(person, Choice.APPROVE, roles)
        for person, roles in requirement.electorate(world.directory, world.now).others(())
        if people is None or person in people
    ]
    return quorum.decide(requirement, votes, world.directory, world.now).missing


def _enough(policy: Policy, world: World) -> Iterator[Found]:
    asked = Requirement(tree=policy.policy.tree, required_ratio=policy.policy.required_ratio)
    if missing := lacks(asked, world):
        yield (
            "cannot_be_filled",
            f"Even if everybody approved it would lack {' and '.join(missing)}. Ask for fewer, or have people given the roles.",
        )
    elif policy.policy.require_personal_key and (
        missing := lacks(asked, world, with_own_keys(world.keys.values(), world.now))
    ):
        yield (
            "too_few_personal_keys",
            (
                f"Votes need the voter's own key, and of people with one it lacks {' and '.join(missing)}. "
                "Enrol keys with `ops-approval keys enrol`."
            ),
        )


def _roles_of_nobody(policy: Policy, world: World, *, quorum_is_told: bool) -> Iterator[Found]:
    rules, asked = policy.policy, () if quorum_is_told else quorum_tree.needs(policy.policy.tree)
    roles = {need.people.role: "Its quorum names" for need in asked if need.people.role}
    roles |= {step.role: "It escalates to" for step in rules.steps(rules.timeout_seconds)}
    roles |= dict.fromkeys(rules.veto_roles, "A veto is given to")
    if rules.break_glass is not None:
        roles[rules.break_glass.role] = "Glass is broken by"
    for role, said in roles.items():
        if not world.directory.holders(role, world.now):
            yield (
                "role_of_nobody",
                f"{said} {role}, a role that nobody holds now. Correct the name, or have people given it.",
            )
