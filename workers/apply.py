"""Applying inputs: load, step, save, commit; and what to do when the database says no.

What the database cannot do now (SQLSTATE classes 08, 40, 53, 57, or no connection) is tried again, the whole batch. What
it refuses of the data, and what a defect of ours makes fail, is looked for by halving the batch until the culprit is
alone; that one becomes a dead letter and its neighbours are applied.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
import structlog

from db import due, proposals
from db.connect import Connection
from db.keys import load_key_ring
from db.load import Loader
from db.save import save
from domain.action import Action
from domain.engine import Due, Input, Undigestible, step
from domain.executing import Perform
from domain.lifecycle import Status
from domain.messages import Message, Outcome, Receipt, SyncDirectory, Unopened, content_sha256
from domain.proposal import FALLBACK
from domain.refusals import Code, Refusal
from domain.remedying import ASK_AGAIN_SECONDS, Recommended
from workers.envelope import excerpt, open_envelope
from workers.queue import token_in, token_of

_log = structlog.get_logger(__name__)

# No connection, no login, no database, a conflict, a missing table or right, no resources, shutting down, I/O trouble:
# hardly ever a message is the cause of it. Where one is all the same, ingest finds it by its size of batch.
_TRANSIENT_CLASSES = frozenset({"08", "28", "3D", "40", "42", "53", "57", "58"})
# Outside those classes: the server cut off a session that said nothing, is a standby just now, or gave up on a lock.
_TRANSIENT_STATES = frozenset({"25P03", "25006", "55P03"})
_CONFLICT_CLASS = "40"
_CONFLICT_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Applied:
    """The receipts in the order of the inputs, the actions that changed, and which of them may be executed now.

    `waiting` are the alerts about which SIRA is to be asked.
    """

    receipts: list[Receipt] = field(default_factory=list)
    actions: dict[UUID, Action] = field(default_factory=dict, repr=False)
    executable: list[UUID] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    def then(self, later: "Applied") -> "Applied":
        """Both, one after the other."""
        return Applied(
            self.receipts + later.receipts,
            self.actions | later.actions,
            self.executable + later.executable,
            self.waiting + later.waiting,
        )

    @property
    def rings(self) -> list[tuple[str, str]]:
        """What to ring for after the commit: the names of actors, each with the id that it is about."""
        return [*(("execute", str(each)) for each in self.executable), *(("ask_sira", each) for each in self.waiting)]


@dataclass
class Applier:
    """Applies inputs to one database. `connections` lends a connection in autocommit mode."""

    connections: Callable[[], AbstractContextManager[Connection]]
    loader: Loader

    def apply(self, inputs: Sequence[Input]) -> Applied:
        """Apply inputs one after the other, in as few transactions as may be.

        Raises what may pass by itself (see `is_transient`), and whatever keeps even the record of a message that cannot be
        applied from being written. Snapshots of the directory, and what the engine carries out itself, have transactions of
        their own, because they change what everything else reads.
        """
        applied = Applied()
        for batch in _batches(inputs):
            applied = applied.then(self._settle(batch))
        for given, receipt in zip(inputs, applied.receipts, strict=True):
            _report(given, receipt)
        return applied

    def apply_tokens(self, tokens: Sequence[str]) -> Applied:
        """Open envelopes and apply what they say."""
        return self._apply_opened([(token, b"") for token in tokens])

    def apply_calls(self, calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]) -> Applied:
        """Apply what the stock actor was called with; what is not one token is quarantined."""
        return self._apply_opened([(token_in(*call), repr(call).encode(errors="replace")) for call in calls])

    def apply_entries(self, bodies: Sequence[bytes]) -> Applied:
        """Apply raw entries of the queue; what holds no token is quarantined."""
        return self._apply_opened([(token_of(body), body) for body in bodies])

    def _apply_opened(self, received: Sequence[tuple[str | None, bytes]]) -> Applied:
        with self.connections() as conn:
            ring = load_key_ring(conn)
        return self.apply(
            [_unreadable(raw) if token is None else open_envelope(token, ring) for token, raw in received]
        )

    def sweep(self, statuses: Collection[Status], *, limit: int = 100) -> Applied:
        """Claim actions that are due in these states and apply what time does to them."""
        try:
            with self.connections() as conn, conn.transaction():
                return self._fold(conn, due.claim(conn, statuses, limit))
        except Exception as error:
            if is_transient(error):
                raise
            _log.exception("sweep_failed", error=type(error).__name__)
        return self._sweep_one_by_one(statuses, limit)

    def end_parking(self, *, limit: int = 100) -> Applied:
        """Refuse parked votes whose `exp` has passed without their action coming."""
        with self.connections() as conn:
            ended = due.find_ended_parking(conn, limit)
        return self.apply(ended)

    def find_waiting(self, *, limit: int = 100) -> Applied:
        """Claim alerts about which SIRA is to be asked, because nobody has, or who did was cut off."""
        with self.connections() as conn:
            return Applied(waiting=proposals.claim_waiting(conn, limit, ASK_AGAIN_SECONDS))

    def _sweep_one_by_one(self, statuses: Collection[Status], limit: int) -> Applied:
        """One transaction for each action, so that one that cannot be touched does not stop the others."""
        with self.connections() as conn:
            claimed = due.claim(conn, statuses, limit)
        return self.apply(claimed)

    def _settle(self, batch: Sequence[Input]) -> Applied:
        try:
            return self._transact(batch)
        except Exception as error:
            if is_transient(error):
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                return self._settle(batch[:middle]).then(self._settle(batch[middle:]))
            _log.exception("input_failed", input=type(batch[0]).__name__, error=type(error).__name__)
            return self._bury(batch[0], error)

    def _bury(self, given: Input, error: Exception) -> Applied:
        if isinstance(given, Message | Unopened):
            sqlstate = getattr(error, "sqlstate", None)
            reason = f"({type(error).__name__}{f', SQLSTATE {sqlstate}' if sqlstate else ''})"
            return self._transact([Undigestible(given, reason)])
        if isinstance(given, Recommended) and given.fallback is None:
            why = f"What SIRA answered could not be applied: {type(error).__name__}."
            return self._settle([replace(given, recommendation=FALLBACK, fallback=why)])
        if isinstance(given, Due):
            self._postpone(given.action_id)
        return Applied([Receipt.refused(Refusal(Code.DEAD_LETTER, type(error).__name__))])

    def _postpone(self, action_id: UUID) -> None:
        """Put an action off that cannot be touched; one whose row cannot even be changed must not stop the others."""
        try:
            with self.connections() as conn:
                due.postpone(conn, action_id)
        except psycopg.Error as error:
            if is_transient(error):
                raise
            _log.exception("action_not_postponed", action_id=str(action_id), error=type(error).__name__)

    def _transact(self, batch: Sequence[Input]) -> Applied:
        """One transaction around one load, the fold of `step`, and one save; conflicts with others are tried again."""
        for attempt in range(_CONFLICT_RETRIES + 1):
            try:
                with self.connections() as conn, conn.transaction():
                    return self._fold(conn, batch)
            except psycopg.Error as error:
                if attempt == _CONFLICT_RETRIES or (error.sqlstate or "")[:2] != _CONFLICT_CLASS:
                    raise
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable: the last try either returns or raises")

    def _fold(self, conn: Connection, batch: Sequence[Input]) -> Applied:
        world = self.loader.world(conn, batch)
        receipts = [step(world, given) for given in batch]
        save(conn, world)
        actions = {action_id: world.actions[action_id] for action_id in world.changes.actions}
        executable = [action.id for action in actions.values() if action.executable_at(world.now)]
        changed = [world.proposals[key] for key in sorted(world.changes.proposals)]
        return Applied(receipts, actions, executable, [each.id for each in changed if each.due_at is not None])


def _batches(inputs: Sequence[Input]) -> Iterator[Sequence[Input]]:
    """Runs of inputs that may share a transaction, in order."""
    start = 0
    for index, given in enumerate(inputs):
        if isinstance(given, Perform) or (isinstance(given, Message) and isinstance(given.body, SyncDirectory)):
            yield from (run for run in (inputs[start:index], inputs[index : index + 1]) if run)
            start = index + 1
    if inputs[start:]:
        yield inputs[start:]


def _unreadable(body: bytes) -> Unopened:
    return Unopened(content_sha256(body), Refusal(Code.MALFORMED_ENTRY), excerpt(body.decode(errors="replace")))


def is_transient(error: Exception) -> bool:
    """Whether the same batch may succeed later: by SQLSTATE, as psycopg files some data errors as operational."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate[:2] in _TRANSIENT_CLASSES or error.sqlstate in _TRANSIENT_STATES


def _report(given: Input, receipt: Receipt) -> None:
    """One line per message: ids and the answer's code, never a param, a comment or a token."""
    if isinstance(given, Message | Unopened):
        log = _log.info if receipt.outcome in {Outcome.APPLIED, Outcome.DUPLICATE, Outcome.PARKED} else _log.warning
        log(
            "message",
            outcome=receipt.outcome,
            code=receipt.code,
            action_id=str(receipt.action_id) if receipt.action_id else None,
            issuer=given.issuer if isinstance(given, Message) else None,
            jti=given.jti if isinstance(given, Message) else None,
            type=given.type if isinstance(given, Message) else None,
            content_sha256=given.content_sha256.hex(),
        )
