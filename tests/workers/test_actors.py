"""The actors on their queues, the two ways to consume, the periodic actors' counts, and the scheduler that rings for them."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from psycopg import sql

from db import due
from domain import deadlines
from domain.action import Action
from domain.messages import ExecuteAction
from domain.world import World
from tests.world import Installation, top_up, wait_for
from workers import actors
from workers.actors import Actors
from workers.brokers import make_broker
from workers.queue import MESSAGES, WORK, ring
from workers.runtime import Runtime
from workers.sandbox import Sandbox
from workers.scheduler import Scheduler

PERIODIC = ["escalate_expired_actions", "auto_execute_approved_actions", "relay_events"]


@pytest.fixture
def working(installation: Installation, sandbox: Sandbox) -> Iterator[Actors]:
    """The actors, called as functions."""
    executor = installation.executor(sandbox.url)
    yield Actors(installation.broker, lambda: Runtime(installation.pool, installation.applier, executor, None))
    executor.client.close()


def overdue(installation: Installation, key: str) -> UUID:
    (created,) = installation.tell("sira", top_up(key))
    assert created.action_id is not None
    installation.make_due(created.action_id)
    return created.action_id


def test_each_actor_is_on_its_queue() -> None:
    broker = StubBroker()
    Actors(broker, lambda: pytest.fail("nothing was sent"))
    queues = {name: actor.queue_name for name, actor in broker.actors.items()}
    assert queues == {"receive": MESSAGES} | dict.fromkeys(["execute", "ask_sira", "sweep", *PERIODIC], WORK)


@pytest.mark.parametrize("ingest", [True, False], ids=["ingest", "stock"])
def test_the_story_runs_however_messages_are_consumed(
    installation: Installation, sandbox: Sandbox, ingest: bool
) -> None:
    with installation.at_work(sandbox.url, ingest=ingest) as engine:
        create = installation.producer("sira").sign(top_up())
        assert create.action_id is not None
        assert engine.send_vote(create.action_id, "finance-user-1")["outcome"] == "parked"
        assert engine.send("sira", top_up())["outcome"] == "applied"
        assert engine.send_vote(create.action_id, "finance-user-2")["outcome"] == "applied"
        assert engine.send("ops-tooling", ExecuteAction(action_id=create.action_id, executed_by="ops-admin-1"))
        engine.wait_until(create.action_id, "executed")
        assert engine.send_vote(create.action_id, "finance-user-3")["code"] == "action_closed"
    assert [effect["replays"] for effect in sandbox.effects()] == [0]
    assert installation.trail(create.action_id) == ["created", "voted", "voted", "approved", "executing", "executed"]
    assert installation.queued() == 0


def test_the_escalating_actor_counts_what_it_escalated_and_expired(working: Actors, installation: Installation) -> None:
    for number in range(3):
        overdue(installation, str(number))
    assert working.escalate_expired_actions() == {"escalated": 3, "expired": 0}
    assert working.escalate_expired_actions() == {"escalated": 0, "expired": 0}
    for row in installation.owner.execute("select id from actions order by id limit 2").fetchall():
        installation.make_due(row["id"])
    assert working.escalate_expired_actions() == {"escalated": 0, "expired": 2}


def test_the_executing_actor_counts_what_it_executed_and_what_failed(
    working: Actors, installation: Installation, sandbox: Sandbox
) -> None:
    ids = [installation.approved(key=key, amount=1000) for key in ("a", "b", "c")]
    overdue(installation, "waits for votes")
    sandbox.fail_next(422)
    sandbox.fail_next(503)
    assert working.auto_execute_approved_actions() == {"executed": 1, "failed": 1}
    ended = {installation.action(action_id)["status"]: action_id for action_id in ids}
    assert set(ended) == {"executed", "failed", "approved"}
    assert working.auto_execute_approved_actions() == {"executed": 0, "failed": 0}
    installation.make_due(ended["approved"])
    assert working.auto_execute_approved_actions() == {"executed": 1, "failed": 0}


def test_an_action_that_executes_by_itself_needs_nobody_to_ask(working: Actors, installation: Installation) -> None:
    (created,) = installation.tell("sira", top_up(auto_execute=True))
    assert created.action_id is not None
    for person in ("finance-user-1", "finance-user-2"):
        installation.vote(created.action_id, person)
    assert working.auto_execute_approved_actions() == {"executed": 1, "failed": 0}
    assert installation.action(created.action_id)["executed_by"] == "ops-approval"


def test_a_sweep_rings_for_what_is_to_be_executed_and_ends_parking(working: Actors, installation: Installation) -> None:
    action_id = installation.approved()
    installation.vote(UUID(int=1), "finance-user-1")
    installation.owner.execute("update messages set expires_at = now() where outcome = 'parked'")
    escalated = overdue(installation, "late")
    working.sweep()
    assert installation.rings() == ["execute"]
    assert installation.count("parked") == 0
    assert installation.action(escalated)["status"] == "escalated"
    working.execute(str(action_id))
    assert installation.action(action_id)["status"] == "executed"


def test_actions_that_cannot_be_touched_do_not_hold_up_the_others(
    working: Actors, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_one, bad_two, good = (overdue(installation, key) for key in ("a", "b", "c"))
    installation.owner.execute("update actions set due_at = now() where id = %s", [good])
    enforce = deadlines.enforce

    def sometimes(world: World, action: Action) -> Action:
        if action.id in {bad_one, bad_two}:
            raise ArithmeticError
        return enforce(world, action)

    monkeypatch.setattr(deadlines, "enforce", sometimes)
    monkeypatch.setattr(actors, "_PAGE", 2)
    for _ in range(2):
        working.escalate_expired_actions()
    assert installation.action(bad_one)["status"] == "requested"
    assert installation.action(good)["status"] == "escalated"


def test_an_action_that_this_release_cannot_read_is_put_off_and_the_others_are_swept(
    working: Actors, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable, good = (overdue(installation, key) for key in ("a", "b"))
    installation.owner.execute("alter table actions disable trigger guard_action")
    installation.owner.execute(
        'update actions set requirement = \'{"of": "a later release"}\' where id = %s', [unreadable]
    )
    installation.owner.execute("alter table actions enable trigger guard_action")
    monkeypatch.setattr(actors, "_PAGE", 1)
    for _ in range(2):
        working.sweep()
    assert installation.action(good)["status"] == "escalated"
    assert installation.scalar("select due_at > now() from actions where id = %s", unreadable)


def test_an_action_whose_row_cannot_be_changed_does_not_hold_up_the_others(
    working: Actors, installation: Installation
) -> None:
    overdue(installation, "a"), overdue(installation, "b")
    unlucky = overdue(installation, "unlucky")
    installation.owner.execute("update actions set due_at = due_at - interval '1 hour' where id = %s", [unlucky])
    rule = sql.SQL("alter table actions add constraint unlucky check (id <> {}) not valid")
    installation.owner.execute(rule.format(sql.Literal(unlucky)))
    working.sweep()
    assert installation.scalar("select count(*) from actions where status = 'escalated'") == 2


def test_an_unknown_or_unready_action_is_not_executed(
    working: Actors, installation: Installation, sandbox: Sandbox
) -> None:
    (created,) = installation.tell("sira", top_up())
    working.execute(str(created.action_id))
    working.execute(str(UUID(int=1)))
    assert sandbox.effects() == []


def test_a_producers_message_starts_no_other_actor(installation: Installation, sandbox: Sandbox) -> None:
    target = dramatiq.Message[Any](queue_name=WORK, actor_name="sweep", args=(), kwargs={}, options={})
    options = {"pipe_target": target.asdict(), "on_success": "sweep", "on_failure": "sweep", "max_retries": 0}
    ticket = installation.producer("sira").sign(top_up())
    broker = make_broker(installation.settings.servers.redis_url)
    executor = installation.executor(sandbox.url)
    Actors(broker, lambda: Runtime(installation.pool, installation.applier, executor, None))
    worker = dramatiq.Worker(broker, queues={MESSAGES}, worker_threads=1)
    worker.start()
    try:
        message = dramatiq.Message[Any](
            queue_name=MESSAGES, actor_name="receive", args=(ticket.token,), kwargs={}, options=options
        )
        broker.enqueue(message)
        wait_for(lambda: installation.answers(ticket) == ["applied"])
        wait_for(lambda: installation.client.hlen(f"dramatiq:{MESSAGES}.msgs") == 0)
    finally:
        worker.stop()
        broker.close()
        executor.client.close()
    assert installation.rings() == []
    again = message.copy(options=options | {"redis_message_id": "1"})
    installation.client.hset(f"dramatiq:{MESSAGES}.msgs", "1", again.encode())
    installation.client.rpush(f"dramatiq:{MESSAGES}", "1")
    installation.drain()
    assert installation.rings() == []


def test_a_ring_that_cannot_be_rung_costs_nothing() -> None:
    broker = make_broker("unix:///nowhere/redis.sock")
    ring(broker, "sweep")
    broker.close()


@pytest.fixture
def schedulers(installation: Installation) -> list[Scheduler]:
    """Two schedulers of one installation."""
    return [Scheduler(installation.settings, installation.broker) for _ in range(2)]


def test_the_scheduler_rings_the_periodic_actors_once_in_each_slot(
    installation: Installation, schedulers: list[Scheduler]
) -> None:
    def later(actor_name: str) -> None:
        """Let the actor's next period begin: what was asked for was in the one before."""
        installation.owner.execute(
            "update schedule set asked_in = asked_in - interval '1 second' where actor = %s", [actor_name]
        )

    one, two = schedulers
    with installation.pool.connection() as conn:
        for _ in range(3):
            one.tick(conn)
            two.tick(conn)
        assert installation.rings() == PERIODIC
        later("auto_execute_approved_actions")
        two.tick(conn)
        one.tick(conn)
        assert installation.rings() == [*PERIODIC, "auto_execute_approved_actions"]
        for actor_name in PERIODIC:
            later(actor_name)
        one.tick(conn)
        two.tick(conn)
        assert installation.rings()[4:] == PERIODIC


