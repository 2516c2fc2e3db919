"""Voting: whose vote counts, and since when."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from domain import breaking, deadlines, deciding
from domain.action import Action, Vote
from domain.electorate import Electorate
from domain.keys import Scope, not_spoken_for
from domain.lifecycle import OPEN, Status
from domain.messages import CastVote, Message, Outcome, Receipt
from domain.quorum import Choice
from domain.quorum_tree import ANY_ROLE
from domain.refusals import Code, Refusal
from domain.seating import Voice
from domain.trail import EventName, timestamp
from domain.world import World

MAX_PARKED = 100
"""How many votes may wait for one action: creating it must stay a matter of milliseconds."""

WAITED_IN_VAIN = Refusal(Code.UNKNOWN_ACTION, "The vote waited for it until its exp.")

_WHO_MAY = "`ops-approval actions show` says which roles may, and `ops-approval directory who` who holds one."


def vote(world: World, message: Message, body: CastVote) -> Receipt | Refusal:
    """Count a vote, or park it until its action comes, and decide if that decides.

    A person's vote with the latest `cast_at` is the one that counts, in whatever order they arrive; ties by jti, then by issuer.
    """
    if message.person not in (None, body.voter_id):
        return Refusal(Code.OUT_OF_SCOPE, f"It is the own key of {message.person!r} and casts nobody else's votes.")
    action = world.actions.get(body.action_id)
    if action is None and message.person is None and not message.scope.roles:
        return Refusal(Code.OUT_OF_SCOPE, "Its key may speak for no role, and so for nobody.")
    if action is None and body.break_glass is not None:
        return Refusal(Code.UNKNOWN_ACTION, "Glass is not broken for what is not there yet.")
    if action is None:
        if world.parked_counts.get(body.action_id, 0) >= MAX_PARKED:
            return Refusal(Code.TOO_MANY_PARKED)
        world.parked_counts[body.action_id] = world.parked_counts.get(body.action_id, 0) + 1
        world.parked.setdefault(body.action_id, []).append(message)
        return Receipt(Outcome.PARKED, "The vote waits for its action to be created.", action_id=body.action_id)
    action = deadlines.enforce(world, action)
    voice = voice_of(world, message, body.voter_id)
    if (refusal := next(refusals(world, action, message, body, voice), None)) is not None:
        return refusal
    cast = _vote(world, message, body, voice)
    previous = world.votes.get(action.id, {}).get(body.voter_id)
    if previous is not None and previous.order >= cast.order:
        return Refusal(Code.SUPERSEDED)
    world.put_vote(cast)
    counts = cast.choice is not Choice.WITHDRAW  # which may come before the vote that it takes back
    status = Status.PENDING_APPROVAL if counts and action.status is Status.REQUESTED else action.status
    action = world.note(action, EventName.VOTED, body.voter_id, _voted(cast), status=status)
    if cast.break_glass is not None:
        action = breaking.note(world, action, cast.person_id, cast.break_glass)
    action = deciding.decide(world, action)
    done = "counted" if counts else "withdrawn"
    return Receipt(Outcome.APPLIED, f"The vote is {done}; the action is {action.status}.", action_id=action.id)


def settle(world: World, action: Action) -> Action:
    """Decide a new action, as nobody may need to approve it or nobody can, then count the votes that came before it."""
    action = deciding.decide(world, action)
    answer: Receipt | Refusal
    for message in sorted(
        world.parked.pop(action.id, ()), key=lambda parked: (parked.issued_at, parked.jti, parked.issuer)
    ):
        match message.body:
            case CastVote() if message.expires_at <= world.now:
                answer = WAITED_IN_VAIN
            case CastVote() as body:
                answer = vote(world, message, body)
            case Refusal() as refusal:
                answer = refusal
            case _:
                continue  # nothing but votes is ever parked
        receipt = Receipt.refused(answer) if isinstance(answer, Refusal) else answer
        record = world.records[message.content_sha256]
        world.put_record(replace(record, outcome=receipt.outcome, code=receipt.code, sentence=receipt.sentence))
    return world.actions[action.id]


def voice_of(world: World, message: Message, voter: str) -> Voice:
    """The voter, and whom they may act for now, each with the roles held that the key may speak for.

    `ANY_ROLE` is beside them if the key is not bound to roles at all.
    """
    directory, now, allowed = world.directory, world.now, message.scope.roles
    voice: dict[str, frozenset[str]] = {}
    for person in (voter, *sorted(directory.delegators(voter, now))):
        usable = frozenset(role for role in directory.roles_of(person, now) if Scope.allows(allowed, role))
        speaks_for_any = ANY_ROLE in allowed and directory.has(person, now)
        voice[person] = usable | {ANY_ROLE} if speaks_for_any else usable
    return voice


def refusals(world: World, action: Action, message: Message, body: CastVote, voice: Voice) -> Iterator[Refusal]:
    """Why this vote may not count: every reason there is, the most telling first; the first one is the vote's answer."""
    if not Scope.allows(message.scope.action_types, action.action_type):
        yield Refusal(Code.OUT_OF_SCOPE, f"Its scope does not have the action type {action.action_type!r}.")
    if action.status not in OPEN:
        yield Refusal(Code.ACTION_CLOSED, f"It is {action.status}.")
    electorate = action.live_requirement.electorate(world.directory, world.now)
    if (name := electorate.kept_out_by(body.voter_id)) is not None:
        acting = "" if name == body.voter_id else f", and {body.voter_id!r} may act for them"
        yield Refusal(Code.SEPARATION_OF_DUTIES, f"That is {name!r} here{acting}.")
        electorate = replace(electorate, excluded=())  # what else there is, were they not kept out
    held = frozenset().union(*(world.directory.roles_of(person, world.now) for person in voice))
    if claimed := set(body.voter_roles) - held:
        roles = ", ".join(sorted(claimed))
        yield Refusal(Code.ROLE_NOT_HELD, f"Neither {body.voter_id!r} nor anybody they act for holds {roles}.")
    alone = body.break_glass is not None
    unspoken = held - frozenset().union(*voice.values())
    refusal = breaking.refusal(world, action, body, voice) if alone else _ineligible(electorate, body, voice, unspoken)
    if refusal is not None and not _takes_back(world, message, body):
        yield refusal
    if action.requirement.require_personal_key and message.person is None:
        yield Refusal(Code.PERSONAL_KEY_REQUIRED)
    if action.requirement.require_content_hash and body.content_hash is None:
        yield Refusal(Code.CONTENT_HASH_REQUIRED)
    if body.content_hash is not None and body.content_hash != action.content_hash.hex():
        yield Refusal(Code.CONTENT_HASH_MISMATCH)
    if body.cast_at is not None and body.cast_at > message.issued_at:
        yield Refusal(Code.CAST_IN_FUTURE)


