"""Recommendations of SIRA: an action where it is sure enough; else a person applies them, as they are."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain import creation, deadlines, messages
from domain.action import Action
from domain.deciding import unreachable_warning
from domain.exact_json import canonical
from domain.internal_types import INTERNAL_TYPES
from domain.lifecycle import MAY_STILL_HAPPEN
from domain.messages import CreateAction, Message, Outcome, Receipt
from domain.proposal import (
    CONFIDENCE,
    EXPLANATION,
    MOST_DECISIONS,
    PROPOSER,
    RECOMMENDATION_ID,
    SYSTEM,
    Proposal,
    RecommendAction,
    key_of,
    named,
    written,
)
from domain.refusals import Code, Refusal
from domain.trail import timestamp
from domain.world import World

ORIGIN = "sira"

APPLIER_ROLES = frozenset({"ops_admin", "finance_ops"})
"""One of these is needed to apply a recommendation."""

_LIFETIME_DAYS = 30


def receive(world: World, message: Message, body: RecommendAction) -> Receipt | Refusal:
    """Keep a recommendation, and create its action if SIRA is as sure as it must be; a refused one may come again."""
    if body.recommendation_type in INTERNAL_TYPES:
        return Refusal(Code.OUT_OF_SCOPE, "SIRA does not recommend what the engine does with itself.")
    if (refusal := creation.out_of_scope(message.scope, ORIGIN, body.recommendation_type)) is not None:
        return refusal
    proposal = world.proposals.get(("recommendation", body.id))
    if proposal is not None and (answer := _again(proposal, message, body)) is not None:
        return answer
    proposal = proposal or _proposal(world, message, body)
    if (refusal := _over(world, proposal) or world.over_limit(message)) is not None:
        return refusal
    world.put_proposal(proposal)
    if _asked_itself(world, proposal) is not None or Decimal(str(body.confidence)) >= world.recommendation_threshold:
        return _create(world, proposal)
    wanted = f"SIRA is sure to {body.confidence}, and {world.recommendation_threshold} is asked for"
    return Receipt(Outcome.APPLIED, f"It waits until a person applies it: {wanted}.")


def apply(world: World, message: Message, body: CreateAction) -> Receipt | Refusal:
    """Make the action that a person asks for because SIRA recommended it, exactly that one; and say that it answers it.

    Before the recommendation is known, SIRA alone names it of all machines, under its key: so one of these answers it.
    """
    name = named(body.params, RECOMMENDATION_ID)
    if name is None or message.action_id in world.actions:
        return creation.create(world, message, body)
    proposal = world.proposals.get(("recommendation", name))
    if proposal is None:
        return _unknown(name, body) or creation.create(world, message, body)
    if body.origin != "ops_ui":
        return Refusal(Code.CREATOR_NOT_ALLOWED, "A recommendation is applied by a person, from the origin 'ops_ui'.")
    if (refusal := _closed(world, proposal) or _mismatch(proposal, body)) is not None:
        return refusal
    receipt = creation.create(world, message, body, APPLIER_ROLES)
    if not isinstance(receipt, Refusal) and receipt.action_id is not None:
        applied = {"ops_action_id": str(receipt.action_id)}
        proposal = proposal.decided(world.now, body.created_by, "apply", applied)
        world.put_proposal(proposal.answered(receipt.action_id, world.now))
    return receipt


def _unknown(name: str, body: CreateAction) -> Refusal | None:
    """Why an action may not name a recommendation that nobody has sent, if so."""
    key = key_of("recommendation", name)
    if body.origin == "ops_ui" or (body.origin, body.idempotency_key) == (ORIGIN, key):
        return None
    return Refusal(
        Code.CREATOR_NOT_ALLOWED, f"A machine names a recommendation from the origin {ORIGIN!r}, under the key {key!r}."
    )


def params_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The params of the action that a recommendation is for: what SIRA recommends, and why."""
    said = {CONFIDENCE: content["confidence"], EXPLANATION: content["explanation"]}
    return {**content["params"], RECOMMENDATION_ID: content["id"], **said}


def _proposal(world: World, message: Message, body: RecommendAction) -> Proposal:
    proposal = Proposal(
        kind="recommendation",
        id=body.id,
        issuer=message.issuer,
        kid=message.kid,
        type=body.recommendation_type,
        tenant_type=body.tenant_type,
        tenant_id=body.tenant_id,
        content=written(body),
        created_at=world.now,
        updated_at=world.now,
        expires_at=body.expires_at or world.now + timedelta(days=_LIFETIME_DAYS),
    )
    newest = max((other.created_at for other in _others(world, proposal)), default=None)
    if newest is not None and newest >= world.now:  # of the same batch: which one is newer must be told by its time
        return replace(proposal, created_at=newest + timedelta(microseconds=1))
    return proposal


