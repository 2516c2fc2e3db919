"""The one function that changes state: `step` takes a world and an input, and answers with a receipt.

It is pure in the sense that matters: the same world and input always give the same receipt and the same changes; it reads
no clock, draws nothing at random and talks to nobody. A batch means the same as one message after the other because it
is one message after the other, between one load and one save.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from domain import (
    cancelling,
    creation,
    deadlines,
    executing,
    limits,
    ratifying,
    recommending,
    remedying,
    sync,
    voting,
)
from domain.executing import AttemptFinished, AttemptRenewed, AttemptStarted, OutcomeFound, Perform
from domain.keys import Scope
from domain.limits import Share
from domain.messages import (
    CLOCK_TOLERANCE_SECONDS,
    LIFETIME_SECONDS,
    UNSETTLED,
    CancelAction,
    CastVote,
    CreateAction,
    ExecuteAction,
    Message,
    Outcome,
    Receipt,
    SyncDirectory,
    Unopened,
)
from domain.proposal import RECOMMENDATION_ID, RecommendAction, RemediateAlert
from domain.refusals import Code, Refusal
from domain.remedying import Recommended
from domain.world import Record, World


@dataclass(frozen=True, slots=True)
class Due:
    """An action's `due_at` may have come."""

    action_id: UUID


@dataclass(frozen=True, slots=True)
class ParkingEnded:
    """A parked vote's `exp` may have passed without its action coming."""

    content_sha256: bytes
    action_id: UUID


@dataclass(frozen=True, slots=True)
class Undigestible:
    """A message whose data the database refused when it was alone in its batch; `reason` names the error's class."""

    message: Message | Unopened
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """An operator gives up a message that is dead or in quarantine."""

    content_sha256: bytes
    by: str
    why: str


Attempting = AttemptStarted | AttemptRenewed | AttemptFinished | Perform | OutcomeFound
Input = Message | Unopened | Undigestible | Drop | Due | ParkingEnded | Recommended | Attempting


_COUNTED = frozenset({Outcome.APPLIED, Outcome.PARKED})
"""What takes from somebody's share of an hour."""


def step(world: World, given: Input) -> Receipt:
    """Apply one input to the world, in memory, and say what became of it. Messages leave a record of their receipt."""
    match given:
        case Message():
            return _receive(world, given)
        case Unopened():
            return _quarantine(world, given)
        case Undigestible():
            return _bury(world, given)
        case Drop():
            return _drop(world, given)
        case Due():
            return _touch(world, given.action_id)
        case ParkingEnded():
            return _unpark(world, given)
        case Recommended():
            return _answer(remedying.answered(world, given), given.action_id)
        case AttemptStarted():
            return _answer(executing.start(world, given), given.action_id)
        case AttemptRenewed():
            return _answer(executing.renew(world, given), given.action_id)
        case AttemptFinished() | Perform():
            return _answer(executing.finish(world, given), given.action_id)
        case OutcomeFound():
            return _answer(executing.found(world, given), given.action_id)


def _answer(answer: Receipt | Refusal, action_id: UUID | None) -> Receipt:
    return Receipt.refused(answer, action_id) if isinstance(answer, Refusal) else answer


def _receive(world: World, message: Message) -> Receipt:
    """A message's one outcome. The same token again gets the stored receipt, whatever the time is by now."""
    known = world.records.get(message.content_sha256)
    if known is not None and known.outcome not in UNSETTLED:
        return known.receipt
    answer = _admit(world, message) or _over_limit(world, message) or _dispatch(world, message)
    receipt = _answer(answer, message.action_id)
    share = _taken(world, message, receipt)
    if share is not None:
        world.use(share)
    world.put_record(
        Record(
            content_sha256=message.content_sha256,
            token=message.token,
            outcome=receipt.outcome,
            sentence=receipt.sentence,
            code=receipt.code,
            action_id=receipt.action_id,
            issuer=message.issuer,
            jti=message.jti,
            kid=message.kid,
            type=message.type,
            issued_at=message.issued_at,
            expires_at=message.expires_at,
            actor=None if share is None else share.actor,
        )
    )
    return replace(receipt, content_sha256=message.content_sha256)


def _admit(world: World, message: Message) -> Refusal | None:
    """Why this message is not even looked at, if so: its identity, its addressee, its time, its type's scope."""
    if world.identities.get((message.issuer, message.jti), message.content_sha256) != message.content_sha256:
        return Refusal(Code.IDENTITY_CONFLICT)
    if message.audience != world.audience:
        return Refusal(Code.WRONG_AUDIENCE, f"It names {message.audience!r}; this is {world.audience!r}.")
    if message.expires_at <= world.now:
        return Refusal(Code.EXPIRED)
    if message.issued_at > world.now + timedelta(seconds=CLOCK_TOLERANCE_SECONDS):
        return Refusal(Code.NOT_YET_VALID)
    if message.expires_at - message.issued_at > timedelta(seconds=LIFETIME_SECONDS):
        return Refusal(Code.LIFETIME_TOO_LONG)
    if isinstance(message.body, Refusal):
        return message.body
    if not Scope.allows(message.scope.types, message.type):
        return Refusal(Code.OUT_OF_SCOPE, f"Its scope does not have the message type {message.type!r}.")
    return None


