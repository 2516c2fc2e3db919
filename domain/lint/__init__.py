"""What is doubtful about definitions that are well-formed."""

from dataclasses import replace

from domain.definitions import Definitions
from domain.lint import break_glass, policies, remediation
from domain.lint.doubt import SEVERITIES, Doubt, Severity
from domain.world import World

__all__ = ["SEVERITIES", "Doubt", "Severity", "lint"]


def lint(definitions: Definitions, world: World | None) -> list[Doubt]:
    """What is doubtful about what is in force and enabled: policies in the order in which they are asked, then remediation rules.

    `world` has the people and keys that there are. Without it nothing is said about these, nor about action types that are
    not defined; in a directory without anybody nothing about people.
    """
    known = world is not None and bool(world.directory.people or world.directory.grants)
    peopled = replace(world, definitions=definitions) if world is not None and known else None
    asked = [item.definition for item in definitions.policies_in_force]
    found: list[Doubt] = []
    for number, policy in enumerate(asked):
        told = [
            *policies.look(policy, asked[:number], definitions, peopled),
            *break_glass.look(policy, peopled),
        ]
        if world is not None:
            told += policies.unknown_types(policy, definitions)
        found += [Doubt("policy", policy.name, code, SEVERITIES[code], sentence) for code, sentence in told]
    for name, item in sorted(definitions.remediation_rules_in_force.items()):
        if item.definition.enabled:
            told = list(remediation.look(item.definition, definitions, peopled, types_known=world is not None))
            found += [Doubt("remediation_rule", name, code, SEVERITIES[code], sentence) for code, sentence in told]
    return found
