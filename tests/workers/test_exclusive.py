"""One incident, one action, on real servers: whoever asks, however many at once, one is open and the others are told which."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from db import due, locks, read
from domain.executing import AttemptFinished, AttemptStarted, Perform
from domain.lifecycle import HOLDING, Status
from domain.messages import CancelAction, CreateAction, Receipt
from domain.outcome import Done, Outcome, Rejected
from domain.proposal import RecommendAction, Recommendation
from tests.workers.test_alerts import let_wait, recommended, remediate
from tests.workers.test_races import at_once, race, two_workers
from tests.world import Installation, many_at_once, one_at_a_time, top_up, wait_for
from workers import definition_files
from workers.producer import Ticket

ASKERS = {
    "alerts": ("alert", "alert-system"),
    "ops-tooling": ("ops_ui", "ops-admin-1"),
    "sira": ("sira", "sira-system"),
}
"""Who wants a merchant frozen: the issuer, by which way, in whose name."""
BACK = {"action_type": "ADJUST_FLOAT", "copies": ["agent_id", "amount"], "params": {"adjustment": "take_back"}}


# One pay_admin is too few for the shipped policy, so a freeze is escalated to ops_admin at once.
def freeze(origin: str, created_by: str, merchant: str, key: str = "") -> CreateAction:
    return CreateAction.model_validate(
        {
            "idempotency_key": f"{merchant} {origin} {key}",
            "origin": origin,
            "action_type": "FREEZE_MERCHANT",
            "params": {"merchant_id": merchant, "reason": "fraud"},
            "created_by": created_by,
        }
    )


def asked(installation: Installation, merchant: str, key: str = "") -> list[Ticket]:
    """The same wish of everybody who may have it, each under a key of their own."""
    return [
        installation.producer(issuer).sign(freeze(*who, merchant, key)) for issuer, who in ASKERS.items()
    ]  # fmt: skip


def opened_one(receipts: Sequence[Receipt]) -> UUID:
    """The one action that was created; all others were refused, and told which it is."""
    (created,) = [receipt for receipt in receipts if receipt.outcome == "applied"]
    for refused in receipts:
        if refused is not created:
            assert (refused.code, refused.action_id) == ("already_open", created.action_id)
            assert f"It is action {created.action_id}, which is escalated." in refused.sentence
    assert created.action_id is not None
    return created.action_id


@pytest.fixture
def guarded(installation: Installation) -> Installation:
    """An installation where one adjustment at a time is open for an agent, never repeated by itself, and can be undone."""
    ((kind, shipped),) = one_at_a_time()
    document = shipped.model_dump() | {"guarantee": "neither", "inverse": BACK}
    definition_files.apply(installation.owner, [(kind, type(shipped).model_validate(document))], by="tests")
    return installation


def ended(installation: Installation, outcome: Outcome, key: str, agent: str) -> UUID:
    """An action whose one attempt came to this."""
    action_id = installation.approved(key=key, agent=agent)
    token = due.draw_token(installation.owner)
    installation.applier.apply([AttemptStarted(action_id, token, "tests"), AttemptFinished(action_id, token, outcome)])
    return action_id


def started(installation: Installation, kind: str, subject: UUID) -> Perform:
    """Something about an action that was agreed to and is just being carried out."""
    agreed = installation.agreed(kind, {"action_id": str(subject), "reason": "looked into"})
    token = due.draw_token(installation.owner)
    installation.applier.apply([AttemptStarted(agreed, token, "tests")])
    return Perform(agreed, token)


def error_of(installation: Installation, action_id: UUID) -> str:
    return str(installation.action(action_id)["error"])


def test_three_producers_at_once_freeze_one_merchant_once(installation: Installation) -> None:
    workers = [installation.another_worker() for _ in ASKERS]
    for number in range(20):
        tickets = asked(installation, f"m-{number}")
        receipts = [applied.receipts[0] for applied in at_once(workers, [ticket.token for ticket in tickets])]
        first = opened_one(receipts)
        told = read.get_receipts_of_action(installation.owner, first)
        assert sorted(row["code"] or row["outcome"] for row in told) == ["already_open", "already_open", "applied"]
        assert installation.apply(tickets).receipts == receipts
    assert installation.scalar("select count(*) from actions") == 20
    assert installation.broken() == []


def test_a_batch_opens_one_action_for_each_merchant(installation: Installation) -> None:
    tickets = [ticket for number in range(20) for ticket in asked(installation, f"m-{number}")]
    receipts = installation.apply(tickets).receipts
    for number in range(20):
        opened_one(receipts[3 * number : 3 * number + 3])


def test_the_same_key_again_is_a_duplicate_and_no_second_incident(installation: Installation) -> None:
    body = freeze("sira", "sira-system", "m-1")
    assert [receipt.outcome for receipt in installation.tell("sira", body, body)] == ["applied", "duplicate"]


@pytest.mark.parametrize("end", ["rejected", "expired", "cancelled"])
def test_after_the_first_has_ended_another_may_be_opened(installation: Installation, end: str) -> None:
    first = opened_one(installation.apply(asked(installation, "m-1")).receipts)
    if end == "rejected":
        for person in ("pay-admin-1", "ops-admin-1", "ops-admin-2"):
            installation.vote(first, person, "reject")
    elif end == "expired":
        installation.make_due(first)  # and no sweep comes
    else:
        installation.tell("ops-tooling", CancelAction(action_id=first, cancelled_by="ops-admin-1"))
    opened_one(installation.apply(asked(installation, "m-1", "again")).receipts)
    assert installation.action(first)["status"] == end
    assert installation.broken() == []


def test_a_batch_gives_up_keys_and_takes_them_again(installation: Installation) -> None:
    """Whichever of two ids is the lower: the database never sees both open."""
    first = [opened_one(installation.apply(asked(installation, f"m-{number}")).receipts) for number in range(20)]
    cancels = [
        installation.producer("ops-tooling").sign(CancelAction(action_id=action_id, cancelled_by="ops-admin-1"))
        for action_id in first
    ]
    again = [
        installation.producer("sira").sign(freeze("sira", "sira-system", f"m-{number}", "again"))
        for number in range(20)
    ]
    assert {receipt.outcome for receipt in installation.apply([*cancels, *again]).receipts} == {"applied"}
    opened = [ticket.action_id for ticket in again]
    assert {installation.action(action_id)["status"] for action_id in opened if action_id} == {"escalated"}
    written = "select count(distinct xmin::text) from actions where id = any(%s)"
    assert installation.scalar(written, [*first, *opened]) == 1  # in one transaction: the batch was not split for it


def test_a_failed_action_is_not_tried_again_beside_another(guarded: Installation) -> None:
    failed = ended(guarded, Rejected("no"), "first", "agent-1")
    (second,) = guarded.tell("sira", top_up("second", agent="agent-1"))
    retry = guarded.agreed("RETRY", {"action_id": str(failed), "reason": "looked into"})
    assert guarded.perform(retry) == "failed"
    assert f"Action {second.action_id} is open for the same by now" in error_of(guarded, retry)
    assert guarded.action(failed)["status"] == "failed"
    assert guarded.count("dead") == 0


def test_nothing_is_rolled_back_beside_another(guarded: Installation) -> None:
    done = ended(guarded, Done(), "first", "agent-1")
    (second,) = guarded.tell("sira", top_up("second", agent="agent-1"))
    back = guarded.agreed("ROLL_BACK", {"action_id": str(done), "reason": "looked into"})
    assert guarded.perform(back) == "failed"
    assert f"It is action {second.action_id}, which is requested." in error_of(guarded, back)
    assert guarded.scalar("select count(*) from actions where exclusive_key is not null") == 2


@pytest.mark.parametrize(("kind", "outcome"), [("RETRY", Rejected("no")), ("ROLL_BACK", Done())])
def test_trying_again_and_a_new_action_at_once_leave_one_open(
    guarded: Installation, kind: str, outcome: Outcome
) -> None:
    one, two = two_workers(guarded)
    for number in range(10):
        agent = f"agent-{number}"
        perform = started(guarded, kind, ended(guarded, outcome, f"first {number}", agent))
        create = guarded.producer("sira").sign(top_up(f"second {number}", agent=agent))
        race(partial(one.apply, [perform]), partial(two.apply_tokens, [create.token]))
        status, (answer,) = guarded.action(perform.action_id)["status"], guarded.answers(create)
        assert (status, answer) in {("executed", "already_open"), ("failed", "applied")}
    held = "select count(*) from actions where exclusive_key is not null and holds_exclusive_key(status)"
    assert guarded.scalar(held) == 10
    assert guarded.count("dead") == 0


ONCE = """
action_types:
  - {name: ONCE, service: operations, path: /once, params_schema: {}, exclusive_params: [alert_id, sira_confidence]}
