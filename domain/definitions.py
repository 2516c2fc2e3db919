"""All that people defined: every version of it, and what is in force."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

from domain.action_type import ActionType
from domain.definition import Definition, Kind
from domain.internal_types import INTERNAL_TYPES
from domain.policy import DEFAULT_POLICY, Policy
from domain.quorum_tree import People
from domain.remediation import RemediationRule
from domain.requirement import pools

AnyDefinition = Policy | ActionType | RemediationRule
"""Whatever people can define."""

MODELS: Mapping[Kind, type[AnyDefinition]] = {
    "policy": Policy,
    "action_type": ActionType,
    "remediation_rule": RemediationRule,
}
"""What each kind of definition must look like."""

T = TypeVar("T", bound=Definition)


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    """A definition and which version of it this is, counted from 1."""

    version: int
    definition: T


@dataclass(frozen=True, slots=True)
class Removal:
    """A version that takes a definition out of force; all versions before it are kept."""

    kind: Kind
    name: str
    version: int


@dataclass(frozen=True)
class Definitions:
    """Every version of every definition; the newest of a name is in force, unless it removes it."""

    policies: tuple[Versioned[Policy], ...] = ()
    action_types: tuple[Versioned[ActionType], ...] = ()
    remediation_rules: tuple[Versioned[RemediationRule], ...] = ()
    removals: tuple[Removal, ...] = ()

    @cached_property
    def policies_in_order(self) -> tuple[Versioned[Policy], ...]:
        """The newest versions, in the order in which they are asked; disabled ones, which are not asked, too."""
        newest = self._in_force("policy", self.policies).values()
        return tuple(sorted(newest, key=lambda policy: (-policy.definition.priority, policy.definition.name)))

    @cached_property
    def policies_in_force(self) -> tuple[Versioned[Policy], ...]:
        """Enabled newest versions, in the order in which they are asked."""
        return tuple(policy for policy in self.policies_in_order if policy.definition.enabled)

    @cached_property
    def action_types_in_force(self) -> Mapping[str, Versioned[ActionType]]:
        """The newest version of each action type, by name; the engine's own too."""
        defined = self._in_force("action_type", self.action_types)
        return defined | {name: Versioned(0, item) for name, item in INTERNAL_TYPES.items()}

    @cached_property
    def remediation_rules_in_force(self) -> Mapping[str, Versioned[RemediationRule]]:
        """The newest version of each remediation rule, by the alert type that it is for; disabled ones too."""
        return self._in_force("remediation_rule", self.remediation_rules)

    @cached_property
    def pools(self) -> frozenset[People]:
        """Whose approval a new action can need, whichever policy it falls under; all of them must be known."""
        rules = [DEFAULT_POLICY.policy, *(policy.definition.policy for policy in self.policies_in_force)]
        asked = [each.terms(None, None, None) for each in rules]
        rules_of_alerts = (rule.definition for rule in self.remediation_rules_in_force.values())
        approvers = [People(role=rule.approver_role) for rule in rules_of_alerts if rule.require_multi_sig]
        return frozenset(approvers).union(*(pools(terms.tree, terms.escalation) for terms in asked))

    def action_type(self, name: str, version: int) -> ActionType:
        """The version of an action type that an action was created with; it exists, as versions are never deleted."""
        if version == 0:
            return INTERNAL_TYPES[name]
        return next(
            item.definition for item in self.action_types if (item.definition.name, item.version) == (name, version)
        )

    def newest_version(self, kind: Kind, name: str) -> int:
        """The number of the newest version of a name, one that removes it too; 0 if there never was one."""
        versions = [item.version for item in self._versions(kind) if item.definition.name == name]
        return max([0, *versions, self._removed(kind).get(name, 0)])

    def in_force(self, kind: Kind, name: str) -> AnyDefinition | None:
        """What is in force under this name, enabled or not; None if nothing is."""
        newest = self.newest_version(kind, name)
        named = (item for item in self._versions(kind) if (item.definition.name, item.version) == (name, newest))
        return next((item.definition for item in named), None)

    def changed(self, kind: Kind, name: str, version: int, definition: AnyDefinition | None) -> "Definitions":
        """These definitions with one version more; None removes what has the name."""
        match definition:
            case Policy():
                return replace(self, policies=(*self.policies, Versioned(version, definition)))
            case ActionType():
                return replace(self, action_types=(*self.action_types, Versioned(version, definition)))
            case RemediationRule():
                return replace(self, remediation_rules=(*self.remediation_rules, Versioned(version, definition)))
            case None:
                return replace(self, removals=(*self.removals, Removal(kind, name, version)))

    def _versions(self, kind: Kind) -> Sequence[Versioned[Policy] | Versioned[ActionType] | Versioned[RemediationRule]]:
        match kind:
            case "policy":
                return self.policies
            case "action_type":
                return self.action_types
            case "remediation_rule":
                return self.remediation_rules

    def _removed(self, kind: Kind) -> dict[str, int]:
        """By name, the newest version that removes it."""
        removals = sorted(self.removals, key=lambda item: item.version)
        return {item.name: item.version for item in removals if item.kind == kind}

    def _in_force(self, kind: Kind, items: Iterable[Versioned[T]]) -> dict[str, Versioned[T]]:
        removed = self._removed(kind)
        return {name: item for name, item in _newest(items).items() if item.version > removed.get(name, 0)}


def _newest(items: Iterable[Versioned[T]]) -> dict[str, Versioned[T]]:
    newest: dict[str, Versioned[T]] = {}
    for item in items:
        known = newest.get(item.definition.name)
        if known is None or known.version < item.version:
            newest[item.definition.name] = item
    return newest
