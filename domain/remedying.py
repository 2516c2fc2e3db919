"""Remedying alerts: by the remediation rule of their type, an action where SIRA recommends that and is sure enough.

Whatever is decided about an alert is kept with it. A rule's cooldown begins with the action and in the same step, so that of
two alerts at once one leads to an action.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain import creation, deadlines, exclusive, messages
from domain.action import Action
from domain.deciding import unreachable_warning
from domain.definitions import Definitions
from domain.exact_json import canonical
from domain.keys import Scope
from domain.lifecycle import WITHOUT_EFFECT
from domain.messages import CreateAction, Message, Outcome, Receipt
from domain.proposal import (
    ALERT_ID,
    CONFIDENCE,
    EXPLANATION,
    MOST_DECISIONS,
    PROPOSER,
    RECOMMENDATION_ID,
    SIRA,
    SYSTEM,
    Alert,
    Proposal,
    Recommendation,
    RemediateAlert,
    key_of,
    written,
)
from domain.refusals import Code, Refusal
from domain.remediation import RemediationRule
from domain.trail import timestamp
from domain.world import World

ORIGIN = "alert"

ASK_AGAIN_SECONDS = 10
"""How long after SIRA was to be asked it is asked again, if no answer came: longer than asking takes."""

Details = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recommended:
    """What SIRA recommends about this alert, as it was asked; or what stands in for that, and why it does (`fallback`)."""

    alert: Alert
    issuer: str
    recommendation: Recommendation
    fallback: str | None = None

    @property
    def action_id(self) -> UUID:
        """The action that it may lead to."""
        return messages.action_id(self.issuer, key_of("alert", self.alert.id), "")


def receive(world: World, message: Message, body: RemediateAlert) -> Receipt | Refusal:
    """Decide about an alert, or have SIRA asked first; one for which no action was created is decided about again."""
    rule = _rule(world, body.alert.alert_type)
    if (refusal := _out_of_scope(message.scope, rule)) is not None:
        return refusal
    proposal = _proposal(world, message, body)
    if (known := world.proposals.get(proposal.key)) is not None:
        if (answer := _again(known, proposal, body)) is not None:
            return answer
        proposal = replace(known, kid=message.kid, content=proposal.content)
    if (obstacle := _obstacle(world, proposal, rule)) is not None:
        return _stop(world, proposal, obstacle)
    if (refusal := world.over_limit(message)) is not None:
        return refusal
    if body.recommendation is None:
        world.put_proposal(replace(proposal, due_at=world.now + timedelta(seconds=ASK_AGAIN_SECONDS)))
        return Receipt(
            Outcome.APPLIED, "SIRA is asked what to do about the alert; `ops-approval alerts show` will tell."
        )
    return _weigh(world, _suggested(world, proposal, body.recommendation), rule, body.recommendation)


def answered(world: World, given: Recommended) -> Receipt | Refusal:
    """Decide about an alert by what SIRA says, if it still waits for that as it is, and its sender may still ask for it."""
    proposal = world.proposals.get(("alert", given.alert.id))
    if proposal is None or proposal.due_at is None or given.issuer != proposal.issuer:
        return Refusal(Code.NOT_DUE)
    if canonical(written(given.alert)) != canonical(proposal.content["alert"]):  # it came anew, and SIRA is asked anew
        return Refusal(Code.NOT_DUE)
    proposal = _suggested(world, proposal, given.recommendation, given.fallback)
    rule, scope = _rule(world, proposal.type), world.scopes.get(proposal.kid)
    refusal = Refusal(Code.KEY_NOT_VALID) if scope is None else _out_of_scope(scope, rule)
    if refusal is not None:
        return _fail(world, proposal, refusal)
    if (obstacle := _obstacle(world, proposal, rule)) is not None:
        return _stop(world, proposal, obstacle)
    return _weigh(world, proposal, rule, given.recommendation)


def _rule(world: World, alert_type: str) -> RemediationRule | None:
    versioned = world.definitions.remediation_rules_in_force.get(alert_type)
    return None if versioned is None else versioned.definition


def _out_of_scope(scope: Scope, rule: RemediationRule | None) -> Refusal | None:
    """Who sends alerts needs the scope to create the actions that they lead to."""
    if rule is not None:
        return creation.out_of_scope(scope, ORIGIN, rule.auto_action.action_type)
    if not Scope.allows(scope.origins, ORIGIN):
        return Refusal(Code.OUT_OF_SCOPE, f"Its scope does not have the origin {ORIGIN!r}.")
    return None


def _proposal(world: World, message: Message, body: RemediateAlert) -> Proposal:
    alert = body.alert
    return Proposal(
        kind="alert",
        id=alert.id,
        issuer=message.issuer,
        kid=message.kid,
        type=alert.alert_type,
        tenant_type=alert.tenant_type,
        tenant_id=alert.tenant_id,
        content=written(body),
        created_at=world.now,
        updated_at=world.now,
    )


def _again(known: Proposal, proposal: Proposal, body: RemediateAlert) -> Receipt | Refusal | None:
    """The answer to an alert that is known, unless it is to be decided about again."""
    if (known.issuer, known.concerns) != (proposal.issuer, proposal.concerns):
        return Refusal(Code.PROPOSAL_CONFLICT)
    if known.action_id is not None:
        told = f"Action {known.action_id} answers this alert."
        return Receipt(Outcome.DUPLICATE, told, action_id=known.action_id)
    if known.due_at is not None and body.recommendation is None:
        return Receipt(Outcome.DUPLICATE, "SIRA is being asked what to do about this alert.")
    if len(known.decisions) >= MOST_DECISIONS:
        return Refusal(
            Code.PROPOSAL_CLOSED, f"{len(known.decisions)} decisions about it are kept; give the next its own id."
        )
    return None


def _obstacle(world: World, proposal: Proposal, rule: RemediationRule | None) -> Details | Refusal | None:
    """Why nothing is done about an alert, whatever SIRA says; None if that is to be heard."""
    if rule is None:
        return {"reason": "no_rule"}
    if not rule.enabled:
        return {"reason": "disabled"}
    if (answering := _answering(world, proposal)) is not None:
        return answering
    last = world.remedied_at.get(proposal.type)
    if last is None or not rule.cooldown_seconds:  # which is none, whatever a clock that steps back says
        return None
    until = last + timedelta(seconds=rule.cooldown_seconds)
    return {"reason": "cooldown", "until": timestamp(until)} if world.now < until else None


def _answering(world: World, proposal: Proposal) -> Details | Refusal | None:
    """That an action answers this alert which somebody else asked for, or has its key and came to nothing; None if none does."""
    action = exclusive.answering(world, proposal.id) or _under_its_key(world, proposal)
    if action is None:
        return None
    if action.status not in WITHOUT_EFFECT:
        return {"reason": "already_answered", "ops_action_id": str(action.id)}
    told = f"It is action {action.id}, which is {action.status}; a person can remedy the alert by hand."
    return Refusal(Code.IDEMPOTENCY_CONFLICT, told, action.id)


def _under_its_key(world: World, proposal: Proposal) -> Action | None:
    """What the alert's sender asked for itself, under the key that the alert's action would have."""
    action = world.actions.get(messages.action_id(proposal.issuer, key_of("alert", proposal.id), ""))
    return None if action is None else deadlines.enforce(world, action)


def _stop(world: World, proposal: Proposal, obstacle: Details | Refusal) -> Receipt | Refusal:
    if isinstance(obstacle, Refusal):
        return _fail(world, proposal, obstacle)
    return _skip(world, proposal, obstacle)


def _suggested(world: World, proposal: Proposal, said: Recommendation, fallback: str | None = None) -> Proposal:
    details = written(said) | ({} if fallback is None else {"fallback": fallback})
    return proposal.decided(world.now, SIRA, "suggest", details)


_SKIPPED = {
    "no_rule": "no remediation rule is in force for alerts of the type {type!r}; `ops-approval alerts rules` lists them",
    "disabled": "the remediation rule for alerts of the type {type!r} is disabled",
    "already_answered": "action {ops_action_id} answers it already",
    "cooldown": "an alert of its type led to an action not long ago; the next may at {until}",
    "low_confidence": "SIRA is sure to {confidence}, and {auto_threshold} is asked for",
    "different_action": "SIRA recommends {action}, and the rule has {auto_action}",
}


def _skip(world: World, proposal: Proposal, details: Details) -> Receipt:
    """Do nothing, and tell why."""
    world.put_proposal(_told_once(world, proposal.decided(world.now, SYSTEM, "skip", details)))
    answering = details.get("ops_action_id")
    why = _SKIPPED[details["reason"]].format_map(details | {"type": proposal.type})
    return Receipt(
        Outcome.APPLIED, f"Nothing is done: {why}.", action_id=None if answering is None else UUID(answering)
    )


def _fail(world: World, proposal: Proposal, refusal: Refusal) -> Refusal:
    holder = {} if refusal.action_id is None else {"ops_action_id": str(refusal.action_id)}
    details = {"code": refusal.code.value, "error": refusal.sentence} | holder
    world.put_proposal(_told_once(world, proposal.decided(world.now, SYSTEM, "error", details)))
    return refusal


def _told_once(world: World, proposal: Proposal) -> Proposal:
    """A proposal without what is decided now, where it was last decided so: who sends an alert often uses up no decisions."""
    known = world.proposals.get(proposal.key)
    before = () if known is None else known.decisions
    now = proposal.decisions[len(before) :]
    same = _said(now) == _said(before[-len(now) :])
    return replace(proposal, decisions=before) if same else proposal


def _said(decisions: Sequence[Details]) -> list[Details]:
    """What was decided, whenever that was."""
    return [decision | {"at": None} for decision in decisions]


def _weigh(world: World, proposal: Proposal, rule: RemediationRule | None, said: Recommendation) -> Receipt | Refusal:
    """Create the rule's action if that is what SIRA recommends, and as sure as the rule asks."""
    assert rule is not None  # noqa: S101 - else there was an obstacle
    if Decimal(str(said.confidence)) < rule.auto_threshold:
        threshold = str(rule.auto_threshold)
        low = {"reason": "low_confidence", "confidence": said.confidence, "auto_threshold": threshold}
        return _skip(world, proposal, low)
    if said.action not in (None, rule.auto_action.action_type):
        different = {"reason": "different_action", "action": said.action, "auto_action": rule.auto_action.action_type}
        return _skip(world, proposal, different)
    body = _body(world, proposal, rule, said)
    action_id = messages.action_id(proposal.issuer, body.idempotency_key, "")
    action = creation.make(world, proposal.issuer, action_id, body)
    if isinstance(action, Refusal):
        return _fail(world, proposal, action)
    world.remedied_at[proposal.type] = world.now
    details = {"ops_action_id": str(action_id), "sira_rec": written(said), "notify_channels": [*rule.notify_channels]}
    proposal = proposal.decided(world.now, SYSTEM, "create_ops_action", details)
    if action.requirement.tree is not None:
        needed = {
            "ops_action_id": str(action_id),
            "policy": action.policy_name,
            "required_quorum": action.required_quorum,
        }
        proposal = proposal.decided(world.now, SYSTEM, "require_approval", needed)
    world.put_proposal(proposal.answered(action_id, world.now))
    told = f"Action {action_id} is created for the alert.{unreachable_warning(action)}"
    return Receipt(Outcome.APPLIED, told, action_id=action_id)


