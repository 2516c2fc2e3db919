"""What the engine does when an internal action is executed: in one step with the end of its attempt, so once or not at all."""

from uuid import UUID

from domain import breaking, changing, creation, deadlines, exclusive, messages, outcomes, registering
from domain.action import Action
from domain.action_type import Inverse
from domain.internal_types import INTERNAL_TYPES, Internal
from domain.lifecycle import MAY_STILL_HAPPEN, Status
from domain.messages import CreateAction
from domain.outcome import Done, Outcome, Rejected, Retry
from domain.proposal import ALERT_ID, named
from domain.refusals import Refusal
from domain.subject import as_agreed
from domain.world import ENGINE, World


def made_by(action_id: UUID) -> UUID:
    """The id of the action that rolling something back by this action creates: votes on it may come before."""
    return messages.action_id(ENGINE, str(action_id), "")


def perform(world: World, action: Action) -> Outcome:
    """Carry out an internal action, and say what it came to."""
    if action.action_type not in INTERNAL_TYPES:
        return Rejected(f"Action type {action.action_type} is not the engine's to carry out.")
    kind = Internal(action.action_type)
    match kind:
        case Internal.CHANGE_DEFINITION:
            return changing.change(world, action)
        case Internal.REGISTER_KEY | Internal.ENROL_KEY:
            return registering.register(world, action)
        case Internal.RATIFY:
            return breaking.ratified(world, action)
        case Internal.RETRY | Internal.RESOLVE_OUTCOME | Internal.ROLL_BACK:
            return _perform_on_subject(world, kind, action)


def _perform_on_subject(world: World, kind: Internal, action: Action) -> Outcome:
    subject = as_agreed(world, action)
    if isinstance(subject, Rejected):
        return subject
    match kind:
        case Internal.RETRY:
            if (obstacle := _instead(world, subject)) is not None:
                return obstacle
            outcomes.begin_again(world, subject, action)
        case Internal.RESOLVE_OUTCOME:
            return _resolve(world, subject, action)
        case Internal.ROLL_BACK:
            return _roll_back(world, subject, action)
    return Done({"action_id": str(subject.id), "status": world.actions[subject.id].status})


def _instead(world: World, subject: Action) -> Rejected | None:
    """Why a failed action is not tried again: by now another stands in its place, or is for the same alert."""
    if (holder := exclusive.holder(world, subject.exclusive_key)) is not None:
        return Rejected(
            f"Action {holder.id} is open for the same by now; it is {holder.status}. Ask again once it has ended."
        )
    alert_id = named(subject.params, ALERT_ID)
    other = None if alert_id is None else exclusive.answering(world, alert_id)
    if other is None:
        return None
    return Rejected(
        f"Action {other.id} is for the same alert; it is {other.status}. Ask again if that comes to nothing; "
        "if the alert takes more, ask for an action of its own."
    )


def _resolve(world: World, subject: Action, action: Action) -> Outcome:
    """Say of a call what people found out. That it did not happen can only be said once it can happen no more."""
    found = Status(action.params["outcome"])
    wait_seconds = (outcomes.settles_at(world, subject) - world.now).total_seconds()
    if found is not Status.EXECUTED and wait_seconds > 0:
        return Retry("Its call may still be on its way.", wait_seconds)
    subject = outcomes.resolve(world, subject, action, found)
    return Done({"action_id": str(subject.id), "status": subject.status})


def _undoes(subject: Action, inverse: Inverse) -> bool:
    """Whether an action is what its own type's inverse would be: one type adds and takes back, by a param."""
    told_apart = inverse.params.items()
    return subject.action_type == inverse.action_type and bool(told_apart) and told_apart <= subject.params.items()


def _rolling_back(world: World, subject: Action, inverse: Inverse) -> Action | None:
    """What rolls it back already, or may still do so; one whose deadline has passed by now does not, swept or not."""
    made = [item for item in world.actions.values() if item.caused_by == subject.id]
    found = (deadlines.enforce(world, item) for item in made if item.action_type == inverse.action_type)
    return next((item for item in found if item.status in MAY_STILL_HAPPEN), None)


def _roll_back(world: World, subject: Action, action: Action) -> Outcome:
    """Create the inverse as an action of its own, which its own policy decides on."""
    inverse = world.action_type_of(subject).inverse
    if inverse is None:
        return Rejected(f"Action type {subject.action_type} names no inverse.")
    if inverse.action_type in INTERNAL_TYPES:  # whose key may ask for it, and who is kept out, would not be looked at
        return Rejected(f"Nothing is undone by {inverse.action_type}, which is the engine's own; ask for that itself.")
    if _undoes(subject, inverse):
        return Rejected(f"Action {subject.id} is such an inverse itself; the same again would not undo it.")
    if (other := _rolling_back(world, subject, inverse)) is not None:
        again = " Have it tried again by a RETRY." if other.status is Status.FAILED else ""
        return Rejected(f"Action {other.id} rolls it back already; it is {other.status}.{again}")
    body = CreateAction(
        idempotency_key=str(action.id),
        origin=action.origin,
        action_type=inverse.action_type,
        params=inverse.params_for(subject.params),
        created_by=action.created_by,
        triggered_by=action.triggered_by,
    )
    made = creation.make(world, ENGINE, made_by(action.id), body, caused_by=subject)
    if isinstance(made, Refusal):
        return Rejected(made.sentence)
    return Done({"action_id": str(subject.id), "rolled_back_by": str(made.id)})
