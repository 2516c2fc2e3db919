"""The engine on a world in memory: no database, no keys, and a clock that tests move."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from domain import trail
from domain.action import Action
from domain.action_type import ActionType
from domain.definitions import Definitions, Versioned
from domain.directory import Directory, Grant
from domain.engine import Due, step
from domain.executing import AttemptFinished, AttemptStarted
from domain.keys import Scope
from domain.messages import AnyBody, CreateAction, Message, Receipt, parse_body
from domain.outcome import Outcome
from domain.policy import Policy
from domain.refusals import Refusal
from domain.world import World

NOW = datetime(2025, 11, 12, 10, tzinfo=UTC)
HOUR = 3600
WHOLE = Scope(
    types=("CreateAction", "CastVote", "ExecuteAction", "CancelAction"),
    origins=("*",),
    action_types=("*",),
    roles=("*",),
)
ROLES = {
    "f1": ["finance_ops"],
    "f2": ["finance_ops"],
    "f3": ["finance_ops"],
    "both": ["finance_ops", "cfo"],
    "admin": ["ops_admin"],
    "pay": ["pay_admin"],
    "cfo": ["cfo"],
    "viewer": ["merchant_admin"],
}
RULES: dict[str, Any] = {
    "required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}},
    "timeout_seconds": HOUR,
    "escalation_role": "cfo",
}
TYPE = ActionType.model_validate(
    {
        "name": "TOP_UP",
        "service": "s",
        "path": "/x",
        "target": {"tenant_type": "agent", "param": "agent_id"},
        "guarantee": "deduplicates",
    }
)
BODY: dict[str, Any] = {
    "idempotency_key": "k1",
    "origin": "sira",
    "action_type": "TOP_UP",
    "params": {"agent_id": "agent-1", "amount": 5},
    "created_by": "sira-system",
}


def directory(roles: dict[str, list[str]] | None = None) -> Directory:
    held = ROLES if roles is None else roles
    return Directory.of(Grant(person, role, NOW - timedelta(days=9)) for person in held for role in held[person])


def body_of(type_name: str, content: dict[str, Any]) -> AnyBody:
    body = parse_body(type_name, content)
    assert not isinstance(body, Refusal), body
    return body


class InMemory:
    """One world, and the short ways in which tests speak to it."""

    def __init__(self, rules: dict[str, Any] | None = None, action_type: dict[str, Any] | None = None) -> None:
        policy = Policy.model_validate({"name": "P", "criteria": {}, "policy": RULES | (rules or {})})
        kind = ActionType.model_validate(TYPE.model_dump() | (action_type or {}))
        found = Definitions(policies=(Versioned(1, policy),), action_types=(Versioned(1, kind),))
        self.world = World(now=NOW, audience="here", directory=directory(), definitions=found)
        self._count = 0

    def wait(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)

    def message(self, body: AnyBody | Refusal, *, jti: str | None = None, **changes: Any) -> Message:
        self._count += 1
        jti = jti or f"j{self._count:03}"
        issued_at = changes.get("issued_at", self.world.now)
        told = Message(
            content_sha256=sha256(repr((jti, body, sorted(changes.items(), key=str))).encode()).digest(),
            token=f"token of {jti}",
            issuer="tooling",
            jti=jti,
            kid="tooling-1",
            type=type(body).__name__,
            audience="here",
            issued_at=issued_at,
            expires_at=issued_at + timedelta(days=1),
            scope=WHOLE,
            body=body,
        )
        return replace(told, **changes)

    def tell(self, body: AnyBody, **changes: Any) -> Receipt:
        return step(self.world, self.message(body, **changes))

    def create(self, changes: dict[str, Any] | None = None, **envelope: Any) -> Receipt:
        return self.tell(body_of("CreateAction", BODY | (changes or {})), **envelope)

    def created(self, changes: dict[str, Any] | None = None) -> UUID:
        receipt = self.create(changes)
        assert receipt.outcome == "applied", receipt
        assert receipt.action_id is not None
        return receipt.action_id

    def vote(self, action_id: UUID, person: str, vote: str = "approve", **more: Any) -> Receipt:
        return self.tell(body_of("CastVote", {"action_id": action_id, "voter_id": person, "vote": vote} | more))

    def approved(self, people: Iterable[str] = ("f1", "f2"), **changes: Any) -> UUID:
        action_id = self.created(changes)
        for person in people:
            assert self.vote(action_id, person).outcome == "applied"
        assert self.status(action_id) == "approved"
        return action_id

    def ask_to_execute(self, action_id: UUID, person: str = "admin", **envelope: Any) -> Receipt:
        return self.tell(body_of("ExecuteAction", {"action_id": action_id, "executed_by": person}), **envelope)

    def start(self, action_id: UUID, token: int) -> str:
        return answer(step(self.world, AttemptStarted(action_id, token, "w")))

    def finish(self, action_id: UUID, token: int, outcome: Outcome) -> str:
        return answer(step(self.world, AttemptFinished(action_id, token, outcome)))

    def sweep(self, action_id: UUID) -> str:
        return answer(step(self.world, Due(action_id)))

    def action(self, action_id: UUID) -> Action:
        return self.world.actions[action_id]

    def status(self, action_id: UUID) -> str:
        return self.action(action_id).status.value

    def events(self, action_id: UUID) -> list[str]:
        """The names of the action's events, after checking that its trail is whole and tells what the row says."""
        events = [event for event in self.world.changes.events if event.action_id == action_id]
        trail.verify(events)
        told, action = trail.fold(events), self.action(action_id)
        assert (told["status"], told["result"]) == (action.status, action.result)
        assert (action.event_seq, action.event_hash) == (len(events), events[-1].hash)
        votes = self.world.votes.get(action_id, {})
        assert told["votes"] == {person: vote.choice for person, vote in votes.items()}
        return [event.event.value for event in events]


def answer(receipt: Receipt) -> str:
    """A receipt in one word: its code if it has one, else its outcome."""
    return receipt.code.value if receipt.code else receipt.outcome.value


__all__ = ["BODY", "HOUR", "NOW", "ROLES", "WHOLE", "CreateAction", "InMemory", "answer", "body_of", "directory"]
