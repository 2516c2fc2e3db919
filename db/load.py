"""Read and lock what a batch of inputs needs: a fixed number of statements, whatever the batch.

Locks are taken in one order everywhere: advisory locks of message identities, action ids, exclusive keys, definitions, people
who break glass, proposals and remediation rules (sorted), then the rows of actions (sorted). Keys come before rows, because
who has a key is known only to who holds its lock; and so it is with what rolls a subject back, and with what answers an alert.
A sweep alone comes with rows that it has claimed; should it and another wait for each other's, Postgres ends one of them, which
is tried again. Votes, attempts and grants are read by statements that start after the locks are held, and `now` is the
database's clock after that.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from db import directory, exclusive, glass, limits, locks, performing, proposals, rows
from db.connect import Connection
from db.definitions import load_definitions
from db.keys import load_key_ring
from domain.definitions import Definitions
from domain.engine import Drop, Due, Input, ParkingEnded, Undigestible
from domain.executing import AttemptFinished, AttemptRenewed, AttemptStarted, OutcomeFound, Perform
from domain.internal import made_by
from domain.internal_types import KEY_TYPES, SUBJECT_STATUS, Internal, subject_of
from domain.limits import Limits
from domain.messages import (
    CastVote,
    CreateAction,
    Message,
    Outcome,
    SyncDirectory,
    Unopened,
)
from domain.proposal import RECOMMENDATION_THRESHOLD, RecommendAction, RemediateAlert
from domain.remedying import Recommended
from domain.world import WITHOUT_IDENTITY, World

_CREATING = CreateAction | RemediateAlert | RecommendAction


@dataclass
class Loader:
    """Loads worlds for one installation (`audience`); keeps the parsed definitions until there are more.

    SIRA must be sure to `recommendation_threshold` for a recommendation to lead to an action by itself.
    """

    audience: str
    limits: Limits = field(default_factory=Limits)
    recommendation_threshold: Decimal = RECOMMENDATION_THRESHOLD
    # In one attribute with their count, because several threads share a loader.
    _known: tuple[int, Definitions] = (0, Definitions())

    @property
    def definitions(self) -> Definitions:
        """The definitions of the newest world."""
        return self._known[1]

    def world(self, conn: Connection, inputs: Sequence[Input]) -> World:
        """The world that these inputs need, its rows locked until the surrounding transaction ends.

        Which exclusive keys they need depends on the definitions; should these have changed until the locks are held, it
        begins again, with all that is locked by then.
        """
        while True:
            known = self.definitions
            world = self._world(conn, inputs, known)
            if world.definitions is known:
                return world

    def _world(self, conn: Connection, inputs: Sequence[Input], definitions: Definitions) -> World:
        performed = performing.load(conn, inputs)
        keys = exclusive.keys(inputs, performed, definitions)
        _lock(conn, inputs, performing.lock_names(performed) | {locks.of_exclusive_key(key) for key in keys})
        world = World(
            now=datetime.now(UTC),
            audience=self.audience,
            limits=self.limits,
            recommendation_threshold=self.recommendation_threshold,
        )
        _load_messages(conn, world, inputs)
        in_the_way = exclusive.holders(conn, keys).union(
            performing.inverses(conn, performed),
            proposals.answers(conn, inputs, performing.alerts(performed)),
            proposals.asked_by_sira(conn, inputs),
            glass.ratifications(conn, inputs),
        )
        _load_actions(conn, world, inputs, in_the_way)
        proposals.load(conn, world, inputs)
        _count_parked(conn, world, inputs)
        wanted = _keys_wanted(world, inputs)
        if wanted:
            world.keys = load_key_ring(conn).keys
        self._load_clock_and_definitions(conn, world)
        directory.load(conn, world, inputs, {params["person_id"] for params in wanted if "person_id" in params})
        limits.load_use(conn, world, inputs)
        return world

    def _load_clock_and_definitions(self, conn: Connection, world: World) -> None:
        row = conn.execute(
            """
            select clock_timestamp() as now,
                   (select coalesce(max(snapshot), 0) from people) as snapshot,
                   (select count(*) from definitions) as definition_count
            """
        ).fetchone()
        assert row is not None  # noqa: S101 - a select without from has one row
        # Counted, as an id says nothing: who began first may commit last. Nothing is ever deleted here.
        known = self._known
        if row["definition_count"] != known[0]:
            self._known = known = row["definition_count"], load_definitions(conn)
        world.now, world.snapshot, world.definitions = row["now"], row["snapshot"], known[1]


def _lock(conn: Connection, inputs: Sequence[Input], others: Iterable[str]) -> None:
    """Serialize with every other batch that has one of these messages or actions, also where no row exists yet."""
    names = set(others) | proposals.lock_names(inputs)
    for given in [item.message if isinstance(item, Undigestible) else item for item in inputs]:
        match given:
            case Message():
                names.add(f"content {given.content_sha256.hex()}")
                names.add(json.dumps(["message", given.issuer, given.jti]))
                if given.action_id is not None:
                    names.add(f"action {given.action_id}")
                if isinstance(given.body, SyncDirectory):
                    names.add("directory")
            case Unopened() | Drop():
                names.add(f"content {given.content_sha256.hex()}")
            case ParkingEnded():
                names.add(f"action {given.action_id}")
            case Perform():
                names.add(f"action {made_by(given.action_id)}")
            case _:
                pass  # the others concern one existing action, and its row is the lock
    for made, person in glass.breaking(inputs).items():
        names |= {f"action {made}", f"glass {person}"}
    locks.lock(conn, names)


def _load_messages(conn: Connection, world: World, inputs: Sequence[Input]) -> None:
    """Known messages of the same content or identity, and the votes parked for actions that are to be created."""
    given = [item.message if isinstance(item, Undigestible) else item for item in inputs]
    contents = [item.content_sha256 for item in given if isinstance(item, Message | Unopened | Drop | ParkingEnded)]
    signed = [item for item in given if isinstance(item, Message)]
    # What is to be buried needs no parked votes; they may be what it cannot be applied with.
    created = [item.action_id for item in inputs if isinstance(item, Message) and isinstance(item.body, _CREATING)]
    created += [item.action_id for item in inputs if isinstance(item, Recommended)]
    created += [made_by(item.action_id) for item in inputs if isinstance(item, Perform)]
    created += glass.breaking(inputs)
    found = conn.execute(
        """
        with wanted as (
            select id from messages where content_sha256 = any(%s)
            union
            select m.id from messages m
              join unnest(%s::text[], %s::text[]) as identity(issuer, jti)
                on m.issuer = identity.issuer and m.jti = identity.jti
               and (m.code is null or m.code not in ('identity_conflict', 'wrong_audience'))
            union
            select id from messages where outcome = 'parked' and action_id = any(%s)
        )
        select m.*, k.scope, k.person_id, k.revoked_at from wanted join messages m using (id) left join keys k using (kid) order by m.id
        """,
        [contents, [item.issuer for item in signed], [item.jti for item in signed], created],
    ).fetchall()
    for row in found:
        record = rows.record(row)
        world.records[record.content_sha256] = record
        if record.issuer is not None and record.jti is not None and record.code not in WITHOUT_IDENTITY:
            world.identities[record.issuer, record.jti] = record.content_sha256
        if record.outcome is Outcome.PARKED and record.action_id is not None and record.action_id in created:
            message = rows.parked_message(record, row["scope"], row["person_id"], row["revoked_at"])
            world.parked.setdefault(record.action_id, []).append(message)


def _count_parked(conn: Connection, world: World, inputs: Sequence[Input]) -> None:
    """How many votes wait already for the actions that are voted on and are not there."""
    voted = {item.body.action_id for item in inputs if isinstance(item, Message) and isinstance(item.body, CastVote)}
    found = conn.execute(
        """
        select action_id, count(*) as waiting from messages
         where outcome = 'parked' and action_id = any(%s) group by action_id
        """,
        [sorted(voted - world.actions.keys())],
    ).fetchall()
    world.parked_counts = {row["action_id"]: row["waiting"] for row in found}


def _load_actions(conn: Connection, world: World, inputs: Sequence[Input], in_the_way: set[UUID]) -> None:
    """The actions that the inputs concern, and those in their way, locked, then their votes and attempts."""
    concerned = {action_id for item in inputs if (action_id := _action_id(item)) is not None}
    wanted = sorted(concerned | _subjects_asked_for(inputs) | _subjects_to_change(conn, inputs) | in_the_way)
    for row in conn.execute("select * from actions where id = any(%s) order by id for update", [wanted]).fetchall():
        world.actions[row["id"]] = rows.action(row)
    found = list(world.actions)
    statement = "select v.*, k.revoked_why from votes v join keys k using (kid) where action_id = any(%s)"
    for row in conn.execute(statement, [found]).fetchall():
        world.votes.setdefault(row["action_id"], {})[row["person_id"]] = rows.vote(row)
        if row["revoked_why"] == "compromised":
            world.compromised.add(row["kid"])
    for row in conn.execute("select * from attempts where action_id = any(%s)", [found]).fetchall():
        world.attempts.setdefault(row["action_id"], {})[row["number"]] = rows.attempt(row)


def _subjects_asked_for(inputs: Sequence[Input]) -> set[UUID]:
    """The actions about which an internal action is to be created."""
    bodies = [item.body for item in inputs if isinstance(item, Message) and isinstance(item.body, CreateAction)]
    subjects = (subject_of(body.action_type, body.params) for body in bodies)
    return {subject for subject in subjects if subject is not None}


def _subjects_to_change(conn: Connection, inputs: Sequence[Input]) -> set[UUID]:
    """The subjects of internal actions that are to be carried out, and of ratifications, which change them by any end.

    Read before the locks are taken, all in one order; what an action is about never changes.
    """
    performed = [item.action_id for item in inputs if isinstance(item, Perform)]
    concerned = [action_id for item in inputs if (action_id := _action_id(item)) is not None]
    found = conn.execute(
        """
        select caused_by from actions where id = any(%s) and action_type = any(%s) and caused_by is not null
        union
        select caused_by from actions where id = any(%s) and action_type = %s
        """,
        [performed, list(SUBJECT_STATUS), concerned, Internal.RATIFY],
    ).fetchall()
    return {row["caused_by"] for row in found}


def _action_id(item: Input) -> UUID | None:
    match item:
        case (
            Message()
            | Due()
            | Recommended()
            | AttemptStarted()
            | AttemptRenewed()
            | AttemptFinished()
            | Perform()
            | OutcomeFound()
        ):
            return item.action_id
        case _:
            return None


def _keys_wanted(world: World, inputs: Sequence[Input]) -> list[Mapping[str, Any]]:
    """The params of what asks for a key, and of what is to register one."""
    bodies = [item.body for item in inputs if isinstance(item, Message)]
    asked = [(body.action_type, body.params) for body in bodies if isinstance(body, CreateAction)]
    performed = [world.actions.get(item.action_id) for item in inputs if isinstance(item, Perform)]
    done = [(action.action_type, action.params) for action in performed if action is not None]
    return [params for action_type, params in (*asked, *done) if action_type in KEY_TYPES]