def params_for(
    definitions: Definitions, rule: RemediationRule, alert_id: str, tenant: tuple[str, str], said: Recommendation
) -> dict[str, Any]:
    """The params of a rule's action for an alert and its tenant: what SIRA recommends, but for what the rule says, and why."""
    tenant_type, tenant_id = tenant
    action_type = definitions.action_types_in_force.get(rule.auto_action.action_type)
    target = None if action_type is None else action_type.definition.target
    params = said.params | rule.auto_action.params
    params.pop(RECOMMENDATION_ID, None)  # what answers an alert follows no recommendation that waits for a person
    if target is not None and target.tenant_type == tenant_type:
        params.setdefault(target.param, tenant_id)  # another one named there is a target_mismatch
    why = {} if said.explanation is None else {EXPLANATION: said.explanation}
    return params | {ALERT_ID: alert_id, CONFIDENCE: said.confidence} | why


def _body(world: World, proposal: Proposal, rule: RemediationRule, said: Recommendation) -> CreateAction:
    """The action that answers an alert: the rule's, for the alert's tenant, with what SIRA said."""
    tenant = proposal.tenant_type, proposal.tenant_id
    asked: dict[str, Any] = {
        "idempotency_key": key_of("alert", proposal.id),
        "origin": ORIGIN,
        "action_type": rule.auto_action.action_type,
        "params": params_for(world.definitions, rule, proposal.id, tenant, said),
        "target_tenant_type": proposal.tenant_type,
        "target_tenant_id": proposal.tenant_id,
        "auto_execute": not rule.require_multi_sig,
        "created_by": PROPOSER,
    }
    if rule.wished_quorum is not None:
        asked["required_quorum"] = rule.wished_quorum
    return CreateAction.model_validate(asked)
