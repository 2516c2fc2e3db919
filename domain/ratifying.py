"""Breaking glass by a vote, and the action by which others say afterwards whether that was right."""

from uuid import UUID

from domain import creation, messages, voting
from domain.internal_types import Internal
from domain.messages import CastVote, CreateAction, Message, Outcome, Receipt
from domain.refusals import Refusal
from domain.world import ENGINE, World


def ratification_id(message: Message) -> UUID:
    """The id of the action that breaking glass by this message creates: votes on it may come before."""
    return messages.action_id(ENGINE, message.content_sha256.hex(), "")


def vote(world: World, message: Message, body: CastVote, reason: str) -> Receipt | Refusal:
    """Count a vote that breaks glass and, in the same step, ask others to ratify it."""
    receipt = voting.vote(world, message, body)
    if isinstance(receipt, Refusal) or receipt.outcome is not Outcome.APPLIED:
        return receipt
    asked = CreateAction(
        idempotency_key=message.content_sha256.hex(),
        origin="system",
        action_type=Internal.RATIFY,
        params={"action_id": str(body.action_id), "reason": reason},
        created_by=body.voter_id,
    )
    made = creation.make(world, ENGINE, ratification_id(message), asked, caused_by=world.actions[body.action_id])
    if isinstance(made, Refusal):  # there is always a policy that it falls under; without it nothing may be approved
        raise TypeError(made.sentence)
    sentence = f"{receipt.sentence} Action {made.id} asks others to ratify it."
    return Receipt(Outcome.APPLIED, sentence, action_id=receipt.action_id)
