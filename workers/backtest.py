"""Past actions held against a draft of policies: read in pages, lived again in memory; nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from db import history, look, proposals
from db.connect import Connection
from db.history import History
from db.invariants import snapshot
from db.keys import KeyRing, load_key_ring
from domain import backtest
from domain.backtest import Past, Replayed
from domain.definitions import Definitions, Versioned
from domain.directory import Directory
from domain.messages import CreateAction, parse_body
from domain.refusals import Refusal
from workers.envelope import signed_payload

PAGE = 200
"""How many actions are looked at in one moment: a snapshot that lasts keeps Postgres from clearing up."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What an action came to, and what it would have come to; a refusal where it would not have been created."""

    past: Past
    draft: Replayed | Refusal

    @property
    def changed(self) -> bool:
        """Whether it would have come to something else."""
        return isinstance(self.draft, Refusal) or self.draft.came_to != self.past.came_to


def compare(conn: Connection, definitions: Definitions, draft: Definitions, limit: int) -> Iterator[Compared]:
    """The newest actions, at most `limit`, the newest first; `definitions` are those that they were created under."""
    last: tuple[datetime, UUID] | None = None
    while limit > 0:
        with snapshot(conn):
            page = history.list_newest(conn, last, min(PAGE, limit))
            ring, directory = load_key_ring(conn), look.past_directory(conn)
            asked = _Asked(conn, ring, draft)
            pasts = [_past(conn, action_id, definitions, directory, asked) for _, action_id in page]
        yield from (Compared(past, backtest.replay(past, draft, ring.now)) for past in pasts if past is not None)
        if not page:
            return
        last, limit = page[-1], limit - len(page)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Finds out what was asked for, with the producer's own wishes; where the engine asked itself, the draft's rule has them."""

    conn: Connection
    ring: KeyRing
    draft: Definitions

    def body(self, seen: History) -> CreateAction:
        for message in seen.messages:
            key = self.ring.keys.get(message.kid or "")
            payload = signed_payload(message.token or "", key) if key is not None else None
            body = parse_body(payload.type, payload.body) if payload is not None else None
            if isinstance(body, CreateAction):
                return body
        names = ("origin", "action_type", "params", "created_by", "triggered_by")
        fields = {name: getattr(seen.action, name) for name in names}
        return CreateAction.model_validate(fields | self._rule_wishes(seen.action.id))

    def _rule_wishes(self, action_id: UUID) -> dict[str, Any]:
        alert_type = proposals.alert_type_of(self.conn, action_id)
        rule = self.draft.remediation_rules_in_force.get(alert_type or "")
        wished = None if rule is None else rule.definition.wished_quorum
        return {} if wished is None else {"required_quorum": wished}


def _past(
    conn: Connection, action_id: UUID, definitions: Definitions, directory: Directory, asked: _Asked
) -> Past | None:
    seen = history.get(conn, action_id)
    if seen is None:
        return None
    action = seen.action
    cause = history.get(conn, action.caused_by) if action.caused_by is not None else None
    version = action.action_type_version
    return Past(
        action=action,
        body=asked.body(seen),
        action_type=Versioned(version, definitions.action_type(action.action_type, version)),
        caused_by=None if cause is None else cause.action,
        events=tuple(seen.events),
        directory=directory,
        compromised=seen.compromised,
    )
