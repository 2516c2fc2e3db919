"""Taking an action back: by who created it or an ops_admin, until its execution has started."""

from domain import deadlines
from domain.action import Action
from domain.internal_types import Internal
from domain.keys import Scope
from domain.lifecycle import OPEN, Status
from domain.messages import CancelAction, Message, Outcome, Receipt
from domain.refusals import Code, Refusal
from domain.trail import EventName
from domain.world import World

CANCELLER_ROLE = "ops_admin"
"""Who holds it may cancel what others created."""


def cancel(world: World, message: Message, body: CancelAction) -> Receipt | Refusal:
    """Cancel an action that nothing has been done about yet."""
    action = world.actions.get(body.action_id)
    if action is None:
        return Refusal(Code.UNKNOWN_ACTION)
    if not Scope.allows(message.scope.action_types, action.action_type):
        return Refusal(Code.OUT_OF_SCOPE, f"Its scope does not have the action type {action.action_type!r}.")
    if action.action_type == Internal.RATIFY:
        return Refusal(Code.CANCELLER_NOT_ALLOWED, "What asks to ratify is voted on, and cancelled by nobody.")
    if not _may(world, message, body, action):
        return Refusal(Code.CANCELLER_NOT_ALLOWED)
    action = deadlines.enforce(world, action)
    if world.attempts.get(action.id):
        return Refusal(Code.ALREADY_STARTED, f"It is {action.status}.")
    if action.status not in OPEN | {Status.APPROVED}:
        return Refusal(Code.ACTION_CLOSED, f"It is {action.status}.")
    data = {"was": action.status, "reason": body.reason, "issuer": message.issuer, "jti": message.jti}
    ended = {"status": Status.CANCELLED, "next_attempt_at": None, "due_at": None}
    world.note(action, EventName.CANCELLED, body.cancelled_by, data, **ended)
    return Receipt(Outcome.APPLIED, "The action is cancelled.", action_id=action.id)


def _may(world: World, message: Message, body: CancelAction, action: Action) -> bool:
    """People through a key that may speak for a role of theirs; machines through the issuer that created it."""
    held = world.directory.roles_of(body.cancelled_by, world.now)
    usable = {role for role in held if Scope.allows(message.scope.roles, role)}
    if CANCELLER_ROLE in usable:
        return True
    is_person = world.directory.has(body.cancelled_by, world.now)
    speaks_for_creator = bool(usable) if is_person else message.issuer == action.issuer
    return body.cancelled_by == action.created_by and speaks_for_creator
