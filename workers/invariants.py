"""The invariants that need more than SQL: signatures, hashes, the trail told again, decisions made again.

Each looks at one action as a whole. `check` holds a database against all of them, and those in `db/invariants/` too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from db import history, invariants
from db.connect import Connection
from db.history import History
from db.invariants import SHOWN, Broken, Invariant, Violation
from db.keys import KeyRing, load_key_ring
from domain import content, creation, deciding, lifecycle, trail
from domain.action import Vote
from domain.lifecycle import ForbiddenTransition, Status
from domain.messages import CastVote, CreateAction, parse_body
from domain.quorum import Verdict
from domain.trail import BrokenTrail, EventName
from domain.world import Record
from workers.envelope import signed_payload

PAGE = 200
"""How many actions are looked at in one moment: a snapshot that lasts keeps Postgres from clearing up."""

GRACE = timedelta(minutes=1)
"""For how long before a decision's moment its transaction may have missed what is dated then: others commit later than their clock
says, votes are read before the clock is, and a clock can step back."""

_DECIDED = frozenset({Status.APPROVED, Status.EXECUTING, Status.EXECUTED, Status.FAILED, Status.OUTCOME_UNKNOWN})

Look = Callable[[History, KeyRing], Iterator[str]]


def unsigned_votes(seen: History, ring: KeyRing) -> Iterator[str]:
    """Votes that nobody signed as they are counted."""
    sent = {(message.issuer, message.jti): message for message in seen.messages}
    for cast in seen.votes:
        message = sent.get((cast.issuer, cast.jti))
        if message is None or not _says(message, cast, ring):
            yield f"the vote of {cast.person_id} is not what its key signed"


def _says(message: Record, cast: Vote, ring: KeyRing) -> bool:
    key = ring.keys.get(cast.kid)
    payload = signed_payload(message.token or "", key) if key is not None else None
    if payload is None or (payload.iss, payload.jti) != (cast.issuer, cast.jti):
        return False
    body = parse_body(payload.type, payload.body)
    if not isinstance(body, CastVote):
        return False
    cast_at = body.cast_at or message.issued_at
    told = (body.action_id, body.voter_id, body.vote, body.comment, body.content_hash, body.break_glass, cast_at)
    counted = (cast.action_id, cast.person_id, cast.choice, cast.comment, cast.content_hash, cast.break_glass)
    return told == (*counted, cast.cast_at)


def unfounded_decisions(seen: History, _: KeyRing) -> Iterator[str]:
    """Approvals that deciding again from the record does not give, or that are not about the votes that are there."""
    decisions = [event for event in seen.events if event.event is EventName.APPROVED]
    if seen.action.status not in _DECIDED or not decisions:
        return
    decided = decisions[-1]
    known = decided.at - GRACE  # of what came later it may not have known, and none of it helps an approval
    pools = [grant for grant in seen.pools if grant.starts_at <= known]
    compromised = {kid for kid, since in seen.compromised.items() if since <= known}
    decision = deciding.decide_from_record(seen.action, decided, pools, compromised)
    if decision.verdict is not Verdict.APPROVED:
        yield f"decided again from event {decided.seq} it is {decision.verdict}"
    recorded = [
        {name: vote[name] for name in ("person", "vote", "roles", "acts_for", "kid", "breaks_glass")}
        for vote in decided.data["votes"]
    ]
    if recorded != [deciding.told(cast) for cast in deciding.standing(seen.votes)]:
        yield f"its votes are not those of event {decided.seq}"


def changed_content(seen: History, _: KeyRing) -> Iterator[str]:
    """Content that is not what its hash says: not what people voted on."""
    if content.content_hash_of(seen.action) != seen.action.content_hash:
        yield "its content hash is that of another content"


def impossible_changes(seen: History, _: KeyRing) -> Iterator[str]:
    """Changes of status in the trail that the graph does not have."""
    status: Status | None = None
    for event in seen.events:
        after = trail.status_after(status, event)
        try:
            if status is not None and after is not None:
                lifecycle.check(status, after)
        except ForbiddenTransition:
            yield f"event {event.seq} takes it from {status} to {after}"
        status = after


def other_bodies(seen: History, ring: KeyRing) -> Iterator[str]:
    """Messages that were taken to ask for this action and ask for something else."""
    for message in seen.messages:
        if message.type != CreateAction.__name__:
            continue
        key = ring.keys.get(message.kid or "")
        payload = signed_payload(message.token or "", key) if key is not None else None
        body = parse_body(payload.type, payload.body) if payload is not None else None
        if not isinstance(body, CreateAction) or creation.body_sha256(body) != seen.action.body_sha256:
            yield f"message {message.jti} of {message.issuer} asks for something else"


def broken_trails(seen: History, _: KeyRing) -> Iterator[str]:
    """A trail that is not what was written, or tells something else than the row says."""
    try:
        trail.verify(seen.events)
    except BrokenTrail as error:
        yield str(error)
        return
    told = trail.fold(seen.events)
    action = seen.action
    row: dict[str, Any] = {
        "status": action.status,
        "votes": {cast.person_id: cast.choice for cast in seen.votes},
        "result": action.result,
    }
    if action.status in {Status.EXECUTING, Status.EXECUTED}:
        row["executed_by"] = action.executed_by
    for name, value in row.items():
        if told[name] != value:
            yield f"its trail tells another {name} than its row"


TRAILS = Invariant(
    13, "13_trails_are_whole", "Each event has the hash of its content, and the trail tells what the row says."
)

LOOKS: Mapping[Invariant, Look] = {
    Invariant(
        7, "07_votes_are_signed", "Each counted vote says what its key signed in the envelope that is kept."
    ): unsigned_votes,
    Invariant(
        8,
        "08_decided_again",
        "What is approved, or was executed, is approved when it is decided again from the record.",
    ): unfounded_decisions,
    Invariant(
        9, "09_content_has_its_hash", "The content of an action has the hash that people voted on."
    ): changed_content,
    Invariant(
        10, "10_changes_follow_the_graph", "Each change of status in a trail is one that an action can make."
    ): impossible_changes,
    Invariant(11, "11_same_key_same_body", "Whatever was taken to ask for an action asks for just that."): other_bodies,
    TRAILS: broken_trails,
}
"""The invariants that need more than SQL, and what looks for the actions that break them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a check is: what it looks at, and how many actions it has looked at."""

    sentence: str
    actions: int = 0


def check(
    conn: Connection, told: Callable[[Progress], None] = lambda _: None
) -> Iterator[tuple[Invariant, Broken | None]]:
    """Each invariant, and how it is broken if it is; changes nothing, and takes no lock that others wait for."""
    for invariant in invariants.load():
        told(Progress(invariant.sentence))
        with invariants.snapshot(conn):
            found = invariants.check(conn, invariant)
        yield invariant, found
    violations: dict[Invariant, list[Violation]] = {invariant: [] for invariant in LOOKS}
    for invariant, violation in _look_at_all(conn, told):
        violations[invariant].append(violation)
    for invariant, every in violations.items():
        yield invariant, Broken(invariant, len(every), tuple(every[:SHOWN])) if every else None


def trail_problems(conn: Connection, action_id: UUID) -> list[str]:
    """What is wrong with the trail of an action, in words; empty if it is whole and tells what the row says."""
    return [violation.what for _, violation in _look_at(conn, action_id, load_key_ring(conn), [TRAILS])]


def _look_at_all(conn: Connection, told: Callable[[Progress], None]) -> Iterator[tuple[Invariant, Violation]]:
    last: UUID | None = None
    looked_at = 0
    while True:
        told(Progress("The trail, votes and decision of each action are what was signed and written.", looked_at))
        with invariants.snapshot(conn):
            page = history.list_ids(conn, last, PAGE)
            ring = load_key_ring(conn)
            found = [broken for action_id in page for broken in _look_at(conn, action_id, ring, LOOKS)]
        yield from found
        if not page:
            return
        last, looked_at = page[-1], looked_at + len(page)


def _look_at(
    conn: Connection, action_id: UUID, ring: KeyRing, wanted: Iterable[Invariant]
) -> Iterator[tuple[Invariant, Violation]]:
    """What is wrong with one action; rows that nobody can read are, too."""
    try:
        seen = history.get(conn, action_id)
    except (ValueError, LookupError) as error:
        yield TRAILS, Violation(str(action_id), f"its rows cannot be read ({type(error).__name__})")
        return
    if seen is None:
        return
    for invariant in wanted:
        try:
            problems = list(LOOKS[invariant](seen, ring))
        except (ValueError, LookupError) as error:
            problems = [f"it cannot be read ({type(error).__name__})"]
        for problem in problems:
            yield invariant, Violation(str(action_id), problem)
