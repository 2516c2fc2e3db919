"""Two at once, on two connections: whatever the interleaving, the end is one that some order one by one would give."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from db import connect, due, keys
from db.load import Loader
from domain.executing import AttemptFinished, AttemptStarted
from domain.lifecycle import Status
from domain.messages import CastVote, Message, Unopened
from domain.outcome import Done, Rejected
from domain.policy import Policy
from tests.world import SCOPES, Installation, T, top_up, wait_for
from workers import definition_files
from workers.apply import Applied, Applier
from workers.definition_files import Defined
from workers.envelope import SigningKey
from workers.producer import Producer, Ticket
from workers.sandbox import Sandbox

Said = tuple[str, str]
"""Who says what."""

STARTING_POINTS: list[Sequence[Said]] = [
    [],
    [("finance-user-3", "approve")],
    [("finance-user-3", "reject")],
    [("finance-user-3", "abstain")],
    [("finance-user-1", "reject")],
    [("finance-user-3", "approve"), ("finance-user-4", "reject")],
]
RACES: list[tuple[Said, Said]] = [
    (("finance-user-1", "approve"), ("finance-user-2", "approve")),
    (("finance-user-1", "approve"), ("finance-user-2", "reject")),
    (("finance-user-1", "reject"), ("finance-user-2", "reject")),
    (("finance-user-1", "approve"), ("finance-user-1", "withdraw")),
    (("finance-user-3", "withdraw"), ("finance-user-1", "approve")),
    (("finance-user-2", "abstain"), ("finance-user-2", "approve")),
]


def race(*runners: Callable[[], T]) -> list[T]:
    """Run functions at the same moment, each in a thread of its own; what they returned, in their order."""
    barrier = threading.Barrier(len(runners))

    def run(runner: Callable[[], T]) -> T:
        barrier.wait()
        return runner()

    with ThreadPoolExecutor(len(runners)) as threads:
        return list(threads.map(run, runners))


def two_workers(installation: Installation) -> tuple[Applier, Applier]:
    return installation.another_worker(), installation.another_worker()


def at_once(workers: Sequence[Applier], tokens: Sequence[str]) -> list[Applied]:
    """Each worker applies one token, all of them at the same moment."""
    return race(*(partial(worker.apply_tokens, [token]) for worker, token in zip(workers, tokens, strict=True)))


def signed(installation: Installation, action_id: UUID | None, said: Said) -> Ticket:
    body = {"action_id": action_id, "voter_id": said[0], "vote": said[1]}
    return installation.producer("ops-tooling").sign(CastVote.model_validate(body))


def started(installation: Installation, key: str, before: Sequence[Said]) -> UUID:
    (created,) = installation.tell("sira", top_up(key))
    assert created.action_id is not None
    for person, choice in before:
        installation.vote(created.action_id, person, choice)
    return created.action_id


def ended(installation: Installation, action_id: UUID, tickets: Sequence[Ticket]) -> Any:
    """How it ended: the action, its tally and votes, its decisions, and the answers."""
    action = installation.action(action_id)
    votes = {vote["voter_id"]: vote["vote"] for vote in action["votes"]}
    decisions = [name for name in installation.trail(action_id) if name in {"approved", "rejected"}]
    assert len(decisions) <= 1
    tally = [action[name] for name in ("status", "votes_approve", "votes_reject", "votes_abstain", "quorum_satisfied")]
    return tally, votes, decisions, installation.answers(*tickets)


@pytest.mark.parametrize("before", STARTING_POINTS, ids=str)
def test_two_votes_at_once_end_as_one_after_the_other(installation: Installation, before: Sequence[Said]) -> None:
    workers = two_workers(installation)
    for number, pair in enumerate(RACES):
        serial = []
        for order in permutations((0, 1)):
            action_id = started(installation, f"serial {number} {order}", before)
            tickets = [signed(installation, action_id, said) for said in pair]
            for index in order:
                installation.apply([tickets[index]])
            serial.append(ended(installation, action_id, tickets))
        for again in range(3):
            action_id = started(installation, f"race {number} {again}", before)
            tickets = [signed(installation, action_id, said) for said in pair]
            at_once(workers, [ticket.token for ticket in tickets])
            assert ended(installation, action_id, tickets) in serial


def test_one_token_at_two_workers_at_once_has_one_effect(installation: Installation) -> None:
    workers = two_workers(installation)
    for number in range(20):
        create = installation.producer("sira").sign(top_up(f"race {number}"))
        answers = at_once(workers, [create.token] * 2)
        assert answers[0].receipts == answers[1].receipts
        assert create.action_id is not None
        vote = signed(installation, create.action_id, ("finance-user-1", "approve"))
        answers = at_once(workers, [vote.token] * 2)
        assert answers[0].receipts == answers[1].receipts
        assert installation.trail(create.action_id) == ["created", "voted"]
    assert installation.scalar("select count(*) from messages where jti <> 'directory'") == 40


@pytest.mark.parametrize(("amount", "second"), [(1_000_000, "duplicate"), (2_000_000, "idempotency_conflict")])
def test_two_creates_with_one_key_at_once_make_one_action(installation: Installation, amount: int, second: str) -> None:
    workers = two_workers(installation)
    for number in range(20):
        bodies = (top_up(f"race {number}"), top_up(f"race {number}", amount=amount))
        tickets = [installation.producer("sira").sign(body) for body in bodies]
        at_once(workers, [ticket.token for ticket in tickets])
        assert sorted(installation.answers(*tickets)) == sorted(["applied", second])
    assert installation.scalar("select count(*) from actions") == 20


def test_one_identity_with_two_contents_at_once_is_one_message(installation: Installation) -> None:
    workers = two_workers(installation)
    for number in range(20):
        bodies = (top_up(f"one {number}"), top_up(f"two {number}"))
        tickets = [installation.producer("sira").sign(body, jti=f"same {number}") for body in bodies]
        at_once(workers, [ticket.token for ticket in tickets])
        assert sorted(installation.answers(*tickets)) == ["applied", "identity_conflict"]


def test_parking_cannot_miss_an_action_that_is_just_being_created(installation: Installation) -> None:
    workers = two_workers(installation)
    for number in range(50):
        create = installation.producer("sira").sign(top_up(f"race {number}"))
        vote = signed(installation, create.action_id, ("finance-user-1", "approve"))
        at_once(workers, [create.token, vote.token])
        assert installation.answers(create, vote) == ["applied", "applied"]
        assert create.action_id is not None
        assert installation.trail(create.action_id) == ["created", "voted"]


def test_a_batch_in_any_order_against_another_never_deadlocks(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.apply._CONFLICT_RETRIES", 0)
    one, two = two_workers(installation)
    for number in range(5):
        ids = [started(installation, f"{number} {index}", []) for index in range(20)]
        votes = [
            [signed(installation, action_id, (person, "approve")).token for action_id in order]
            for person, order in (("finance-user-1", ids), ("finance-user-2", ids[::-1]))
        ]
        race(partial(one.apply_tokens, votes[0]), partial(two.apply_tokens, votes[1]))
        assert {installation.action(action_id)["status"] for action_id in ids} == {"approved"}


def test_locks_are_taken_in_one_order_whatever_the_order_of_a_batch(installation: Installation) -> None:
    """A third holds one of the locks until both wait, so that each has some of those that the other needs."""
    tickets = [installation.producer("sira").sign(top_up(str(number))) for number in range(20)]
    inputs = installation.opened(*tickets)

    def lock(batch: Sequence[Message | Unopened]) -> None:
        with installation.pool.connection() as conn, conn.transaction(force_rollback=True):
            Loader("ops-approval").world(conn, batch)

    waiting = "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())"
    for number in range(10):
        with ThreadPoolExecutor(2) as threads, installation.pool.connection() as conn:
            with conn.transaction(force_rollback=True):
                Loader("ops-approval").world(conn, [inputs[number]])
                both = [threads.submit(lock, batch) for batch in (inputs, inputs[::-1])]
                wait_for(lambda: installation.scalar(waiting) == 2)
            for each in both:
                each.result()  # a deadlock raises


def test_two_executors_at_once_have_one_effect_in_one_attempt(installation: Installation, sandbox: Sandbox) -> None:
    sandbox.delay_seconds = 0.05
    executors = [installation.executor(sandbox.url) for _ in range(2)]
    for number in range(8):
        action_id = installation.approved(key=f"race {number}", amount=1000)
        statuses = race(*(partial(executor.execute, action_id) for executor in executors))
        assert sorted(map(str, statuses)) == ["None", "executed"]
        assert len(installation.action(action_id)["attempts"]) == 1
    assert [effect["replays"] for effect in sandbox.effects()] == [0] * 8


def test_a_sweep_and_an_executor_at_once_have_one_effect(installation: Installation, sandbox: Sandbox) -> None:
    executor = installation.executor(sandbox.url)
    for number in range(8):
        action_id = installation.approved(key=f"race {number}", amount=1000)
        sweep = partial(installation.applier.sweep, {Status.APPROVED, Status.EXECUTING})
        race(partial(executor.execute, action_id), sweep)
        executor.execute(action_id)
        assert installation.trail(action_id)[-2:] == ["executing", "executed"]
    assert len(sandbox.effects()) == 8


@pytest.mark.parametrize("late", [Done({"late": True}), Rejected("late")])
@pytest.mark.parametrize("then", ["waiting", "running", "executed"])
def test_an_executor_whose_lease_was_taken_over_changes_nothing(
    installation: Installation, sandbox: Sandbox, late: Any, then: str
) -> None:
    action_id = installation.approved()
    with installation.pool.connection() as conn:
        stale, newer = due.draw_token(conn), due.draw_token(conn)
    assert installation.applier.apply([AttemptStarted(action_id, stale, "slow")]).receipts[0].outcome == "applied"
    installation.make_due(action_id)
    installation.applier.sweep({Status.EXECUTING})
    assert installation.action(action_id)["status"] == "approved"
    if then != "waiting":
        installation.make_due(action_id)
        if then == "running":
            installation.applier.apply([AttemptStarted(action_id, newer, "quick")])
        else:
            assert installation.executor(sandbox.url).execute(action_id) == "executed"
    before = (installation.action(action_id), installation.trail(action_id))

    (receipt,) = installation.another_worker().apply([AttemptFinished(action_id, stale, late)]).receipts
    assert receipt.code == "stale_token"
    assert (installation.action(action_id), installation.trail(action_id)) == before


def test_a_key_that_becomes_known_meanwhile_breaks_nothing(installation: Installation) -> None:
    """One worker opens the token just before its key is registered, and one just after."""
    one, two = two_workers(installation)
    for number in range(10):
        key = SigningKey.generate(f"new-{number}", f"new-{number}")
        ticket = Producer(installation.client, key).sign(top_up())
        (unopened,) = installation.opened(ticket)
        keys.add_key(installation.owner, key.kid, key.issuer, key.public_bytes, SCOPES["sira"])
        (opened,) = installation.opened(ticket)
        race(partial(one.apply, [opened]), partial(two.apply, [unopened]))
        one.apply([opened])
        assert installation.answers(ticket) == ["applied"]


def test_a_definition_that_is_committed_late_is_not_overlooked(installation: Installation) -> None:
    """Two people apply policies at once: the one who began first commits last."""
    url = installation.settings.servers.database_url
    with closing(connect.connect(url, "one", role=None)) as one, closing(connect.connect(url, "two", role=None)) as two:
        with one.transaction():
            definition_files.apply(one, _policy("Of the first", priority=1000), by="one")
            definition_files.apply(two, _policy("Of the second", priority=1), by="two")
            installation.tell("sira", top_up("meanwhile"))
        (created,) = installation.tell("sira", top_up("afterwards"))
    assert created.action_id is not None
    assert installation.action(created.action_id)["policy_name"] == "Of the first"


def _policy(name: str, priority: int) -> list[Defined]:
    quorum = {"type": "role", "value": {"role": "cfo", "min_votes": 1}}
    document = {"name": name, "criteria": {"action_type": "ADJUST_FLOAT"}, "priority": priority}
    return [("policy", Policy.model_validate(document | {"policy": {"required_quorum": quorum}}))]
