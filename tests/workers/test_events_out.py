"""The stream of events: everything is put there, of each action in order, whatever becomes of relay, Redis and Postgres."""

import json
import os
import signal
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from typing import Any, cast
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from db import connect, events, read
from db.load import Loader
from domain import trail
from domain.messages import CastVote
from tests.workers.test_cli import COMMAND, run
from tests.workers.test_crashes import SECRET, Start, start
from tests.world import Installation, top_up, wait_for
from workers import relay
from workers.apply import Applier
from workers.relay import STREAM
from workers.sandbox import Sandbox
from workers.scheduler import Scheduler

__all__ = ["start"]  # a fixture


def entries(installation: Installation) -> list[dict[str, Any]]:
    """What is in the stream, oldest first."""
    found = cast("list[tuple[bytes, dict[bytes, bytes]]]", installation.client.xrange(STREAM))
    told = [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in found]
    return [fields | {"seq": int(fields["seq"]), "data": json.loads(fields["data"])} for fields in told]


def seqs(installation: Installation) -> dict[str, list[int]]:
    """Of each action the numbers of its events in the order of the stream."""
    found: dict[str, list[int]] = defaultdict(list)
    for entry in entries(installation):
        found[entry["action_id"]].append(entry["seq"])
    return found


def firsts(numbers: list[int]) -> list[int]:
    """The same without what was there before."""
    return list(dict.fromkeys(numbers))


def create(installation: Installation, key: str) -> UUID:
    (created,) = installation.tell("sira", top_up(key))
    assert created.action_id is not None
    return created.action_id


def trails(installation: Installation) -> dict[str, list[int]]:
    """What must be in the stream: of each action the numbers of its events."""
    rows = installation.owner.execute("select id, event_seq from actions").fetchall()
    return {str(row["id"]): list(range(1, row["event_seq"] + 1)) for row in rows}


class Open:
    """A transaction that has its number, stays open, and in which votes are applied."""

    def __init__(self, installation: Installation, conn: connect.Connection) -> None:
        self._producer = installation.producer("ops-tooling")
        self._applier = Applier(lambda: nullcontext(conn), Loader("ops-approval"))
        self._conn = conn
        conn.execute("begin")
        row = conn.execute("select pg_current_xact_id()::text::bigint as xid").fetchone()
        assert row is not None
        self.xid = int(row["xid"])

    def vote(self, action_id: UUID, person: str) -> None:
        body = CastVote.model_validate({"action_id": action_id, "voter_id": person, "vote": "approve"})
        assert self._applier.apply_tokens([self._producer.sign(body).token]).receipts[0].outcome == "applied"

    def commit(self) -> None:
        self._conn.execute("commit")


@pytest.fixture
def begin(installation: Installation) -> Iterator[Callable[[], Open]]:
    """Begin a transaction on a connection of its own."""
    with ExitStack() as stack:
        url = installation.settings.database_url
        yield lambda: Open(installation, stack.enter_context(connect.connect(url, "tests")))


def test_a_story_is_told_with_the_status_after_each_event(installation: Installation, sandbox: Sandbox) -> None:
    params = top_up().params | {"note": SECRET}
    action_id = installation.approved(params=params)
    installation.vote(action_id, "finance-user-3")
    installation.executor(sandbox.url).execute(action_id)
    assert installation.put_out() == 6
    told = entries(installation)
    assert [(entry["event"], entry["status"], entry["actor"]) for entry in told] == [
        ("created", "requested", "sira-system"),
        ("voted", "pending_approval", "finance-user-1"),
        ("voted", "pending_approval", "finance-user-2"),
        ("approved", "approved", "ops-approval"),
        ("executing", "executing", "ops-admin-1"),
        ("executed", "executed", "ops-admin-1"),
    ]
    happened = read.get_audit_trail(installation.owner, action_id)
    assert [(entry["seq"], entry["at"]) for entry in told] == [(it.seq, trail.timestamp(it.at)) for it in happened]
    assert {(entry["action_id"], entry["action_type"]) for entry in told} == {(str(action_id), "ADJUST_FLOAT")}
    assert told[0]["data"]["target_tenant_id"] == "agent-123"
    assert told[1]["data"] == {"vote": "approve"}
    assert installation.put_out() == 0
    assert len(entries(installation)) == 6


def test_no_params_no_results_and_no_comments_are_told(installation: Installation, sandbox: Sandbox) -> None:
    action_id = installation.approved(params=top_up().params | {"note": SECRET})
    other = create(installation, "other")
    installation.vote(other, "finance-user-1", comment=SECRET, metadata={"note": SECRET})
    installation.executor(sandbox.url).execute(action_id)
    assert installation.action(action_id)["result"]
    installation.put_out()
    for entry in entries(installation):
        assert not {"params", "result", "comment", "requirement"} & entry["data"].keys()
        assert SECRET not in str(entry)


