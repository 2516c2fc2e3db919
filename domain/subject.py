"""What an internal action is about: another action, and the last attempt at it when it was asked for.

That attempt is told by its number and never by the time: a clock that steps back would take one attempt for another.
"""

from domain import outcomes
from domain.action import Action
from domain.internal_types import ATTEMPT, SUBJECT_STATUS, Internal, subject_of
from domain.messages import CreateAction
from domain.outcome import Rejected
from domain.refusals import Code, Refusal
from domain.world import World


def with_attempt(world: World, body: CreateAction) -> CreateAction | Refusal:
    """What a body asks for, with the attempt that it is about, named by its sender or not; about no action, as it is."""
    if body.action_type not in SUBJECT_STATUS:
        return body
    subject_id = subject_of(body.action_type, body.params)
    subject = None if subject_id is None else world.actions.get(subject_id)
    if subject is None or subject.status is not SUBJECT_STATUS[Internal(body.action_type)]:
        return Refusal(Code.SUBJECT_NOT_IN_STATE, f"It is {'unknown' if subject is None else subject.status}.")
    last = outcomes.last_attempt(world, subject).number
    if body.params.get(ATTEMPT, last) != last:
        return Refusal(Code.SUBJECT_NOT_IN_STATE, f"It is {subject.status}; its last attempt is number {last}.")
    return body.model_copy(update={"params": body.params | {ATTEMPT: last}})


def as_agreed(world: World, action: Action) -> Action | Rejected:
    """The action that people agreed to do something about, as they knew it; else why nothing is done about it."""
    subject_id = subject_of(action.action_type, action.params)
    subject = None if subject_id is None else world.actions.get(subject_id)
    if subject is None:
        return Rejected("The action that this is about is not there.")
    status = SUBJECT_STATUS[Internal(action.action_type)]
    if subject.status is not status:
        return Rejected(f"Action {subject.id} is {subject.status} by now, and no longer {status}.")
    if ATTEMPT not in action.params:
        return Rejected(
            f"It does not say which attempt at action {subject.id} it is about, as it is too old. Ask again."
        )
    if action.params[ATTEMPT] != outcomes.last_attempt(world, subject).number:
        return Rejected(f"Action {subject.id} was tried again since; people agreed on what they knew before.")
    return subject
