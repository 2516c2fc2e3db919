"""Past actions held against a draft of policies: read in pages, lived again in memory; nothing is changed."""

from collections.abc import Iterator, Mapping
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
from domain.action import Action
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
    directory: Directory | None = None  # of the time of the newest page, and so of all before it
    while limit > 0:
        with snapshot(conn):
            page = history.list_newest(conn, last, min(PAGE, limit))
            ring = load_key_ring(conn)
            directory = look.past_directory(conn) if directory is None else directory
            seen = history.get_several(conn, [action_id for _, action_id in page])
            causes = history.get_several(conn, [item.action.caused_by for item in seen if item.action.caused_by])
            alert_types = proposals.alert_types_of(conn, [action_id for _, action_id in page])
        asked = _Asked(ring, alert_types, draft)
        by_id = {item.action.id: item.action for item in causes}
        pasts = [_past(item, by_id, definitions, directory, asked.body(item)) for item in seen]
        yield from (Compared(past, backtest.replay(past, draft, ring.now)) for past in pasts)
        if not page:
            return
        last, limit = page[-1], limit - len(page)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Finds out what was asked for, with the producer's own wishes; where the engine asked itself, the draft's rule has them."""

    ring: KeyRing
    alert_types: Mapping[UUID, str]
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
        rule = self.draft.remediation_rules_in_force.get(self.alert_types.get(action_id, ""))
        wished = None if rule is None else rule.definition.wished_quorum
        return {} if wished is None else {"required_quorum": wished}


def _past(
    seen: History, causes: Mapping[UUID, Action], definitions: Definitions, directory: Directory, body: CreateAction
) -> Past:
    action = seen.action
    version = action.action_type_version
    return Past(
        action=action,
        body=body,
        action_type=Versioned(version, definitions.action_type(action.action_type, version)),
        caused_by=None if action.caused_by is None else causes.get(action.caused_by),
        events=tuple(seen.events),
        directory=directory,
        compromised=seen.compromised,
    )