def _others(world: World, proposal: Proposal) -> list[Proposal]:
    """The other recommendations of the same for the same tenant that are at hand; the newest of all is always."""
    return [
        other
        for other in world.proposals.values()
        if other.kind == "recommendation" and other.key != proposal.key and other.concerns == proposal.concerns
    ]


def _again(known: Proposal, message: Message, body: RecommendAction) -> Receipt | Refusal | None:
    """The answer to a recommendation that is known; None if its action was refused, which is tried again."""
    if known.issuer != message.issuer or not known.says(body):
        return Refusal(Code.PROPOSAL_CONFLICT)
    if known.action_id is not None:
        return Receipt(
            Outcome.DUPLICATE, f"Action {known.action_id} follows this recommendation.", action_id=known.action_id
        )
    if not known.decisions:
        return Receipt(Outcome.DUPLICATE, "This recommendation waits until a person applies it.")
    if len(known.decisions) >= MOST_DECISIONS:
        return Refusal(Code.PROPOSAL_CLOSED, "It was refused too often; a person can apply it.")
    return None


def _over(world: World, proposal: Proposal) -> Refusal | None:
    """Whether its time has passed, or a newer one has taken its place."""
    if proposal.expires_at is not None and proposal.expires_at <= world.now:
        return Refusal(Code.PROPOSAL_CLOSED, f"It expired at {timestamp(proposal.expires_at)}.")
    newer = [other.id for other in _others(world, proposal) if other.created_at > proposal.created_at]
    return Refusal(Code.PROPOSAL_CLOSED, f"A newer one is {newer[0]!r}.") if newer else None


def _closed(world: World, proposal: Proposal) -> Refusal | None:
    if proposal.action_id is not None:
        return Refusal(Code.PROPOSAL_CLOSED, f"Action {proposal.action_id} follows it.")
    asked = _asked_itself(world, proposal)
    if asked is not None and (asked := deadlines.enforce(world, asked)).status in MAY_STILL_HAPPEN:
        return Refusal(
            Code.PROPOSAL_CLOSED, f"SIRA asked under its key for action {asked.id} itself, which is {asked.status}."
        )
    return _over(world, proposal)


def _asked_itself(world: World, proposal: Proposal) -> Action | None:
    """The action that SIRA has asked for itself, under the key of a recommendation."""
    return world.actions.get(messages.action_id(proposal.issuer, key_of(proposal.kind, proposal.id), ""))


def _mismatch(proposal: Proposal, body: CreateAction) -> Refusal | None:
    differing = {
        "action_type": body.action_type != proposal.type,
        "target_tenant_type": body.target_tenant_type != proposal.tenant_type,
        "target_tenant_id": body.target_tenant_id != proposal.tenant_id,
        "params": canonical(body.params) != canonical(params_of(proposal.content)),
    }
    named = ", ".join(name for name, differs in differing.items() if differs)
    return Refusal(Code.PROPOSAL_MISMATCH, f"It differs in {named}.") if named else None


def _create(world: World, proposal: Proposal) -> Receipt | Refusal:
    body = CreateAction(
        idempotency_key=key_of("recommendation", proposal.id),
        origin=ORIGIN,
        action_type=proposal.type,
        params=params_of(proposal.content),
        target_tenant_type=proposal.tenant_type,
        target_tenant_id=proposal.tenant_id,
        auto_execute=True,
        created_by=PROPOSER,
    )
    action_id = messages.action_id(proposal.issuer, body.idempotency_key, "")
    made = _made(world, proposal.issuer, action_id, body)
    if isinstance(made, Refusal):
        details = {"code": made.code.value, "error": made.sentence}
        world.put_proposal(proposal.decided(world.now, SYSTEM, "error", details))
        return made
    created = {"ops_action_id": str(action_id)}
    world.put_proposal(proposal.decided(world.now, SYSTEM, "create_ops_action", created).answered(action_id, world.now))
    told = f"Action {action_id} is created, as SIRA recommends.{unreachable_warning(made)}"
    return Receipt(Outcome.APPLIED, told, action_id=action_id)


def _made(world: World, issuer: str, action_id: UUID, body: CreateAction) -> Action | Refusal:
    """The action of a recommendation; one that SIRA asked for itself under the same key, if it asked for the same."""
    known = world.actions.get(action_id)
    if known is None:
        return creation.make(world, issuer, action_id, body)
    return creation.conflict(known, body) or known