def _taken(world: World, message: Message, receipt: Receipt) -> Share | None:
    """The share that a message has taken from; an alert about which nothing is done takes from none."""
    if receipt.outcome not in _COUNTED:
        return None
    if isinstance(message.body, RemediateAlert) and not world.proposals["alert", message.body.alert.id].is_followed:
        return None
    return limits.share_of(message, world.directory, world.now)


def _over_limit(world: World, message: Message) -> Refusal | None:
    """Why it must wait that somebody asks for more; who asks for the same again gets their answer."""
    match message.body:
        case CreateAction() if message.action_id in world.actions:
            return None
        case RemediateAlert() | RecommendAction():  # which look themselves, once they know that something is asked for
            return None
    return world.over_limit(message)


def _dispatch(world: World, message: Message) -> Receipt | Refusal:
    match message.body:
        case CreateAction() as body if RECOMMENDATION_ID in body.params:
            return recommending.apply(world, message, body)
        case CreateAction() as body:
            return creation.create(world, message, body)
        case RemediateAlert() as body:
            return remedying.receive(world, message, body)
        case RecommendAction() as body:
            return recommending.receive(world, message, body)
        case CastVote(break_glass=str(reason)) as body:
            return ratifying.vote(world, message, body, reason)
        case CastVote() as body:
            return voting.vote(world, message, body)
        case ExecuteAction() as body:
            return executing.request(world, message, body)
        case CancelAction() as body:
            return cancelling.cancel(world, message, body)
        case SyncDirectory() as body:
            return sync.sync(world, body)
        case Refusal() as refusal:
            return refusal


def _quarantine(world: World, unopened: Unopened) -> Receipt:
    known = world.records.get(unopened.content_sha256)
    if known is not None and (known.outcome is not Outcome.QUARANTINED or known.code is unopened.refusal.code):
        return known.receipt
    record = Record(
        content_sha256=unopened.content_sha256,
        token=unopened.token,
        outcome=Outcome.QUARANTINED,
        sentence=unopened.refusal.sentence,
        code=unopened.refusal.code,
        excerpt=unopened.excerpt,
    )
    world.put_record(record)
    return record.receipt


def _bury(world: World, undigestible: Undigestible) -> Receipt:
    """Record a message that cannot be applied by any means, without touching anything else; unless it has its receipt."""
    known = world.records.get(undigestible.message.content_sha256)
    if known is not None and known.outcome not in UNSETTLED:
        return known.receipt
    given, refusal = undigestible.message, Refusal(Code.DEAD_LETTER, undigestible.reason)
    record = Record(given.content_sha256, None, Outcome.DEAD, refusal.sentence, refusal.code)
    if isinstance(given, Message):
        record = replace(record, token=given.token, kid=given.kid, type=given.type)
        if world.identities.get((given.issuer, given.jti), given.content_sha256) == given.content_sha256:
            record = replace(record, issuer=given.issuer, jti=given.jti)
    world.put_record(record)
    return record.receipt


def _drop(world: World, drop: Drop) -> Receipt:
    """Make the no final. What has its answer already keeps it."""
    known = world.records.get(drop.content_sha256)
    if known is None:
        return Receipt.refused(Refusal(Code.NOT_DUE))
    if known.outcome in UNSETTLED:
        refusal = Refusal(Code.DROPPED, f"By {drop.by}: {drop.why}")
        known = replace(known, outcome=Outcome.REFUSED, code=refusal.code, sentence=refusal.sentence)
        world.put_record(known)
    return known.receipt


def _touch(world: World, action_id: UUID) -> Receipt:
    action = world.actions.get(action_id)
    if action is None or action.due_at is None or action.due_at > world.now:
        return Receipt.refused(Refusal(Code.NOT_DUE), action_id)
    action = deadlines.enforce(world, action)
    executing.due(world, action)
    return Receipt(Outcome.APPLIED, f"The action is {world.actions[action_id].status}.", action_id=action_id)


def _unpark(world: World, ended: ParkingEnded) -> Receipt:
    record = world.records.get(ended.content_sha256)
    if record is None or record.outcome is not Outcome.PARKED:
        return Receipt.refused(Refusal(Code.NOT_DUE))
    if record.expires_at is None or record.expires_at > world.now:
        return Receipt.refused(Refusal(Code.NOT_DUE))
    refusal = voting.WAITED_IN_VAIN
    record = replace(record, outcome=Outcome.REFUSED, code=refusal.code, sentence=refusal.sentence)
    world.put_record(record)
    return record.receipt
