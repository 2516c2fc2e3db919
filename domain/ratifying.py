"""Breaking glass by a vote, and the action by which others say afterwards whether that was right."""

from uuid import UUID

from domain import creation, deadlines, messages, voting
from domain.internal_types import Internal
from domain.messages import CastVote, CreateAction, Message, Outcome, Receipt
from domain.refusals import Refusal
from domain.world import ENGINE, World


def ratification_id(message: Message) -> UUID:
    """The id of the action that breaking glass by this message creates: votes on it may come before."""
    return messages.action_id(ENGINE, message.content_sha256.hex(), "")


def wish(action_id: UUID, person: str, reason: str, key: str | None = None) -> CreateAction:
    """What the engine asks for when a person approves an action alone: that others ratify it."""
    return CreateAction(
        idempotency_key=key,
        origin="system",
        action_type=Internal.RATIFY,
        params={"action_id": str(action_id), "reason": reason},
        created_by=person,
    )


def vote(world: World, message: Message, body: CastVote, reason: str) -> Receipt | Refusal:
    """Count a vote that breaks glass and, in the same step, ask others to ratify it."""
    deadlines.enforce_ratifications(world)
    receipt = voting.vote(world, message, body)
    if isinstance(receipt, Refusal) or receipt.outcome is not Outcome.APPLIED:
        return receipt
    asked = wish(body.action_id, body.voter_id, reason, message.content_sha256.hex())
    made = creation.make(world, ENGINE, ratification_id(message), asked, caused_by=world.actions[body.action_id])
    if isinstance(made, Refusal):  # there is always a policy that it falls under; without it nothing may be approved
        raise TypeError(made.sentence)
    sentence = f"{receipt.sentence} Action {made.id} asks others to ratify it."
    return Receipt(Outcome.APPLIED, sentence, action_id=receipt.action_id)
