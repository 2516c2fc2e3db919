"""What time must change is found, claimed by one sweeper at a time, and changed."""

from contextlib import closing, nullcontext
from uuid import UUID

from db import connect, due
from db.load import Loader
from domain.engine import Due
from domain.lifecycle import OPEN, Status
from domain.messages import Outcome
from tests.world import Installation, top_up
from workers.apply import Applier

ALL = frozenset(Status)


def overdue(installation: Installation, *keys: str) -> list[UUID]:
    """New actions whose deadline has passed, the first the longest."""
    ids = []
    for number, key in enumerate(keys):
        (created,) = installation.tell("sira", top_up(key))
        assert created.action_id is not None
        installation.owner.execute(
            "update actions set expires_at = now() - %s * interval '1 minute', due_at = now() - %s * interval '1 minute'"
            " where id = %s",
            [50 - number, 50 - number, created.action_id],
        )
        ids.append(created.action_id)
    return ids


def _impatient(installation: Installation) -> closing[connect.Connection]:
    """A connection that fails instead of waiting for another."""
    return closing(connect.connect(installation.settings.servers.database_url, "two", lock_timeout="500ms"))


def test_the_longest_due_come_first_and_only_those_that_are_due(installation: Installation) -> None:
    first, second, third = overdue(installation, "a", "b", "c")
    installation.tell("sira", top_up("not yet"))
    with installation.pool.connection() as conn, conn.transaction():
        assert due.claim(conn, OPEN, 2) == [Due(first), Due(second)]
        assert due.claim(conn, OPEN, 100) == [Due(first), Due(second), Due(third)]
        assert due.claim(conn, {Status.APPROVED, Status.EXECUTING}, 100) == []


def test_a_claim_skips_what_another_sweeper_holds(installation: Installation) -> None:
    first, second, third = overdue(installation, "a", "b", "c")
    url = installation.settings.servers.database_url
    with closing(connect.connect(url, "one")) as one, _impatient(installation) as two:
        with one.transaction():
            assert due.claim(one, OPEN, 2) == [Due(first), Due(second)]
            with two.transaction():
                assert due.claim(two, OPEN, 100) == [Due(third)]
        with two.transaction():
            assert len(due.claim(two, OPEN, 100)) == 3


def test_a_sweep_does_not_wait_for_an_action_that_is_being_worked_on(installation: Installation) -> None:
    first, second = overdue(installation, "a", "b")
    url = installation.settings.servers.database_url
    with closing(connect.connect(url, "voter")) as voter, _impatient(installation) as sweeper, voter.transaction():
        voter.execute("select from actions where id = %s for update", [first])
        swept = Applier(lambda: nullcontext(sweeper), Loader("ops-approval")).sweep(OPEN)
    assert list(swept.actions) == [second]
    assert installation.action(first)["status"] == "requested"


def test_a_deadline_escalates_and_the_next_expires(installation: Installation) -> None:
    (action_id,) = overdue(installation, "a")
    assert [receipt.outcome for receipt in installation.applier.sweep(OPEN).receipts] == [Outcome.APPLIED]
    assert installation.action(action_id)["status"] == "escalated"
    assert installation.applier.sweep(OPEN).receipts == []
    installation.make_due(action_id)
    installation.applier.sweep(OPEN)
    assert installation.trail(action_id) == ["created", "escalated", "expired"]
    assert installation.scalar("select due_at from actions") is None


def test_an_approval_that_nobody_uses_expires(installation: Installation) -> None:
    (created,) = installation.tell("sira", top_up())
    assert created.action_id is not None
    for person in ("finance-user-1", "finance-user-2"):
        installation.vote(created.action_id, person)
    installation.applier.sweep(ALL)
    assert installation.action(created.action_id)["status"] == "approved"
    installation.make_due(created.action_id)
    installation.owner.execute("update actions set decided_at = decided_at - interval '2 days'")
    installation.applier.sweep(ALL)
    assert installation.trail(created.action_id) == ["created", "voted", "voted", "approved", "expired"]
    assert installation.ask_to_execute(created.action_id).code == "not_approved"


def test_a_lost_ring_is_rung_again(installation: Installation) -> None:
    action_id = installation.approved()
    assert installation.applier.sweep(ALL).executable == [action_id]
    assert installation.applier.sweep(ALL).executable == []
    installation.make_due(action_id)
    assert installation.applier.sweep(ALL).executable == [action_id]


def test_is_anything_due_sees_deadlines_and_ended_parking(installation: Installation) -> None:
    with installation.pool.connection() as conn:
        assert not due.is_anything_due(conn)
        (action_id,) = overdue(installation, "a")
        assert due.is_anything_due(conn)
        installation.applier.sweep(OPEN)
        assert not due.is_anything_due(conn)

        unknown = installation.producer("sira").sign(top_up("later")).action_id
        assert unknown is not None
        assert installation.vote(unknown, "finance-user-1").outcome == "parked"
        assert not due.is_anything_due(conn)
        installation.owner.execute("update messages set expires_at = now() where outcome = 'parked'")
        assert due.is_anything_due(conn)
        installation.applier.end_parking()
        assert not due.is_anything_due(conn)
    assert installation.action(action_id)["status"] == "escalated"


def test_parking_ends_when_the_exp_has_passed_and_not_before(installation: Installation) -> None:
    ticket = installation.producer("sira").sign(top_up())
    assert ticket.action_id is not None
    for person in ("finance-user-1", "finance-user-2"):
        installation.vote(ticket.action_id, person)
    assert installation.applier.end_parking().receipts == []
    installation.owner.execute(
        "update messages set expires_at = now() where id = (select min(id) from messages where outcome = 'parked')"
    )
    installation.applier.end_parking()
    assert (installation.count("refused"), installation.count("parked")) == (1, 1)
    assert installation.scalar("select code from messages where outcome = 'refused'") == "unknown_action"
    installation.apply([ticket])
    (vote,) = installation.action(ticket.action_id)["votes"]
    assert vote["voter_id"] == "finance-user-2"
