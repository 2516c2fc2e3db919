"""The same inputs, at the same moments, to the engine on a real database and to `engine.step` on one world in memory.

Time is the test's on both sides: in the connections that are used here `clock_timestamp()` is a function that comes before that
of Postgres in the search path and reads a setting. Nothing of the engine is replaced.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from db import connect, due, glass, invariants, keys, read, rows
from db.definitions import load_definitions
from db.load import Loader
from domain import trail
from domain.action import Action
from domain.engine import Due, Input, ParkingEnded, step
from domain.internal_types import Internal
from domain.lifecycle import Status
from domain.messages import Message, Outcome, Receipt, Unopened
from domain.refusals import Code, Refusal
from domain.trail import Event
from domain.world import Changes, World
from tests.model import alone, laws
from tests.world import Installation
from workers.apply import Applier
from workers.envelope import open_envelope

AUDIENCE = "ops-approval"
BEGINNING = datetime(2040, 1, 1, tzinfo=UTC)
"""After everything that the fixtures wrote at the real time."""

_CLOCK = """
    create function ops_approval.clock_timestamp() returns timestamptz stable language sql
        return current_setting('model.now')::timestamptz;
"""

_SET_CLOCK = "select set_config('model.now', %s, false)"
_EMPTY = """
    set local session_replication_role = replica;
    truncate messages, votes, attempts, events, grants restart identity;
    delete from actions;
    delete from definitions where agreed_in is not null;
    delete from people;
    update keys set revoked_at = null, revoked_why = null;
