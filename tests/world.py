"""A small company to test with: its keys, its people, and an installation of the engine that tests talk to."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import dramatiq
import redis

from db import connect, due, keys, read
from db.load import Loader
from domain import trail
from domain.exact_json import canonical
from domain.executing import AttemptStarted, Perform
from domain.internal_types import CHANGES
from domain.keys import Scope
from domain.limits import Limits
from domain.messages import (
    CastVote,
    CreateAction,
    ExecuteAction,
    Message,
    Outcome,
    Person,
    PersonGrant,
    Receipt,
    SyncDirectory,
    Unopened,
    action_id,
    content_sha256,
)
from workers import definition_files, invariants
from workers.actors import Actors
from workers.apply import Applied, Applier
from workers.brokers import make_broker
from workers.envelope import SigningKey, open_envelope
from workers.execution import Executor
from workers.handlers.http import make_client
from workers.ingest import Ingest
from workers.producer import Producer, Ticket
from workers.queue import MESSAGES, WORK, enqueue
from workers.relay import Relay
from workers.runtime import Runtime
from workers.settings import Settings
from workers.sira import Sira

T = TypeVar("T")

SCOPES = {
    "alerts": Scope(types=("RemediateAlert", "CreateAction", "CancelAction"), origins=("alert",), action_types=("*",)),
    "sira": Scope(types=("RecommendAction", "CreateAction", "CancelAction"), origins=("sira",), action_types=("*",)),
    "ops-tooling": Scope(
        types=("CreateAction", "CastVote", "ExecuteAction", "CancelAction"),
        origins=("ops_ui",),
        action_types=("*",),
        roles=("*",),
    ),
    "directory": Scope(types=("SyncDirectory",)),
    "definitions": Scope(
        types=("CreateAction", "CancelAction"), origins=("ops_ui",), action_types=tuple(sorted(CHANGES)), roles=("*",)
    ),
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


def directory(
    snapshot: int = 1, people: Mapping[str, tuple[str, ...]] | None = None, **acting: tuple[str, ...]
) -> SyncDirectory:
    """A snapshot of the company's directory; `acting` says who may act for whom."""
    return SyncDirectory(
        snapshot=snapshot,
        people=tuple(
            Person(
                id=person,
                grants=(
                    *(PersonGrant(role=role) for role in roles),
                    *(PersonGrant(acts_for=delegator) for delegator in acting.get(person, ())),
                ),
            )
            for person, roles in (people or PEOPLE).items()
        ),
    )


ROOM = Limits(creates_per_hour=1_000_000, votes_per_hour=1_000_000, executions_per_hour=1_000_000)
"""Tests do in seconds what a company does in a year."""


def float_definitions() -> str:
    """The policy of the document's scenario, but that each action says for itself whether it executes by itself."""
    return files("workers").joinpath("demo.yaml").read_text().replace("      auto_execute: false\n", "")


def many_at_once() -> list[definition_files.Defined]:
    """The shipped ADJUST_FLOAT but that several may be open for one agent: most tests want many actions of one scenario."""
    ((kind, shipped),) = one_at_a_time()
    return [(kind, shipped.model_copy(update={"exclusive_params": ()}))]


def one_at_a_time() -> list[definition_files.Defined]:
    """The shipped ADJUST_FLOAT: one at a time is open for an agent."""
    return [defined for defined in definition_files.shipped() if defined[1].name == "ADJUST_FLOAT"]


def prepare(conn: connect.Connection) -> None:
    """Register the company's keys, put its policies in force, and take its directory in, through a signed message."""
    for issuer, scope in SCOPES.items():
        keys.add_key(conn, KEYS[issuer].kid, issuer, KEYS[issuer].public_bytes, scope)
    definition_files.apply(conn, definition_files.parse(float_definitions(), "demo.yaml") + many_at_once(), by="tests")
    ticket = Producer(redis.Redis(), KEYS["directory"]).sign(directory(), jti="directory")
    applier = Applier(lambda: _lend(conn), Loader("ops-approval", ROOM))
    assert applier.apply_tokens([ticket.token]).receipts[0].outcome is Outcome.APPLIED


@contextmanager
def _lend(conn: connect.Connection) -> Iterator[connect.Connection]:
    yield conn