def test_a_periodic_actor_is_asked_for_again_soon_after_its_period_was_made_another(installation: Installation) -> None:
    with installation.pool.connection() as conn:
        assert due.claim_period(conn, "x", 86_400)
        assert not due.claim_period(conn, "x", 86_400)
        wait_for(lambda: due.claim_period(conn, "x", 1))


def test_the_scheduler_rings_for_the_relay_as_long_as_something_is_to_be_told(
    installation: Installation, schedulers: list[Scheduler]
) -> None:
    one, _ = schedulers
    with installation.pool.connection() as conn:
        one.tick(conn)
        assert installation.rings() == PERIODIC
        for number in range(2):
            installation.tell("sira", top_up(str(number)))
            installation.client.delete("dramatiq:work", "dramatiq:work.msgs")
            one.tick(conn)
            assert installation.rings() == ["relay_events"]
            assert installation.put_out() == 1
            one.tick(conn)
            assert installation.rings() == ["relay_events"]


def test_without_redis_nobody_is_rung_for_to_fill_its_stream(installation: Installation) -> None:
    settings = installation.settings.model_copy(update={"redis_url": "", "broker_url": "amqp://localhost"})
    assert settings.stream is None
    scheduler = Scheduler(settings, installation.broker)
    installation.tell("sira", top_up())
    with installation.pool.connection() as conn:
        scheduler.tick(conn)
    assert installation.rings() == [name for name in PERIODIC if name != "relay_events"]


def test_the_scheduler_rings_for_a_sweep_only_when_something_is_due(
    installation: Installation, schedulers: list[Scheduler]
) -> None:
    one, _ = schedulers
    with installation.pool.connection() as conn:
        one.tick(conn)
        installation.client.delete("dramatiq:work", "dramatiq:work.msgs")
        installation.tell("sira", top_up())
        installation.put_out()
        one.tick(conn)
        assert installation.rings() == []
        overdue(installation, "late")
        installation.put_out()
        one.tick(conn)
        assert installation.rings() == ["sweep"]
        for _ in range(100):
            one.tick(conn)
        assert len(installation.rings()) < 60
