"""A small company to test with: its keys, its people, and an installation of the engine that tests talk to."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.resources import files
from typing import Any
from uuid import UUID

import dramatiq
import httpx
import redis

from db import connect, keys, read
from db.load import Loader
from domain import trail
from domain.keys import Scope
from domain.messages import CastVote, CreateAction, ExecuteAction, Outcome, Person, PersonGrant, Receipt, SyncDirectory
from workers import definition_files
from workers.apply import Applied, Applier
from workers.envelope import SigningKey
from workers.execution import Executor
from workers.ingest import Ingest
from workers.producer import Producer, Ticket
from workers.queue import make_broker
from workers.settings import Settings

SCOPES = {
    "alerts": Scope(types=("CreateAction",), origins=("alert",), action_types=("*",)),
    "sira": Scope(types=("CreateAction",), origins=("sira",), action_types=("*",)),
    "ops-tooling": Scope(
        types=("CreateAction", "CastVote", "ExecuteAction"), origins=("ops_ui",), action_types=("*",), roles=("*",)
    ),
    "directory": Scope(types=("SyncDirectory",)),
}
KEYS = {issuer: SigningKey.generate(f"{issuer}-1", issuer) for issuer in SCOPES}

PEOPLE = {
    "finance-user-1": ("finance_ops",),
    "finance-user-2": ("finance_ops",),
    "finance-user-3": ("finance_ops",),
    "finance-user-4": ("finance_ops",),
    "ops-admin-1": ("ops_admin",),
    "ops-admin-2": ("ops_admin",),
    "pay-admin-1": ("pay_admin",),
    "cfo-1": ("cfo",),
    "merchant-viewer": ("merchant_admin",),
}


def directory(snapshot: int = 1, people: dict[str, tuple[str, ...]] | None = None) -> SyncDirectory:
    """A snapshot of the company's directory."""
    return SyncDirectory(
        snapshot=snapshot,
        people=tuple(
            Person(id=person, grants=tuple(PersonGrant(role=role) for role in roles))
            for person, roles in (people or PEOPLE).items()
        ),
    )


def float_definitions() -> str:
    """The policy of the document's scenario."""
    return files("workers").joinpath("demo.yaml").read_text()


def prepare(conn: connect.Connection) -> None:
    """Register the company's keys, put its policies in force, and take its directory in, through a signed message."""
    for issuer, scope in SCOPES.items():
        keys.add_key(conn, KEYS[issuer].kid, issuer, KEYS[issuer].public_bytes, scope)
    definition_files.apply(conn, definition_files.parse(float_definitions(), "demo.yaml"), by="tests")
    ticket = Producer(redis.Redis(), KEYS["directory"]).sign(directory())
    applier = Applier(lambda: _lend(conn), Loader("ops-approval"))
    assert applier.apply_tokens([ticket.token]).receipts[0].outcome is Outcome.APPLIED


@contextmanager
def _lend(conn: connect.Connection) -> Iterator[connect.Connection]:
    yield conn


def top_up(key: str = "alert-1-sira-rec", **changes: Any) -> CreateAction:
    """The action of the document's scenario."""
    wanted = {
        "idempotency_key": key,
        "origin": "sira",
        "action_type": "ADJUST_FLOAT",
        "params": {
            "agent_id": "agent-123",
            "adjustment": "top_up",
            "amount": 1_000_000,
            "alert_id": "alert-1",
            "sira_confidence": 0.95,
        },
        "target_tenant_type": "agent",
        "target_tenant_id": "agent-123",
        "auto_execute": False,
        "created_by": "sira-system",
    }
    return CreateAction.model_validate(wanted | changes)


class Installation:
    """One database and one Redis, and the engine's parts at work on them inside this process."""

    def __init__(self, database_url: str, redis_url: str, client: redis.Redis) -> None:
        self.settings = Settings(DATABASE_URL=database_url, REDIS_URL=redis_url)
        self.client = client
        self.pool = connect.pool(database_url, "tests", max_size=8)
        self.pool.open()
        self.applier = Applier(self.pool.connection, Loader("ops-approval"))
        self.broker: dramatiq.Broker = make_broker(redis_url)

    @cached_property
    def owner(self) -> connect.Connection:
        """A connection with the owner's rights."""
        return connect.connect(self.settings.database_url, "tests owner", role=None)

    def close(self) -> None:
        self.pool.close()
        if "owner" in self.__dict__:
            self.owner.close()

    def producer(self, issuer: str) -> Producer:
        return Producer(self.client, KEYS[issuer])

    def tell(self, issuer: str, *bodies: Any) -> list[Receipt]:
        """Sign bodies and apply them directly, one after the other."""
        return [self.apply([self.producer(issuer).sign(body)]).receipts[0] for body in bodies]

    def apply(self, tickets: Iterable[Ticket]) -> Applied:
        return self.applier.apply_tokens([ticket.token for ticket in tickets])

    def vote(self, action_id: UUID, person: str, choice: str = "approve", **more: Any) -> Receipt:
        body = CastVote.model_validate({"action_id": action_id, "voter_id": person, "vote": choice, **more})
        return self.tell("ops-tooling", body)[0]

    def ask_to_execute(self, action_id: UUID, person: str = "ops-admin-1") -> Receipt:
        return self.tell("ops-tooling", ExecuteAction(action_id=action_id, executed_by=person))[0]

    def approved(self, **changes: Any) -> UUID:
        """An approved action whose execution was asked for."""
        (created,) = self.tell("sira", top_up(**changes))
        assert created.action_id is not None
        for person in ("finance-user-1", "finance-user-2"):
            assert self.vote(created.action_id, person).outcome is Outcome.APPLIED
        assert self.ask_to_execute(created.action_id).outcome is Outcome.APPLIED
        return created.action_id

    def executor(self, url: str) -> Executor:
        services = dict.fromkeys(("float", "merchants", "payouts", "operations"), url)
        return Executor(self.applier, services, httpx.Client(trust_env=False))

    def ingest(self, batch: int = 200) -> Ingest:
        return Ingest(self.settings, self.broker, batch=batch)

    def drain(self, batch: int = 200) -> None:
        """Ingest until the queue is empty."""
        ingest = self.ingest(batch)
        while ingest.drain_once(self.applier):
            pass

    def action(self, action_id: UUID) -> dict[str, Any]:
        row = read.get_action_with_votes(self.owner, action_id)
        assert row is not None
        return row

    def trail(self, action_id: UUID) -> list[str]:
        """The names of an action's events, after checking its chain and that it tells what the row says."""
        events = read.get_audit_trail(self.owner, action_id)
        trail.verify(events)
        told, row = trail.fold(events), self.action(action_id)
        assert told["status"] == row["status"]
        assert told["votes"] == {vote["voter_id"]: vote["vote"] for vote in row["votes"]}
        assert told["result"] == row["result"]
        return [event.event.value for event in events]

    def scalar(self, statement: str, *params: Any) -> Any:
        row = self.owner.execute(statement, params).fetchone()
        return next(iter(row.values())) if row else None

    def make_due(self, action_id: UUID, seconds: Sequence[str] = ("expires_at", "due_at", "next_attempt_at")) -> None:
        """Let an action's time come: its moments move an hour into the past."""
        for column in seconds:
            self.owner.execute(
                f"update actions set {column} = now() - interval '1 hour' where id = %s and {column} is not null",
                [action_id],
            )