def test_of_one_action_nothing_overtakes_though_the_later_event_has_the_lower_transaction(
    installation: Installation, begin: Callable[[], Open]
) -> None:
    """A transaction has its number from its first lock on, and may wait long before it comes to an action."""
    action_id, other = create(installation, "a"), create(installation, "b")
    assert installation.put_out() == 2
    early, unfinished, late = begin(), begin(), begin()
    assert early.xid < unfinished.xid < late.xid
    unfinished.vote(other, "finance-user-1")
    late.vote(action_id, "finance-user-1")
    late.commit()
    early.vote(action_id, "finance-user-2")
    early.commit()
    assert installation.put_out() == 3
    assert seqs(installation) == {str(action_id): [1, 2, 3, 4], str(other): [1]}
    unfinished.commit()
    installation.put_out()
    assert seqs(installation) == trails(installation)


def test_what_is_committed_late_is_told_late_and_holds_nothing_up(
    installation: Installation, begin: Callable[[], Open]
) -> None:
    one, two = create(installation, "a"), create(installation, "b")
    unfinished = begin()
    unfinished.vote(one, "finance-user-1")
    installation.put_out()
    for person in ("finance-user-1", "finance-user-2"):
        installation.vote(two, person)
        assert installation.put_out()
    assert seqs(installation) == {str(one): [1], str(two): [1, 2, 3, 4]}
    unfinished.commit()
    assert installation.put_out() == 1
    assert seqs(installation) == trails(installation)


def test_a_relay_killed_before_it_moves_its_cursor_repeats_what_it_told(
    installation: Installation, start: Start
) -> None:
    installation.approved()
    child = start("relay", "before the cursor")
    assert child.process.wait(10) == -signal.SIGKILL
    (told,) = seqs(installation).values()
    assert told == [1, 2, 3, 4]
    installation.put_out()
    (told,) = seqs(installation).values()
    assert told == [1, 2, 3, 4, 1, 2, 3, 4]


def test_a_relay_that_wakes_after_another_went_on_reorders_nothing(installation: Installation, start: Start) -> None:
    installation.approved(key="a")
    asleep = start("relay", "asleep before the cursor")
    wait_for(lambda: len(entries(installation)) == 4)
    assert installation.put_out() == 0  # the one that sleeps still holds the cursor
    installation.approved(key="b")
    end = (
        "select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid) where relation = %s::regclass"
    )
    assert installation.scalar(end, "cursors")  # in the place of the server, which does so after half a minute
    wait_for(installation.put_out)
    asleep.process.send_signal(signal.SIGCONT)
    assert asleep.process.wait(10) != 0
    assert {action: firsts(told) for action, told in seqs(installation).items()} == trails(installation)


