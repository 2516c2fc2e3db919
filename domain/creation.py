"""Creating an action: who may, which policy applies, and what is frozen from then on."""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from domain import (
    changing,
    choosing,
    content,
    exclusive,
    idempotency,
    messages,
    policy,
    quorum_tree,
    registering,
    voting,
)
from domain.action import Action
from domain.action_type import ActionType
from domain.deciding import unreachable_warning
from domain.definitions import Versioned
from domain.exact_json import canonical
from domain.facts import facts_of
from domain.internal_types import INTERNAL_TYPES, KEY_TYPES, Internal, subject_of
from domain.keys import Scope, not_spoken_for
from domain.messages import CreateAction, Message, Outcome, Receipt
from domain.policy import Rules, Terms
from domain.proposal import ALERT_ID, RECOMMENDATION_ID
from domain.quorum_tree import Tree
from domain.refusals import Code, Refusal
from domain.requirement import EscalationStep, Requirement
from domain.subject import with_attempt
from domain.trail import EventName
from domain.world import World

CREATOR_ROLES = frozenset({"ops_admin", "finance_ops", "pay_admin"})
"""One of these is needed to create an action as a person."""

REMEDIER_ROLES = frozenset({"ops_admin"})
"""One of these is needed to have an alert remedied as a person."""

_REMEDYING_ORIGINS = frozenset({"alert", "sira", "ops_ui"})
"""Where an action for an alert comes from: what anybody could name, nothing else would be done about."""

_FEWEST_FOR_INTERNAL = 2
"""How many people it takes at least to have the engine act on its own: a policy for everything must not open that too."""


def create(
    world: World, message: Message, body: CreateAction, creator_roles: frozenset[str] = CREATOR_ROLES
) -> Receipt | Refusal:
    """Make the action that a message asks for, and count the votes that were parked for it.

    A person needs one of `creator_roles` to ask for it, and one that is also of `REMEDIER_ROLES` to have an alert remedied.
    """
    action_id = messages.action_id(message.issuer, body.idempotency_key, message.jti)
    if (existing := world.actions.get(action_id)) is not None:
        return _again(existing, body)
    if (refusal := out_of_scope(message.scope, body.origin, body.action_type)) is not None:
        return refusal
    if ALERT_ID in body.params:
        if body.origin not in _REMEDYING_ORIGINS:
            origins = ", ".join(sorted(_REMEDYING_ORIGINS))
            return Refusal(
                Code.CREATOR_NOT_ALLOWED, f"An action for an alert (alert_id) has one of the origins {origins}."
            )
        creator_roles &= REMEDIER_ROLES
    if (refusal := _creator_refusal(world, message.scope, body, creator_roles)) is not None:
        return refusal
    action = make(world, message.issuer, action_id, body)
    if isinstance(action, Refusal):
        return action
    warnings = unreachable_warning(action) + idempotency.warning(body.idempotency_key)
    return Receipt(Outcome.APPLIED, f"Action {action_id} is created.{warnings}", action_id=action_id)


def make(
    world: World, issuer: str, action_id: UUID, body: CreateAction, caused_by: Action | None = None
) -> Action | Refusal:
    """Make an action of what a body asks for, whoever may ask for it; `caused_by` is the action that led to it."""
    action_type = world.definitions.action_types_in_force.get(body.action_type)
    if action_type is None:
        return Refusal(Code.UNKNOWN_ACTION_TYPE, f"It asks for {body.action_type!r}.")
    if problems := action_type.definition.problems_of(body.params):
        return Refusal(Code.INVALID_PARAMS, "; ".join(problems))
    if (refusal := _change_refusal(world, body)) is not None:
        return refusal
    asked = with_attempt(world, body)
    if isinstance(asked, Refusal):
        return asked
    if (subject_id := subject_of(asked.action_type, asked.params)) is not None:
        caused_by = world.actions[subject_id]
    facts = facts_of(action_type.definition, asked)
    if isinstance(facts, Refusal):
        return facts
    if (holder := exclusive.holder(world, action_type.definition.exclusive_key(body.params))) is not None:
        return Refusal(Code.ALREADY_OPEN, f"It is action {holder.id}, which is {holder.status}.", holder.id)
    return begin(world, issuer, action_id, body, action_type, facts, caused_by)


