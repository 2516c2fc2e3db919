"""What criteria look at in an action: what was asked for, and what its action type makes of that."""

from typing import Any

from domain.action import Action
from domain.action_type import ActionType
from domain.definition import Risk, RiskName
from domain.messages import CreateAction
from domain.refusals import Code, Refusal


def facts_of(action_type: ActionType, body: CreateAction) -> dict[str, Any] | Refusal:
    """What criteria may look at (see `policy.FIELDS`): what the body says, and what its action type makes of it."""
    target = _target(action_type, body)
    if isinstance(target, Refusal):
        return target
    return facts_with(body, target, _risk_level(action_type, body))


def facts_with(
    asked: CreateAction | Action, target: tuple[str | None, str | None], risk_level: RiskName
) -> dict[str, Any]:
    """What criteria may look at, with this target and risk level; what is not there is left out."""
    found = {
        "action_type": asked.action_type,
        "origin": asked.origin,
        "risk_level": risk_level,
        "target_tenant_type": target[0],
        "target_tenant_id": target[1],
        "created_by": asked.created_by,
        "params": asked.params,
    }
    return {name: value for name, value in found.items() if value is not None}


def _target(action_type: ActionType, body: CreateAction) -> tuple[str | None, str | None] | Refusal:
    """The target that the params name, where the action type says which param that is; else the message's own."""
    named = (body.target_tenant_type, body.target_tenant_id)
    if action_type.target is None:
        return named
    tenant_id = body.params.get(action_type.target.param)
    if not isinstance(tenant_id, str) or not tenant_id:
        return Refusal(Code.TARGET_MISMATCH, f"params.{action_type.target.param} must name the target, as text.")
    derived = (action_type.target.tenant_type, tenant_id)
    if any(given not in (None, right) for given, right in zip(named, derived, strict=True)):
        return Refusal(Code.TARGET_MISMATCH, f"Its params name {derived[0]} {derived[1]!r}.")
    return derived


def _risk_level(action_type: ActionType, body: CreateAction) -> RiskName:
    return max(action_type.minimum_risk_level, body.risk_level or "low", key=lambda name: Risk[name])