def test_a_relay_stops_when_another_puts_something_between_its_pages(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would tell the same, one of them the rest of it before the other has told the beginning."""
    monkeypatch.setattr(relay, "_PAGE", 1)
    installation.approved()
    add = relay.Relay._add

    def interrupted(*given: Any, **named: Any) -> str:
        entry_id = add(*given, **named)
        monkeypatch.setattr(relay.Relay, "_add", add)
        installation.client.xadd(STREAM, {"action_id": "another", "seq": 1, "data": "{}"})
        return entry_id

    monkeypatch.setattr(relay.Relay, "_add", interrupted)
    assert installation.put_out() == 0
    assert list(seqs(installation).values()) == [[1], [1]]
    assert installation.put_out() == 4
    assert list(seqs(installation).values()) == [[1, 1, 2, 3, 4], [1]]


def test_all_is_told_again_to_a_redis_that_forgot_everything(installation: Installation) -> None:
    installation.approved(key="a")
    installation.put_out()
    installation.client.flushall()
    with capture_logs() as logs:
        assert installation.put_out() == 4
    assert [entry["event"] for entry in logs] == ["stream_lost", "relay_begins"]
    installation.approved(key="b")
    assert installation.put_out() == 4
    assert seqs(installation) == trails(installation)


def test_all_is_told_again_to_a_redis_that_lost_the_end(installation: Installation) -> None:
    installation.approved(key="a")
    installation.put_out()
    kept = installation.client.dump(STREAM)
    assert kept is not None
    installation.approved(key="b")
    installation.put_out()
    installation.client.restore(STREAM, 0, cast("str", kept), replace=True)
    assert len(seqs(installation)) == 1
    assert installation.put_out() == 8
    assert {action: firsts(told) for action, told in seqs(installation).items()} == trails(installation)


def test_a_relay_that_begins_tells_the_newest_of_the_last_days(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    action_id, _ = installation.approved(key="a"), installation.approved(key="b")
    with installation.owner.transaction():
        installation.owner.execute("set local session_replication_role = replica")
        age = "update events set at = at - interval '8 days' where action_id = %s and seq <= 2"
        installation.owner.execute(age, [action_id])
    installation.put_out()
    assert sorted(seqs(installation).values()) == [[1, 2, 3, 4], [3, 4]]
    monkeypatch.setattr(relay, "KEPT", 3)
    installation.client.flushall()
    installation.put_out()
    assert list(seqs(installation).values()) == [[2, 3, 4]]


def test_a_database_that_was_restored_where_transactions_are_counted_anew_goes_on(installation: Installation) -> None:
    installation.approved(key="a")
    installation.put_out()
    with installation.owner.transaction():
        installation.owner.execute("set local session_replication_role = replica")
        installation.owner.execute("update events set xid = '9000000000'")
        installation.owner.execute("update cursors set seen = '9000000001:9000000001:'")
    installation.approved(key="b")
    with installation.pool.connection() as conn:
        assert events.is_anything_unseen(conn)
        installation.put_out()
        assert not events.is_anything_unseen(conn)
    installation.approved(key="c")
    installation.put_out()
    assert {action: firsts(told) for action, told in seqs(installation).items()} == trails(installation)


def test_nothing_is_lost_while_redis_is_full(installation: Installation) -> None:
    installation.approved()
    installation.client.config_set("maxmemory", "1")
    try:
        with capture_logs() as logs:
            assert installation.put_out() == 0
    finally:
        installation.client.config_set("maxmemory", "0")
    assert [entry["event"] for entry in logs] == ["relay_begins", "relay_waits"]
    assert installation.put_out() == 4
    assert seqs(installation) == trails(installation)


def test_the_stream_keeps_no_more_than_it_should(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "KEPT", 1)
    producer = installation.producer("sira")
    installation.apply(producer.sign(top_up(str(number))) for number in range(450))
    assert installation.put_out() == 1  # beginning, it tells the newest only
    installation.apply(producer.sign(top_up(str(number))) for number in range(450, 900))
    assert installation.put_out() == 450
    assert installation.client.xlen(STREAM) <= 100  # a node of the stream's tree


def test_an_event_is_told_by_the_engine_at_work(installation: Installation, sandbox: Sandbox) -> None:
    scheduler = Scheduler(installation.settings, installation.broker)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        with installation.at_work(sandbox.url) as engine:
            for _ in range(2):
                told = len(entries(installation))
                assert engine.send("sira", top_up(str(told)))["outcome"] == "applied"
                wait_for(lambda told=told: len(entries(installation)) > told)  # type: ignore[misc]  # of its default
    finally:
        scheduler.stopping.set()
        thread.join()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started heeds an interrupt, though a shell that runs the tests in the background has all ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_command_line_follows_the_stream(installation: Installation) -> None:
    url = installation.settings
    env = {"DATABASE_URL": url.database_url, "REDIS_URL": url.redis_url}
    installation.approved()
    installation.put_out()
    with subprocess.Popen(
        [*COMMAND, "events", "tail", "--from", "0", "--json"], env=os.environ | env, stdout=subprocess.PIPE, text=True
    ) as tail:
        assert tail.stdout is not None
        told = [json.loads(tail.stdout.readline()) for _ in range(4)]
        installation.approved(key="later")
        installation.put_out()
        told += [json.loads(tail.stdout.readline()) for _ in range(4)]
        tail.terminate()
        tail.wait(10)
    assert [entry["event"] for entry in told] == ["created", "voted", "voted", "approved"] * 2
    assert told[0]["data"]["risk_level"]
    assert told[0]["id"] < told[-1]["id"]
    plain = [*COMMAND, "events", "tail", "--from", "0"]
    with subprocess.Popen(plain, env=os.environ | env, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        lines = [tail.stdout.readline() for _ in range(4)]
        tail.send_signal(signal.SIGINT)
        tail.wait(10)
    assert lines[0].endswith("created by sira-system; it is requested\n")
    assert lines[3].endswith("approved by ops-approval; it is approved: quorum_and_ratio_reached\n")
    done = run("events", "tail", "--from", "yesterday", **env)
    assert done.returncode == 2
    assert "entry" in done.stderr
    done = run("events", "tail", DATABASE_URL=url.database_url, BROKER_URL="amqp://nowhere")
    assert done.returncode == 2
    assert "REDIS_URL" in done.stderr