def begin(
    world: World,
    issuer: str,
    action_id: UUID,
    body: CreateAction,
    action_type: Versioned[ActionType],
    facts: dict[str, Any],
    caused_by: Action | None,
) -> Action | Refusal:
    """Begin an action of these facts under the policy that is for it; a refusal where none can be chosen, or weighed.

    Its params are those of the facts, which may say more than the body that was sent.
    """
    chosen = policy_for(world, facts)
    if isinstance(chosen, Refusal):
        return chosen
    terms = chosen.definition.policy.terms(body.required_quorum, body.required_ratio, body.timeout_seconds)
    if (ways := quorum_tree.ways(terms.tree)) > quorum_tree.MOST_WAYS:
        return Refusal(Code.TOO_MANY_WAYS, f"There are {ways}, and at most {quorum_tree.MOST_WAYS} are weighed.")
    frozen = _frozen(world, issuer, body, action_id, action_type, facts, chosen, terms, caused_by)
    action = _action(world, body, action_type.definition, frozen)
    action = world.note(action, EventName.CREATED, body.created_by, content.created(action))
    return voting.settle(world, action)


def policy_for(world: World, facts: Mapping[str, Any]) -> Versioned[policy.Policy] | Refusal:
    """The policy that an action of these facts falls under; a ratification always falls under one."""
    chosen, action_type = choosing.choose(world.definitions, facts), facts["action_type"]
    if isinstance(chosen, Refusal) and action_type != Internal.RATIFY:
        return chosen
    if isinstance(chosen, Refusal) or (action_type in INTERNAL_TYPES and lets_one_alone(world, chosen.definition)):
        return Versioned(0, policy.DEFAULT_POLICY)
    return chosen


def conflict(existing: Action, body: CreateAction) -> Refusal | None:
    """Why an action is not what a body with its key asks for, if so."""
    if existing.body_sha256 == body_sha256(body):
        return None
    return Refusal(Code.IDEMPOTENCY_CONFLICT, f"That action is {existing.id}.")


def _again(existing: Action, body: CreateAction) -> Receipt | Refusal:
    if (refusal := conflict(existing, body)) is not None:
        return refusal
    return Receipt(Outcome.DUPLICATE, f"This asks for action {existing.id} again.", action_id=existing.id)


def body_sha256(body: CreateAction) -> bytes:
    """The SHA-256 of what a message asks for: the same key with another one is a conflict."""
    return sha256(canonical(body.model_dump(mode="json", exclude_unset=True))).digest()


def _triggered_by(body: CreateAction) -> str | None:
    """Who had it asked for: of what a person asks for because SIRA recommended it, that person."""
    applies = body.origin == "ops_ui" and RECOMMENDATION_ID in body.params
    return body.created_by if applies and body.triggered_by is None else body.triggered_by


def out_of_scope(scope: Scope, origin: str, action_type: str) -> Refusal | None:
    """Why a key may not ask for such an action, if so."""
    if action_type == Internal.RATIFY:
        return Refusal(Code.OUT_OF_SCOPE, "The engine asks for a ratification itself, when somebody breaks glass.")
    if not Scope.allows(scope.origins, origin):
        return Refusal(Code.OUT_OF_SCOPE, f"Its scope does not have the origin {origin!r}.")
    if not scope.may_ask_for(action_type):
        return Refusal(Code.OUT_OF_SCOPE, f"Its scope does not have the action type {action_type!r}.")
    return None


def _creator_refusal(world: World, scope: Scope, body: CreateAction, roles: frozenset[str]) -> Refusal | None:
    """People need a role that the key may speak for; machines are bounded by their key's scope alone.

    The ops console speaks for people only. Elsewhere the creator is a person if the directory knows one of that name.
    """
    held = world.directory.roles_of(body.created_by, world.now)
    if body.origin != "ops_ui" and not world.directory.has(body.created_by, world.now):
        return None
    if any(Scope.allows(scope.roles, role) for role in held & roles):
        return None
    needed = f"{body.created_by!r} needs one of {', '.join(sorted(roles))}."
    return Refusal(Code.CREATOR_NOT_ALLOWED, needed + not_spoken_for(held & roles))


def _change_refusal(world: World, body: CreateAction) -> Refusal | None:
    if body.action_type in KEY_TYPES:
        return registering.refusal(world, body.action_type, body.params)
    return changing.refusal(world, body.params) if body.action_type == Internal.CHANGE_DEFINITION else None


def lets_one_alone(world: World, chosen: policy.Policy) -> bool:
    """Whether one person could fill its quorum alone, or nobody need."""
    tree = chosen.policy.tree
    return tree is None or quorum_tree.fewest(tree, world.directory, world.now) < _FEWEST_FOR_INTERNAL