"""

_HELD = (
    "select * from messages",
    "select * from actions",
    "select * from votes",
    "select * from attempts",
    "select * from events order by action_id, seq",
)


@dataclass
class Database:
    """The real side; one database for all runs, emptied before each."""

    installation: Installation
    conn: connect.Connection = field(init=False)

    def __post_init__(self) -> None:
        url = self.installation.settings.database_url
        self.installation.owner.execute(_CLOCK)
        self.conn = connect.connect(url, "model")
        for conn in (self.conn, self.installation.owner):
            conn.execute("set search_path = ops_approval, pg_catalog")
        self.set_clock(BEGINNING)

    def empty(self) -> None:
        with self.installation.owner.transaction():
            self.installation.owner.execute(_EMPTY)

    def set_clock(self, now: datetime) -> None:
        self.conn.execute(_SET_CLOCK, [now.isoformat()])

    def revoke(self, kid: str, now: datetime) -> None:
        """Revoke a key as compromised, which only the owner may."""
        self.installation.owner.execute(_SET_CLOCK, [now.isoformat()])
        keys.revoke_key(self.installation.owner, kid)

    def close(self) -> None:
        self.conn.close()


class Sides:
    """Both sides of one run, equal after every step."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.empty()
        self.applier = Applier(lambda: nullcontext(database.conn), Loader(AUDIENCE))
        self.world = World(now=BEGINNING, audience=AUDIENCE, definitions=load_definitions(database.conn))
        self.waiting: dict[bytes, Message] = {}
        self.told = laws.Told()
        self.wait(0)

    @property
    def now(self) -> datetime:
        return self.world.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.world.now += timedelta(seconds=seconds)
        self.database.set_clock(self.world.now)

    def open(self, tokens: Sequence[str]) -> list[Message | Unopened]:
        """What a worker makes of tokens now."""
        ring = keys.load_key_ring(self.database.conn)
        return [open_envelope(token, ring) for token in tokens]

    def apply(self, inputs: Sequence[Input]) -> list[Receipt]:
        """Apply a batch to the database, and one input after the other to the world; what comes of it is the same."""
        unseen = self._unseen(inputs)
        told = self.applier.apply(inputs).receipts
        assert told == [self._step(given, unseen) for given in inputs]
        self._compare()
        return told

    def sweep(self, statuses: Collection[Status]) -> None:
        """Let a sweep find what is due, which is what the world says is due, and apply it to both."""
        overdue = {action.id for action in self._due(statuses)}
        told = self.applier.sweep(statuses).receipts
        assert {receipt.action_id for receipt in told} == overdue
        assert told == [self._step(Due(receipt.action_id)) for receipt in told if receipt.action_id]
        self._compare()

    def end_parking(self) -> None:
        """Let a sweep refuse the votes that waited in vain."""
        now = self.world.now
        over = [message for message in self._parked() if message.expires_at <= now]
        told = {receipt.content_sha256: receipt for receipt in self.applier.end_parking().receipts}
        ended = [ParkingEnded(message.content_sha256, self._waits_for(message)) for message in over]
        assert told == {given.content_sha256: self._step(given) for given in ended}
        self._compare()

    def revoke(self, kid: str) -> None:
        """Revoke a key as compromised, a moment after all else: who decided at just that moment may or may not know.

        What is parked with it is not counted any more: the world is told so here.
        """
        self.wait(0.001)
        self.database.revoke(kid, self.now)
        self.world.compromised.add(kid)
        for content, message in self.waiting.items():
            if message.kid == kid:
                self.waiting[content] = replace(message, body=Refusal(Code.KEY_NOT_VALID))

    def draw_token(self) -> int:
        return due.draw_token(self.database.conn)

    def action(self, action_id: UUID) -> Action | None:
        return self.world.actions.get(action_id)

    def end(self, look: Callable[[connect.Connection], list[Any]]) -> None:
        """What was written holds every invariant, and tells the rows again."""
        for action_id, events in self.told.events.items():
            trail.verify(events)
            assert trail.fold(events)["status"] == self.world.actions[action_id].status
            assert list(laws.broken_by_a_trail(self.world.actions[action_id], events)) == []
            assert list(alone.broken_by_an_end(self.told, self.world.actions[action_id])) == []
        assert invariants.broken(self.database.conn) == []
        assert look(self.database.conn) == []

    def _unseen(self, inputs: Sequence[Input]) -> set[UUID]:
        """The ratifications that a batch does not read: it does not notice that their time is over."""
        read = glass.ratifications(self.database.conn, inputs) | {getattr(given, "action_id", None) for given in inputs}
        return {item.id for item in self.world.actions.values() if item.action_type == Internal.RATIFY} - read

    def _step(self, given: Input, unseen: Collection[UUID] = ()) -> Receipt:
        if isinstance(given, Message):
            self.waiting[given.content_sha256] = given
        world = self.world
        world.changes, world.parked = Changes(), {}
        for message in self._parked():
            world.parked.setdefault(self._waits_for(message), []).append(message)
        world.parked_counts = {action_id: len(waiting) for action_id, waiting in world.parked.items()}
        hidden = {action_id: world.actions.pop(action_id) for action_id in unseen}
        receipt = step(world, given)
        world.actions |= hidden
        self.told.add(given, receipt, world.changes.events)
        assert list(laws.broken_by_a_step(world, self.told, given, receipt)) == []
        assert list(alone.broken_by_a_step(world, self.told)) == []
        return receipt

    def _parked(self) -> list[Message]:
        """Messages that wait, in the order in which they came."""
        records = self.world.records
        return [self.waiting[content] for content in records if records[content].outcome is Outcome.PARKED]

    def _waits_for(self, parked: Message) -> UUID:
        action_id = self.world.records[parked.content_sha256].action_id
        assert action_id is not None
        return action_id

    def _due(self, statuses: Collection[Status]) -> list[Action]:
        actions = self.world.actions.values()
        return [
            item for item in actions if item.due_at is not None and item.due_at <= self.now and item.status in statuses
        ]

    def _compare(self) -> None:
        """Every row is what the world says."""
        world, conn = self.world, self.database.conn
        with conn.pipeline():  # all of it in one round trip
            held = [conn.execute(statement) for statement in _HELD]
            people = read.list_people(conn)
        messages, actions, votes, attempts, told = (cursor.fetchall() for cursor in held)
        assert {row["content_sha256"]: rows.record(row) for row in messages} == world.records
        assert {row["id"]: rows.action(row) for row in actions} == world.actions
        assert {(row["action_id"], row["person_id"]): rows.vote(row) for row in votes} == {
            (action_id, person): vote for action_id, cast in world.votes.items() for person, vote in cast.items()
        }
        assert {(row["action_id"], row["number"]): rows.attempt(row) for row in attempts} == {
            (action_id, number): item for action_id, made in world.attempts.items() for number, item in made.items()
        }
        events: dict[UUID, list[Event]] = defaultdict(list)
        for row in told:
            events[row["action_id"]].append(rows.event(row))
        assert events == self.told.events
        directory, now = world.directory, world.now
        assert {row["id"]: (frozenset(row["roles"]), frozenset(row["acts_for"])) for row in people} == {
            person: (directory.roles_of(person, now), directory.delegators(person, now)) for person in directory.people
        }