def top_up(
    key: str = "alert-1-sira-rec",
    *,
    alert: str = "alert-1",
    confidence: float = 0.95,
    amount: int = 1_000_000,
    agent: str = "agent-123",
    **changes: Any,
) -> CreateAction:
    """The action of the document's scenario: SIRA recommends a top-up that remedies an alert."""
    wanted = {
        "idempotency_key": key,
        "origin": "sira",
        "action_type": "ADJUST_FLOAT",
        "params": {
            "agent_id": agent,
            "adjustment": "top_up",
            "amount": amount,
            "alert_id": alert,
            "sira_confidence": confidence,
        },
        "target_tenant_type": "agent",
        "target_tenant_id": agent,
        "auto_execute": False,
        "created_by": "sira-system",
    }
    return CreateAction.model_validate(wanted | changes)


def wait_for(look: Callable[[], T | None], seconds: float = 10) -> T:
    """What `look` finds, as soon as that is anything but None, False or empty."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


class Installation:
    """One database and one Redis, and the engine's parts at work on them inside this process."""

    def __init__(self, database_url: str, redis_url: str, client: redis.Redis) -> None:
        self.settings = Settings(DATABASE_URL=database_url, REDIS_URL=redis_url, limits=ROOM)
        self.client = client
        self.pool = connect.pool(database_url, "tests", max_size=8)
        self.pool.open()
        self.applier = Applier(self.pool.connection, Loader("ops-approval", ROOM))
        self.broker: dramatiq.Broker = make_broker(redis_url)

    @cached_property
    def owner(self) -> connect.Connection:
        """A connection with the owner's rights."""
        return connect.connect(self.settings.database_url, "tests owner", role=None)

    def close(self) -> None:
        self.pool.close()
        self.broker.close()
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

    def another_worker(self) -> Applier:
        """What another process would apply with: it shares nothing with this one but the database."""
        return Applier(self.pool.connection, Loader("ops-approval", ROOM))

    def agreed(self, action_type: str, params: dict[str, Any], issuer: str = "ops-tooling") -> UUID:
        """Something for the engine to do itself, agreed to and its execution asked for."""
        body = {"origin": "ops_ui", "action_type": action_type, "params": params, "created_by": "finance-user-3"}
        (asked,) = self.tell(issuer, CreateAction.model_validate(body))
        assert asked.action_id is not None, asked
        for person in ("ops-admin-1", "ops-admin-2"):
            assert self.vote(asked.action_id, person).outcome is Outcome.APPLIED
        assert self.ask_to_execute(asked.action_id, "finance-user-4").outcome is Outcome.APPLIED
        return asked.action_id

    def perform(self, action_id: UUID) -> str:
        """Have the engine carry out what was agreed to; the action's status after it."""
        token = due.draw_token(self.owner)
        for given in (AttemptStarted(action_id, token, "tests"), Perform(action_id, token)):
            assert self.applier.apply([given]).receipts[0].outcome is Outcome.APPLIED
        return str(self.action(action_id)["status"])

    def broken(self) -> list[str]:
        """The invariants that are broken, but for those against what nobody agreed to: tests define things as the owner."""
        found = [broken.invariant.name for _, broken in invariants.check(self.owner) if broken is not None]
        return [name for name in found if name not in {"12_definitions_were_agreed", "12_keys_were_agreed"}]

    def executor(self, url: str) -> Executor:
        services = dict.fromkeys(("float", "merchants", "payouts", "operations", "payments", "risk"), url)
        return Executor(self.another_worker(), services, make_client())

    def relay(self) -> Relay:
        """What puts events into the stream."""
        return Relay(self.pool.connection, self.settings.redis_url)

    def put_out(self) -> int:
        """Put what happened into the stream of events; how many entries."""
        with closing(self.relay()) as relay:
            return relay.run()

    @contextmanager
    def at_work(self, services_url: str, *, ingest: bool = True, sira: Sira | None = None) -> Iterator["Installation"]:
        """The engine as it runs in production, in threads: ingest and the actors, or the stock actors alone."""
        broker = make_broker(self.settings.servers.redis_url)
        executor = self.executor(services_url)
        relay = self.relay()
        runtime = Runtime(self.pool, self.applier, executor, relay, sira or Sira())  # whose pool is not closed here
        Actors(broker, lambda: runtime)
        worker = dramatiq.Worker(broker, queues={WORK} if ingest else {WORK, MESSAGES}, worker_threads=2)
        drainer = Ingest(self.settings, broker)
        thread = threading.Thread(target=drainer.run)
        worker.start()
        if ingest:
            thread.start()
        try:
            yield self
        finally:
            drainer.stopping.set()
            if ingest:
                thread.join()
            drainer._client.close()
            worker.stop()
            broker.close()
            relay.close()
            executor.client.close()

    def send(self, issuer: str, body: Any) -> dict[str, Any]:
        """Put a message into the queue and wait for its receipt, as callers do."""
        ticket = self.producer(issuer).send(body)
        return wait_for(lambda: read.get_receipt(self.owner, ticket.content_sha256))

    def send_vote(self, action_id: UUID, person: str, choice: str = "approve") -> dict[str, Any]:
        """A vote, by way of the queue."""
        body = {"action_id": action_id, "voter_id": person, "vote": choice}
        return self.send("ops-tooling", CastVote.model_validate(body))

    def wait_until(self, action_id: UUID, status: str) -> dict[str, Any]:
        """The action, as soon as it is in this state."""
        return wait_for(lambda: action if (action := self.action(action_id))["status"] == status else None)

    def send_raw(self, issuer: str, type_name: str, body: dict[str, Any]) -> Ticket:
        """Enqueue a signed message whose body our own producer would not have written."""
        key, now, jti = KEYS[issuer], int(time.time()), str(uuid4())
        envelope = {
            "v": 1,
            "type": type_name,
            "iss": issuer,
            "aud": "ops-approval",
            "jti": jti,
            "iat": now,
            "exp": now + 60,
        }
        token = key.sign_payload(canonical(envelope | {"body": body}))
        enqueue(self.client, [token])
        created = action_id(issuer, body.get("idempotency_key"), jti) if type_name == "CreateAction" else None
        return Ticket(jti, content_sha256(token.encode()), created, token)

    def opened(self, *tickets: Ticket) -> list[Message | Unopened]:
        """The messages in envelopes, as the engine's steps see them."""
        ring = keys.load_key_ring(self.owner)
        return [open_envelope(ticket.token, ring) for ticket in tickets]

    def answers(self, *tickets: Ticket) -> list[str]:
        """What became of messages: for each the code of its refusal, or else its outcome."""
        found = [read.get_receipt(self.owner, ticket.content_sha256) for ticket in tickets]
        return [(row["code"] or row["outcome"]) if row else "not received" for row in found]

    def count(self, outcome: str) -> int:
        """How many messages have this outcome, without the directory's."""
        statement = "select count(*) from messages where outcome = %s and jti is distinct from 'directory'"
        return int(self.scalar(statement, outcome))

    def queued(self) -> int:
        """How many messages wait in the queue, and bodies in its hash."""
        return max(self.client.llen(f"dramatiq:{MESSAGES}"), self.client.hlen(f"dramatiq:{MESSAGES}.msgs"))

    def rings(self) -> list[str]:
        """The actors that were rung for and have not come yet, in order."""
        ids = cast("list[bytes]", self.client.lrange(f"dramatiq:{WORK}", 0, -1))
        bodies = [cast("bytes", self.client.hget(f"dramatiq:{WORK}.msgs", ring.decode())) for ring in ids]
        return [dramatiq.Message.decode(body).actor_name for body in bodies]

    def drain(self, batch: int = 200) -> None:
        """Ingest until the queue is empty."""
        ingest = Ingest(self.settings, self.broker, batch=batch)
        with closing(ingest._client):
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

    def make_due(self, action_id: UUID) -> None:
        """Let an action's time come: its moments move a minute into the past."""
        self.owner.execute(
            """
            update actions set expires_at = now() - interval '1 minute',
                               due_at = case when due_at is not null then now() - interval '1 minute' end,
                               next_attempt_at = case when next_attempt_at is not null then now() - interval '1 minute' end
             where id = %s
            """,
            [action_id],
        )
