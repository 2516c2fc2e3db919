"""How much one person, or an issuer's machines, may do in an hour: what floods the engine has its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from domain.directory import Directory
from domain.messages import CastVote, CreateAction, ExecuteAction, Message
from domain.proposal import RecommendAction, RemediateAlert
from domain.refusals import Code, Refusal
from domain.trail import timestamp

PERIOD_SECONDS = 3600

PerHour = Annotated[int, Field(ge=1)]


class Share(NamedTuple):
    """Whose messages of a type an hour's limit counts: a person's through an issuer, or all of its machines', as whose the issuer acts."""

    issuer: str
    actor: str
    type: str


class Limits(BaseModel):
    """How much of one share is applied in any hour; what is refused, or was known, does not count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    creates_per_hour: PerHour = 100
    votes_per_hour: PerHour = 500
    executions_per_hour: PerHour = 50

    def of(self, message_type: str) -> int:
        """The limit of messages of a type that has one."""
        return {
            CreateAction.__name__: self.creates_per_hour,
            RecommendAction.__name__: self.creates_per_hour,
            RemediateAlert.__name__: self.creates_per_hour,
            CastVote.__name__: self.votes_per_hour,
            ExecuteAction.__name__: self.executions_per_hour,
        }[message_type]


@dataclass(frozen=True, slots=True)
class Use:
    """How many messages were applied in the hour that ends now, and when the first of them came."""

    count: int
    first_at: datetime


def share_of(message: Message, directory: Directory, now: datetime) -> Share | None:
    """The share that a message takes from; None if it is not counted.

    People have one each. What an issuer calls its machines is its own say, so all of them have one together.
    """
    match message.body:
        case CreateAction(created_by=actor) | CastVote(voter_id=actor) | ExecuteAction(executed_by=actor):
            return Share(message.issuer, actor if directory.has(actor, now) else message.issuer, message.type)
        case RecommendAction() | RemediateAlert():
            return Share(message.issuer, message.issuer, message.type)
        case _:
            return None


def refusal(limits: Limits, used: Mapping[Share, Use], share: Share | None) -> Refusal | None:
    """Why what takes from a share must wait, if so, and until when."""
    use = None if share is None else used.get(share)
    if share is None or use is None or use.count < limits.of(share.type):
        return None
    again_at = use.first_at + timedelta(seconds=PERIOD_SECONDS)
    return Refusal(
        Code.RATE_LIMITED,
        f"The limit is {limits.of(share.type)} of {share.type}; send it again, as a new message, after {timestamp(again_at)}.",
    )
