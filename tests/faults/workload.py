"""What people and machines ask for during a round: actions of every guarantee, votes in any order, executions.

Everything follows from the seed but the moments. Producers keep to their contract: what was not taken, or has no
receipt after the fault, is sent again under the same identity.
"""

import random
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import redis

from domain.messages import CastVote, CreateAction, ExecuteAction
from tests.faults import naive
from tests.faults.stage import Stage
from tests.world import KEYS
from workers.producer import Producer, Ticket
from workers.queue import MESSAGES, enqueue, received

TYPES = ("REPEATED", "ASKED", "ONCE")
VOTERS = ("finance-user-1", "finance-user-2", "finance-user-3", "finance-user-4")
PAUSE_SECONDS = 0.1
SETTLED = ("applied", "duplicate", "refused")


@dataclass
class Workload:
    """Actions asked for on a stage, with every message that was meant to be sent."""

    stage: Stage
    seed: int
    tickets: dict[bytes, Ticket] = field(default_factory=dict)
    votes: set[bytes] = field(default_factory=set)
    numbers: dict[UUID, int] = field(default_factory=dict)
    naive_ids: list[str] = field(default_factory=list)
    messages_sent: int = 0
    resent: int = 0
    vanished: int = 0
    """How many messages Redis took that were gone from it without a receipt."""

    def __post_init__(self) -> None:
        self._taken: set[bytes] = set()
        self._sira = Producer(self.stage.client, KEYS["sira"])
        self._tooling = Producer(self.stage.client, KEYS["ops-tooling"])
        self._asked: set[UUID] = set()
        self._seen: dict[bytes, str] = {}
        self._lock = threading.Lock()  # what probes is another thread than what goes on
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def start(self) -> None:
        """Go on asking for actions until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._stopping.wait(PAUSE_SECONDS):
            self.send(self.action())

    def action(self) -> list[Ticket]:
        """The messages of one action more, in an order of their own: its creation and its votes, most of which approve."""
        with self._lock:
            number = len(self.numbers)
            drawn = random.Random(f"{self.seed} {number}")
            created = self._sira.sign(_create(number, drawn), jti=f"create {number}")
            assert created.action_id is not None
            self.numbers[created.action_id] = number
            choice = "approve" if drawn.random() < 0.8 else "reject"
            voters = drawn.sample(VOTERS, drawn.randint(2, len(VOTERS)))
            votes = [self._vote(created.action_id, voter, choice) for voter in voters]
            self.votes |= {vote.content_sha256 for vote in votes}
            self.naive_ids.append(str(created.action_id))
            tickets = [created, *votes]
            drawn.shuffle(tickets)
            return self._kept(tickets)

    def _vote(self, action_id: UUID, voter: str, choice: str) -> Ticket:
        body: dict[str, Any] = {"action_id": action_id, "voter_id": voter, "vote": choice}
        return self._tooling.sign(CastVote.model_validate(body), jti=f"{action_id} {voter}")

    def _kept(self, tickets: list[Ticket]) -> list[Ticket]:
        self.tickets |= {ticket.content_sha256: ticket for ticket in tickets}
        return tickets

    def send(self, tickets: list[Ticket]) -> None:
        """Send messages; those that are not taken are for `resend`."""
        self.messages_sent += len(tickets)
        with suppress(redis.RedisError):
            enqueue(self.stage.client, [ticket.token for ticket in tickets])
            self._taken |= {ticket.content_sha256 for ticket in tickets}
        self.approve_naive(self.naive_ids[-1:])

    def send_again(self, action_ids: list[UUID]) -> None:
        """Send everything that concerns these actions once more, as a producer that is unsure does."""
        tokens = [ticket.token for ticket in list(self.tickets.values()) if ticket.action_id in action_ids]
        enqueue(self.stage.client, tokens)
        self.messages_sent += len(tokens)

    def send_shuffled(self, actions: int, copies: int) -> int:
        """Send the messages of many actions several times each, in any order, some of them put off; how many."""
        tickets = [ticket for _ in range(actions) for ticket in self.action()]
        tokens = [ticket.token for ticket in tickets] * copies
        random.Random(f"{self.seed} {len(self.numbers)}").shuffle(tokens)
        put_off, at_once = tokens[: len(tokens) // 20], tokens[len(tokens) // 20 :]
        enqueue(self.stage.client, at_once)
        for token in put_off:
            self.stage.broker.enqueue(received(token), delay=100)
        self._taken |= {ticket.content_sha256 for ticket in tickets}
        self.messages_sent += len(tokens)
        self.approve_naive(self.naive_ids[-actions:] * copies)
        return len(tokens)

    def approve_naive(self, ids: list[str]) -> None:
        # If that fails, the control has less to do.
        with (
            suppress(psycopg.Error, redis.RedisError),
            psycopg.connect(self.stage.database_url, autocommit=True, connect_timeout=5) as conn,
        ):
            naive.add(conn, self.stage.client, ids)

    def probe(self) -> Ticket:
        """One action more, of which only the receipt matters."""
        tickets = self.action()
        self.send(tickets)
        return tickets[0]

    def outcomes(self) -> dict[bytes, str]:
        """What became of each message that has a receipt."""
        found = self.stage.rows("select content_sha256, outcome from receipts")
        return {row["content_sha256"]: row["outcome"] for row in found}

    def note_receipts(self) -> None:
        """Remember the receipts that somebody has seen: none of them may ever get lost or say something else."""
        self._seen |= {sha: outcome for sha, outcome in self.outcomes().items() if outcome in SETTLED}

    def forgotten(self) -> set[bytes]:
        """The messages with receipts that somebody has seen and that are gone or changed."""
        outcomes = self.outcomes()
        return {sha for sha, outcome in self._seen.items() if outcomes.get(sha) != outcome}

    def resend(self) -> int:
        """Send again what has no receipt and does not wait in the queue, as producers do; how many messages that were."""
        taken = frozenset(self._taken)  # before the look at the queue, which they are in from then until their commit
        if self.waiting():
            return 0
        outcomes = self.outcomes()
        missing = {sha: ticket.token for sha, ticket in list(self.tickets.items()) if sha not in outcomes}
        self.vanished += len(missing.keys() & taken)
        enqueue(self.stage.client, list(missing.values()))
        self.resent += len(missing)
        return len(missing)

    def waiting(self) -> int:
        """How many messages wait in the queue, and for their time."""
        lists = (f"dramatiq:{MESSAGES}", f"dramatiq:{MESSAGES}.DQ")
        return sum([self.stage.client.llen(name) for name in lists])

    def ask_to_execute(self) -> None:
        """A person asks for what is approved and does not execute itself."""
        waiting = self.stage.rows("select id from actions where status = 'approved' and next_attempt_at is null")
        new = [row["id"] for row in waiting if row["id"] not in self._asked]
        bodies = [ExecuteAction(action_id=action_id, executed_by="ops-admin-1") for action_id in new]
        tickets = [self._tooling.sign(body, jti=f"execute {body.action_id}") for body in bodies]
        enqueue(self.stage.client, [ticket.token for ticket in self._kept(tickets)])
        self._asked |= set(new)


def _create(number: int, drawn: random.Random) -> CreateAction:
    return CreateAction.model_validate(
        {
            "idempotency_key": f"action {number}",
            "origin": "sira",
            "action_type": drawn.choice(TYPES),
            "params": {"number": number},
            "auto_execute": drawn.random() < 0.8,
            "created_by": "sira-system",
        }
    )
