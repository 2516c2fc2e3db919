"""What is doubtful about remediation rules, and about the actions that they lead to."""

from collections.abc import Iterator

from domain import quorum_tree
from domain.action_type import ActionType
from domain.definitions import Definitions
from domain.lint import matching
from domain.lint.doubt import GREAT_RISKS, Found
from domain.lint.people import lacks
from domain.policy import DEFAULT_POLICY, Policy, effective_auto_execute
from domain.proposal import ALERT_ID, CONFIDENCE, PROPOSER
from domain.remediation import RemediationRule
from domain.remedying import ORIGIN
from domain.requirement import Requirement
from domain.world import World

_ADDED = {ALERT_ID: "", CONFIDENCE: 0}
"""Params of every action that answers an alert; what their values are is not known here."""


def look(rule: RemediationRule, definitions: Definitions, world: World | None, *, types_known: bool) -> Iterator[Found]:
    """What is doubtful about a rule; `world` has the people, where they are known, and `types_known` says that all types are."""
    yield from _thresholds(rule)
    yield from _approvers_not_asked(rule)
    name = rule.auto_action.action_type
    versioned = definitions.action_types_in_force.get(name)
    if versioned is not None:
        yield from _params(rule, versioned.definition)
        candidates = _candidates(rule, versioned.definition, definitions)
        yield from _execution(rule, versioned.definition, candidates)
        if world is not None:
            yield from _people(rule, candidates, world)
    elif types_known:
        yield (
            "unknown_action_type",
            f"No action type {name} is defined, so no alert leads to an action. Correct the name, or define it.",
        )


def _thresholds(rule: RemediationRule) -> Iterator[Found]:
    if rule.auto_threshold == 0:
        yield (
            "always_sure_enough",
            "An auto_threshold of 0 lets every recommendation through, however unsure SIRA is. Ask for more.",
        )
    if rule.auto_threshold == 1:
        yield (
            "hardly_ever_sure_enough",
            "An auto_threshold of 1 is reached only by a confidence of exactly 1. Ask for less, or disable the rule.",
        )
    if rule.cooldown_seconds == 0:
        yield (
            "no_cooldown",
            "Without a cooldown each alert leads to an action of its own, however many come at once. Give it one.",
        )


def _approvers_not_asked(rule: RemediationRule) -> Iterator[Found]:
    fields = type(rule).model_fields
    named = [name for name in ("required_approvals", "approver_role") if getattr(rule, name) != fields[name].default]
    if named and not rule.require_multi_sig:
        yield (
            "approvers_not_asked",
            f"Without require_multi_sig {' and '.join(named)} says nothing: the policy alone does. Set it to true, or leave it out.",
        )


def _params(rule: RemediationRule, action_type: ActionType) -> Iterator[Found]:
    """What SIRA cannot mend: what the rule and every answer to an alert say themselves."""
    given = rule.auto_action.params
    schema = action_type.schema_of_params
    found = [] if schema is None else schema.problems_of_some(given | _ADDED)
    unknown = tuple(f"params.{name}:" for name in _ADDED)
    if wrong := [problem for problem in found if not problem.startswith(unknown)]:
        yield (
            "params_never_taken",
            f"{action_type.name} refuses what every such action has: {'; '.join(wrong)}. Correct the rule, or the type's params_schema.",
        )
    if action_type.target is not None and action_type.target.param in given:
        yield (
            "one_target_only",
            (
                f"Its params name the target, {action_type.target.param}, so alerts about any other are refused. Leave it out: it is "
                "whom the alert is about."
            ),
        )


def _candidates(rule: RemediationRule, action_type: ActionType, definitions: Definitions) -> list[Policy]:
    """The policies that its actions may fall under, in the order in which they are asked; one, where that is known."""
    target = action_type.target
    facts = {
        "action_type": action_type.name,
        "origin": ORIGIN,
        "risk_level": action_type.minimum_risk_level,
        "created_by": PROPOSER,
        "params": rule.auto_action.params,
    } | ({} if target is None else {"target_tenant_type": target.tenant_type})
    found = []
    for item in definitions.policies_in_force:
        matches = matching.matches(item.definition, facts)
        if matches is not False:
            found.append(item.definition)
        if matches:
            return found
    return [*found, DEFAULT_POLICY]


def _execution(rule: RemediationRule, action_type: ActionType, candidates: list[Policy]) -> Iterator[Found]:
    """Actions of great risk that execute by themselves, as the message of a rule without `require_multi_sig` wishes."""
    if action_type.minimum_risk_level not in GREAT_RISKS or rule.require_multi_sig:
        return
    what = f"{action_type.name}, of {action_type.minimum_risk_level} risk,"
    by_themselves = [item for item in candidates if effective_auto_execute(item.policy.auto_execute, message=True)]
    of_nobody = [item.name for item in by_themselves if item.policy.tree is None]
    left_open = [item.name for item in by_themselves if item.policy.auto_execute is None]
    if of_nobody:
        yield (
            "nobody_is_asked",
            (
                f"An alert may have {what} executed without anybody's approval, under policy {of_nobody[0]}. Set require_multi_sig, "
                "or have the policy ask for somebody."
            ),
        )
    elif left_open:
        yield (
            "execution_by_alert",
            (
                f"Once approved {what} executes by itself: policy {left_open[0]} leaves it to who asks, and the rule does. Set "
                "auto_execute in the policy."
            ),
        )


def _people(rule: RemediationRule, candidates: list[Policy], world: World) -> Iterator[Found]:
    """Whether there are as many approvers as the rule asks for, by themselves and beside those of the policy."""
    wished = None if rule.wished_quorum is None else quorum_tree.parse(rule.wished_quorum)
    if wished is None:
        return
    ratio = candidates[0].policy.required_ratio
    if missing := lacks(Requirement(tree=wished, required_ratio=ratio), world):
        yield (
            "cannot_be_filled",
            f"Even if everybody approved it would lack {' and '.join(missing)}. Ask for fewer, or have people given the role.",
        )
        return
    of_policy = candidates[0].policy.tree
    both = quorum_tree.both(of_policy, wished)
    if len(candidates) > 1 or lacks(Requirement(tree=of_policy, required_ratio=ratio), world):
        return
    if missing := lacks(Requirement(tree=both, required_ratio=ratio), world):
        yield (
            "cannot_be_filled",
            (
                f"With {quorum_tree.in_words(wished)} beside what policy {candidates[0].name} asks for, it would lack "
                f"{' and '.join(missing)} even if everybody approved. Ask for fewer, or have people given the roles."
            ),
        )