def _takes_back(world: World, message: Message, body: CastVote) -> bool:
    """Whether this takes back a vote that this key could have cast: who lost the role may, as the vote may count again."""
    cast = world.votes.get(body.action_id, {}).get(body.voter_id)
    if cast is None or cast.choice is Choice.WITHDRAW or body.vote is not Choice.WITHDRAW:
        return False
    return all(Scope.allows(message.scope.roles, role) for role in {*cast.roles}.union(*cast.acts_for.values()))


def _ineligible(electorate: Electorate, body: CastVote, voice: Voice, unspoken: frozenset[str]) -> Refusal | None:
    """Why this vote would count for nothing, if so; `unspoken` are the roles for which its key may not speak."""
    heard = electorate.heard({body.voter_id: voice}).get(body.voter_id, {})
    if not heard:
        return Refusal(Code.NOT_ELIGIBLE, _WHO_MAY + not_spoken_for(unspoken))
    if body.vote is Choice.APPROVE and not any(electorate.seats(*spoken_for) for spoken_for in heard.items()):
        vetoing = electorate.veto_of(frozenset().union(*heard.values()))
        return Refusal(Code.NOT_ELIGIBLE, f"With {vetoing} they may reject, abstain or withdraw, and not approve.")
    return None


def _vote(world: World, message: Message, body: CastVote, voice: Voice) -> Vote:
    return Vote(
        action_id=body.action_id,
        person_id=body.voter_id,
        choice=body.vote,
        comment=body.comment,
        roles=tuple(sorted(voice[body.voter_id])),
        acts_for={person: sorted(roles) for person, roles in voice.items() if roles and person != body.voter_id},
        cast_at=body.cast_at or message.issued_at,
        issuer=message.issuer,
        jti=message.jti,
        kid=message.kid,
        content_hash=body.content_hash,
        break_glass=body.break_glass,
        metadata=body.metadata,
        recorded_at=world.now,
    )


def _voted(cast: Vote) -> dict[str, Any]:
    return {
        "vote": cast.choice,
        "comment": cast.comment,
        "roles": list(cast.roles),
        "acts_for": cast.acts_for,
        "cast_at": timestamp(cast.cast_at),
        "issuer": cast.issuer,
        "jti": cast.jti,
        "kid": cast.kid,
        "content_hash": cast.content_hash,
        "break_glass": cast.break_glass,
    }