def requirement(world: World, rules: Rules, terms: Terms, action_type: str, excluded: set[str]) -> Requirement:
    """What the approval of an action of this type takes under these rules, with these people kept out."""
    tree = quorum_tree.freeze(terms.tree, world.directory, world.now)
    steps = _not_easier(world, tree, terms.escalation) if terms.brought_forward else terms.escalation
    return Requirement(
        tree=tree,
        required_ratio=terms.required_ratio,
        escalation=_not_alone(steps) if action_type in INTERNAL_TYPES else steps,
        veto_roles=rules.veto_roles,
        excluded=tuple(sorted(excluded)),
        require_content_hash=rules.require_content_hash,
        require_personal_key=rules.require_personal_key,
        break_glass=None if action_type in INTERNAL_TYPES else rules.break_glass,
    )


def _not_easier(world: World, tree: Tree | None, steps: tuple[EscalationStep, ...]) -> tuple[EscalationStep, ...]:
    """Steps that ask for no fewer people than the tree does: who shortens a deadline must not make it easier by that."""
    fewest = 0 if tree is None else quorum_tree.fewest(tree, world.directory, world.now)
    return tuple(step.model_copy(update={"min_votes": None}) if step.is_easier(fewest) else step for step in steps)


def _not_alone(steps: tuple[EscalationStep, ...]) -> tuple[EscalationStep, ...]:
    """Steps by which nobody agrees alone, whatever the policy says."""
    more = {"min_votes": _FEWEST_FOR_INTERNAL}
    return tuple(step.model_copy(update=more) if step.is_easier(_FEWEST_FOR_INTERNAL) else step for step in steps)


def _kept_out(rules: Rules, body: CreateAction, target: str | None, caused_by: Action | None) -> set[str]:
    """Separation of duties: the target, and who asked for it unless the policy lets them approve.

    Where another action led to this one, nobody with a part in either votes, whatever the policy allows: who asked for
    something does not say what became of it. What a definition or an issuer is called is no person's name: whoever asks
    could keep out with it who would say no.
    """
    names = {None if body.action_type in {Internal.CHANGE_DEFINITION, Internal.REGISTER_KEY} else target}
    if caused_by is not None:
        names |= {caused_by.created_by, caused_by.triggered_by, *caused_by.requirement.excluded}
    if caused_by is not None or body.action_type in INTERNAL_TYPES or not rules.allow_self_approval:
        names |= {body.created_by, body.triggered_by}
    return {name for name in names if name is not None}


def _frozen(
    world: World,
    issuer: str,
    body: CreateAction,
    action_id: UUID,
    action_type: Versioned[ActionType],
    facts: dict[str, Any],
    chosen: Versioned[policy.Policy],
    terms: Terms,
    caused_by: Action | None,
) -> dict[str, Any]:
    """What never changes of an action, field by field: what is asked for, and who must agree."""
    rules = chosen.definition.policy
    return {
        "id": action_id,
        "issuer": issuer,
        "idempotency_key": body.idempotency_key,
        "origin": body.origin,
        "action_type": body.action_type,
        "action_type_version": action_type.version,
        "params": facts["params"],
        "target_tenant_type": facts.get("target_tenant_type"),
        "target_tenant_id": facts.get("target_tenant_id"),
        "risk_level": facts["risk_level"],
        "created_by": body.created_by,
        "triggered_by": _triggered_by(body),
        "policy_name": chosen.definition.name,
        "policy_version": chosen.version,
        "requirement": requirement(
            world, rules, terms, body.action_type, _kept_out(rules, body, facts.get("target_tenant_id"), caused_by)
        ),
        "required_quorum": terms.required_quorum,
        "required_ratio": terms.required_ratio,
        "timeout_seconds": terms.timeout_seconds,
        "escalation_role": terms.escalation[0].role if terms.escalation else None,
        "auto_execute": body.action_type == Internal.RATIFY
        or policy.effective_auto_execute(rules.auto_execute, body.auto_execute),
        "execute_within_seconds": rules.execute_within_seconds,
        "caused_by": None if caused_by is None else caused_by.id,
    }


def _action(world: World, body: CreateAction, action_type: ActionType, frozen: dict[str, Any]) -> Action:
    expires_at = world.now + timedelta(seconds=frozen["timeout_seconds"])
    return Action(
        **frozen,
        content_hash=content.content_hash(frozen),
        body_sha256=body_sha256(body),
        created_at=world.now,
        exclusive_key=action_type.exclusive_key(body.params),
        updated_at=world.now,
        expires_at=expires_at,
        due_at=expires_at,
    )