remediation_rules:
  - {name: float_low, auto_action: {action_type: ONCE}, cooldown_seconds: 0}
"""


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_key_is_made_of_what_the_engine_adds_to_params_too(installation: Installation, *, asked_before: bool) -> None:
    """One action at a time for an alert, which an alert and a recommendation want at once."""
    definition_files.apply(installation.owner, definition_files.parse(ONCE, "here"), by="tests")
    one, two = two_workers(installation)
    for number in range(10):
        alert_id = f"a-{number}"
        said = Recommendation(confidence=0.95)
        if asked_before:
            let_wait(installation, alert_id)
            remedy = partial(one.apply, [recommended(alert_id, said)])
        else:
            token = installation.producer("alerts").sign(remediate(alert_id, said.model_dump(exclude_unset=True))).token
            remedy = partial(one.apply_tokens, [token])
        told = {"id": f"r-{number}", "tenant_type": "agent", "tenant_id": "agent-123", "recommendation_type": "ONCE"}
        more = {"params": {"alert_id": alert_id}, "confidence": 0.95, "explanation": {}}
        wish = installation.producer("sira").sign(RecommendAction.model_validate(told | more))
        applied = race(remedy, partial(two.apply_tokens, [wish.token]))
        assert len({each.receipts[0].action_id for each in applied}) == 1
    assert installation.scalar("select count(*) from actions") == 10
    assert installation.count("dead") == 0


def test_who_wants_keys_and_votes_on_who_has_them_never_deadlocks(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.apply._CONFLICT_RETRIES", 0)
    one, two = two_workers(installation)
    for worker in (one, two):
        worker.apply_tokens([installation.producer("sira").sign(top_up()).token])  # by now it knows the definitions
    for number in range(5):
        merchants = [f"m-{number}-{index}" for index in range(20)]
        firsts = [opened_one(installation.apply(asked(installation, merchant)).receipts) for merchant in merchants]
        cancels = [
            installation.producer("ops-tooling").sign(CancelAction(action_id=first, cancelled_by="ops-admin-1"))
            for first in firsts
        ]
        wishes = [
            [installation.producer("alerts").sign(freeze("alert", "alert-system", merchant, key)) for merchant in order]
            for key, order in (("one", merchants), ("two", merchants[::-1]))
        ]
        tokens = [[ticket.token for ticket in (*cancels, *wishes[0])], [ticket.token for ticket in wishes[1]]]
        race(partial(one.apply_tokens, tokens[0]), partial(two.apply_tokens, tokens[1]))
        created = [answer for wish in wishes for answer in installation.answers(*wish) if answer == "applied"]
        assert len(created) == len(merchants)


def test_a_worker_that_knows_older_definitions_does_not_open_a_second(installation: Installation) -> None:
    """It has waited for a lock while the type became exclusive and another opened the first."""
    slow = installation.another_worker()
    slow.apply_tokens([installation.producer("sira").sign(top_up("before", agent="agent-2")).token])
    create = installation.producer("sira").sign(top_up("late", agent="agent-1"))
    waiting = "select count(*) from pg_locks where not granted and locktype = 'advisory'"
    with ThreadPoolExecutor(1) as threads:
        with installation.pool.connection() as conn, conn.transaction():
            locks.lock(conn, [f"action {create.action_id}"])
            told = threads.submit(slow.apply_tokens, [create.token])
            wait_for(lambda: installation.scalar(waiting) == 1)
            definition_files.apply(installation.owner, one_at_a_time(), by="tests")
            (first,) = installation.tell("sira", top_up("early", agent="agent-1"))
        (receipt,) = told.result().receipts
    assert (receipt.code, receipt.action_id) == ("already_open", first.action_id)


def test_an_action_that_was_created_before_its_type_was_exclusive_stays_as_it_is(installation: Installation) -> None:
    one, two = installation.tell("sira", top_up("one"), top_up("two"))
    definition_files.apply(installation.owner, one_at_a_time(), by="tests")
    (three,) = installation.tell("sira", top_up("three"))
    definition_files.apply(installation.owner, many_at_once(), by="tests")
    (four,) = installation.tell("sira", top_up("four"))
    assert [receipt.outcome for receipt in (one, two, three, four)] == ["applied"] * 4


def test_the_database_has_one_open_action_for_a_key_whatever_the_code_does(installation: Installation) -> None:
    first = opened_one(installation.apply(asked(installation, "m-1")).receipts)
    second = opened_one(installation.apply(asked(installation, "m-2")).receipts)
    copied = "update actions set exclusive_key = (select exclusive_key from actions where id = %s) where id = %s"
    with pytest.raises(psycopg.errors.CheckViolation, match="never changes"):
        installation.owner.execute(copied, [first, second])
    installation.owner.execute("alter table actions disable trigger guard_action")
    for status in Status:
        with installation.owner.transaction(force_rollback=True):
            change = {"status": status, "result": '{"ok": true}' if status is Status.EXECUTED else None, "id": second}
            installation.owner.execute(
                "update actions set status = %(status)s, result = %(result)s, "
                "executed_at = case when %(status)s = 'executed' then now() end where id = %(id)s",
                change,
            )
            assert _taken(installation, copied, first, second) is (status in HOLDING)


def _taken(installation: Installation, statement: str, *params: Any) -> bool:
    try:
        with installation.owner.transaction():
            installation.owner.execute(statement, params)
    except psycopg.errors.UniqueViolation:
        return True
    return False


def test_who_has_a_key_is_found_by_the_index(installation: Installation) -> None:
    with installation.pool.connection() as conn, conn.transaction():
        conn.execute("set local enable_seqscan = off")
        conn.execute("set local plan_cache_mode = force_generic_plan")
        conn.execute(
            "prepare holders(text[]) as select id from actions where exclusive_key = any($1) and holds_exclusive_key(status)"
        )
        plan = conn.execute("explain execute holders('{a,b}')").fetchall()
        conn.execute("deallocate holders")
    assert "one_open_action" in str(plan)
