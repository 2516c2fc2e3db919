"""Alerts on real servers: one action whatever comes twice, at once, in another order or is cut off; and what callers read of it."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any, cast
from uuid import UUID

import pytest

from db import due, proposals, read
from db.connect import Connection
from domain.executing import AttemptFinished, AttemptStarted, Perform
from domain.lifecycle import OPEN
from domain.messages import CancelAction, CastVote, CreateAction, Receipt
from domain.outcome import Rejected
from domain.proposal import FALLBACK, Recommendation, RemediateAlert
from domain.remedying import Recommended
from tests.db.test_load_save import Counted
from tests.workers.test_races import at_once, race, two_workers
from tests.world import Installation, one_at_a_time, top_up, wait_for
from workers import definition_files
from workers.actors import Actors
from workers.producer import Ticket
from workers.runtime import Runtime
from workers.sandbox import Sandbox
from workers.scheduler import Scheduler
from workers.sira import Sira

SURE = {
    "action": "ADJUST_FLOAT",
    "confidence": 0.95,
    "params": {"adjustment": "top_up", "amount": 1_000_000},
    "explanation": {"features": [{"name": "float_days", "value": 0.4, "weight": 0.7}], "model": "sira-7"},
}
CREATED = ["suggest", "create_ops_action", "require_approval"]


def remediate(alert_id: str, said: dict[str, Any] | None = SURE, **changes: Any) -> RemediateAlert:
    alert = {
        "id": alert_id,
        "alert_type": "float_low",
        "tenant_type": "agent",
        "tenant_id": "agent-123",
        "severity": "critical",
        "metric": {"metric": "float_available", "value": 500_000, "threshold": 1_000_000},
    }
    return RemediateAlert.model_validate({"alert": alert | changes, "recommendation": said})


def sign(installation: Installation, *args: Any, **changes: Any) -> Ticket:
    return installation.producer("alerts").sign(remediate(*args, **changes))


def made(receipt: Receipt) -> UUID:
    """The action that a message led to."""
    assert receipt.action_id is not None, receipt
    return receipt.action_id


def alert(conn: Connection, alert_id: str) -> dict[str, Any]:
    found = read.get_alert(conn, alert_id)
    assert found is not None
    return found


def decisions(conn: Connection, alert_id: str) -> list[str]:
    return [row["action"] for row in read.get_alert_decisions(conn, alert_id)]


def recommended(alert_id: str, said: Recommendation, **changes: Any) -> Recommended:
    return Recommended(remediate(alert_id, **changes).alert, "alerts", said)


def let_wait(installation: Installation, alert_id: str = "a-1") -> None:
    """Send an alert without a recommendation."""
    (receipt,) = installation.tell("alerts", remediate(alert_id, None))
    assert receipt.outcome == "applied", receipt


def let_cooldowns_end(installation: Installation) -> None:
    """Move what alerts led to an hour into the past."""
    with installation.owner.transaction():
        installation.owner.execute("alter table proposals disable trigger guard_proposal")
        installation.owner.execute("update proposals set answered_at = answered_at - interval '1 hour'")
        installation.owner.execute("alter table proposals enable trigger guard_proposal")


def make_due(installation: Installation) -> None:
    installation.owner.execute("update proposals set due_at = now() - interval '1 s' where due_at is not null")


@pytest.fixture
def fair(installation: Installation) -> Iterator[Installation]:
    yield installation
    assert installation.broken() == []


def test_the_story_of_an_alert_from_its_message_to_its_remedy(fair: Installation, sandbox: Sandbox) -> None:
    with fair.at_work(sandbox.url) as engine:
        receipt = engine.send("alerts", remediate("a-1"))
        assert receipt["outcome"] == "applied"
        action_id: UUID = receipt["action_id"]
        assert alert(fair.owner, "a-1")["status"] == "open"
        for person in ("finance-user-1", "finance-user-2"):
            engine.send_vote(action_id, person)
        engine.wait_until(action_id, "executed")
    found = alert(fair.owner, "a-1")
    assert (found["status"], found["remedied_by_action_id"], found["action_status"]) == (
        "auto_remediated",
        action_id,
        "executed",
    )
    assert (found["alert_type"], found["tenant_id"], found["severity"]) == ("float_low", "agent-123", "critical")
    told = read.get_alert_decisions(fair.owner, "a-1")
    assert [(row["actor"], row["action"]) for row in told] == [
        ("sira", "suggest"),
        ("system", "create_ops_action"),
        ("system", "require_approval"),
        ("ops-approval", "execute"),
    ]
    assert told[0]["details"] == SURE
    assert told[1]["details"]["ops_action_id"] == str(action_id)
    assert len(sandbox.effects()) == 1


@pytest.mark.parametrize("end", ["rejected", "cancelled"])
def test_an_alert_is_remediated_only_by_what_was_executed(fair: Installation, end: str) -> None:
    (receipt,) = fair.tell("alerts", remediate("a-1"))
    action_id = made(receipt)
    if end == "rejected":
        for person in ("finance-user-1", "finance-user-2"):
            fair.vote(action_id, person, "reject")
    else:
        fair.send_raw("ops-tooling", "CancelAction", {"action_id": str(action_id), "cancelled_by": "ops-admin-1"})
        fair.drain()
    found = alert(fair.owner, "a-1")
    assert (found["status"], found["remedied_by_action_id"], found["action_status"]) == ("open", action_id, end)


def test_two_alerts_at_once_make_one_action(fair: Installation) -> None:
    for round_ in range(8):
        let_cooldowns_end(fair)
        names = [f"{round_}-a", f"{round_}-b"]
        tokens = [sign(fair, name, tenant_id=f"agent-{name}").token for name in names]
        applied = at_once(two_workers(fair), tokens)
        assert sorted(each.receipts[0].action_id is None for each in applied) == [False, True]
        told = sorted(decisions(fair.owner, name)[-1] for name in names)
        assert told == ["require_approval", "skip"]


def test_the_same_alert_twice_at_once_is_one_action_and_one_proposal(fair: Installation) -> None:
    tokens = [sign(fair, "a-1").token for _ in range(2)]
    applied = at_once(two_workers(fair), tokens)
    assert sorted(each.receipts[0].outcome for each in applied) == ["applied", "duplicate"]
    assert len({each.receipts[0].action_id for each in applied}) == 1
    assert fair.scalar("select count(*) from actions") == 1


def test_an_alert_and_a_person_at_once_are_one_action_or_the_persons_too(fair: Installation) -> None:
    """The engine adds nothing to what somebody does by hand; somebody may add to what the engine does."""
    for round_ in range(6):
        name = f"a-{round_}"
        let_cooldowns_end(fair)
        by_hand = fair.producer("ops-tooling").sign(manual(name))
        at_once(two_workers(fair), [sign(fair, name, tenant_id=f"agent-{round_}").token, by_hand.token])
        told = decisions(fair.owner, name)
        assert told in (["skip", "create_ops_action"], ["create_ops_action", "skip"], [*CREATED, "create_ops_action"])


def manual(alert_id: str, person: str = "ops-admin-1") -> CreateAction:
    """The document's manual remediation."""
    return CreateAction(
        idempotency_key=f"alert-{alert_id}-manual-remediation",
        origin="ops_ui",
        action_type="FREEZE_MERCHANT",
        params={"merchant_id": f"m-of-{alert_id}", "reason": "float_low", "alert_id": alert_id},
        target_tenant_type="merchant",
        target_tenant_id=f"m-of-{alert_id}",
        created_by=person,
    )


def test_remedying_by_hand_shows_on_the_alert_with_the_person(fair: Installation) -> None:
    fair.tell("alerts", remediate("a-1", SURE | {"confidence": 0.5}))
    refused, created = fair.tell("ops-tooling", manual("a-1", "finance-user-1"), manual("a-1"))
    assert (refused.code, created.outcome) == ("creator_not_allowed", "applied")
    told = read.get_alert_decisions(fair.owner, "a-1")
    assert [(row["actor"], row["action"]) for row in told] == [
        ("sira", "suggest"),
        ("system", "skip"),
        ("ops-admin-1", "create_ops_action"),
    ]
    assert alert(fair.owner, "a-1")["remedied_by_action_id"] == created.action_id
    (again,) = fair.tell("alerts", remediate("a-1"))
    assert (again.outcome, again.action_id) == ("applied", created.action_id)
    assert fair.scalar("select count(*) from actions") == 1


def by_hand_long_ago(installation: Installation, alert_id: str) -> UUID:
    """What somebody did about an alert, and that was not decided in time; no sweep has come."""
    action_id = made(installation.tell("ops-tooling", manual(alert_id))[0])
    installation.vote(action_id, "pay-admin-1")
    late = "update actions set expires_at = now() - interval '9 days', due_at = now() - interval '9 days' where id = %s"
    installation.owner.execute(late, [action_id])
    return action_id


@pytest.mark.parametrize("asked_before", [False, True])
def test_what_was_not_decided_in_time_answers_no_alert_swept_or_not(fair: Installation, *, asked_before: bool) -> None:
    if asked_before:
        let_wait(fair)
    by_hand = by_hand_long_ago(fair, "a-1")
    given = (
        recommended("a-1", Recommendation.model_validate(SURE)) if asked_before else fair.opened(sign(fair, "a-1"))[0]
    )
    assert made(fair.applier.apply([given]).receipts[0]) != by_hand
    assert fair.action(by_hand)["status"] == "expired"
    assert fair.trail(by_hand)[-1] == "expired"


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_an_alert_whose_key_its_sender_has_used_up_is_left_to_people(fair: Installation, end: str) -> None:
    (own,) = fair.tell("alerts", top_up("alert-a-1-remediation", origin="alert", alert="another"))
    (skipped,) = fair.tell("alerts", remediate("a-1"))
    assert (skipped.outcome, skipped.action_id) == ("applied", own.action_id)
    if end == "cancelled":
        fair.tell("ops-tooling", CancelAction(action_id=made(own), cancelled_by="ops-admin-1"))
    else:
        late = "update actions set expires_at = now() - interval '9 days', due_at = now() - interval '9 days'"
        fair.owner.execute(late)  # and no sweep comes
    (told,) = fair.tell("alerts", remediate("a-1"))
    assert (told.code, told.action_id) == ("idempotency_conflict", own.action_id)
    assert f"It is action {own.action_id}, which is {end};" in told.sentence
    last = read.get_alert_decisions(fair.owner, "a-1")[-1]
    assert (last["action"], last["details"]["ops_action_id"]) == ("error", str(own.action_id))
    assert fair.tell("ops-tooling", manual("a-1"))[0].outcome == "applied"


def failed_by_hand(installation: Installation, name: str) -> tuple[UUID, Perform]:
    """What somebody did about an alert and failed, and that it is tried again, which is just being carried out."""
    first = installation.approved(key=name, alert=name, agent=f"agent-{name}")
    token = due.draw_token(installation.owner)
    for given in (AttemptStarted(first, token, "tests"), AttemptFinished(first, token, Rejected("no"))):
        installation.applier.apply([given])
    agreed = installation.agreed("RETRY", {"action_id": str(first), "reason": "the agent exists now"})
    installation.applier.apply([AttemptStarted(agreed, token := due.draw_token(installation.owner), "tests")])
    return first, Perform(agreed, token)


def test_what_failed_is_not_tried_again_once_the_alert_led_to_an_action(fair: Installation) -> None:
    first, retry = failed_by_hand(fair, "a-1")
    second = made(fair.tell("alerts", remediate("a-1", tenant_id="agent-a-1"))[0])
    assert fair.applier.apply([retry]).receipts[0].outcome == "applied"
    assert [fair.action(each)["status"] for each in (retry.action_id, first)] == ["failed", "failed"]
    assert f"Action {second} is for the same alert; it is requested." in str(fair.action(retry.action_id)["error"])


@pytest.mark.parametrize("asked_before", [False, True])
def test_trying_again_and_the_alert_at_once_have_one_action_remedy_it(
    fair: Installation, *, asked_before: bool
) -> None:
    one, two = two_workers(fair)
    for number in range(8):
        name = f"a-{number}"
        let_cooldowns_end(fair)
        first, retry = failed_by_hand(fair, name)
        told = sign(fair, name, None if asked_before else SURE, tenant_id=f"agent-{name}")
        if asked_before:
            assert fair.apply([told]).receipts[0].outcome == "applied"
            answer = recommended(name, Recommendation.model_validate(SURE), tenant_id=f"agent-{name}")
            race(partial(one.apply, [retry]), partial(two.apply, [answer]))
        else:
            race(partial(one.apply, [retry]), partial(two.apply_tokens, [told.token]))
        end = fair.action(retry.action_id)["status"], fair.action(first)["status"], decisions(fair.owner, name)[-1]
        assert end in {("executed", "approved", "skip"), ("failed", "failed", "require_approval")}
    assert fair.count("dead") == 0


def test_alerts_and_votes_on_what_answers_them_and_sweeps_never_wait_for_each_other(
    fair: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.apply._CONFLICT_RETRIES", 0)
    workers = [fair.another_worker() for _ in range(3)]
    for round_ in range(5):
        names = [f"{round_}-{number}" for number in range(10)]
        answers = [by_hand_long_ago(fair, name) for name in names]
        votes = [
            fair.producer("ops-tooling").sign(CastVote(action_id=each, voter_id="ops-admin-2", vote="approve"))
            for each in answers[::-1]
        ]
        alerts = [sign(fair, name, SURE | {"confidence": 0.1}).token for name in names]
        race(
            partial(workers[0].apply_tokens, alerts),
            partial(workers[1].apply_tokens, [vote.token for vote in votes]),
            partial(workers[2].sweep, OPEN),
        )
        assert {fair.action(each)["status"] for each in answers} == {"expired"}
        assert {decisions(fair.owner, name)[-1] for name in names} == {"skip"}
    assert fair.count("dead") == 0


def test_votes_that_overtake_their_alert_count(fair: Installation) -> None:
    ticket = sign(fair, "a-1")
    assert ticket.action_id is not None
    votes = [fair.vote(ticket.action_id, person) for person in ("finance-user-1", "finance-user-2")]
    assert {vote.outcome for vote in votes} == {"parked"}
    assert fair.apply([ticket]).receipts[0].action_id == ticket.action_id
    assert fair.action(ticket.action_id)["status"] == "approved"
    assert fair.apply([ticket]).receipts[0].outcome == "applied"  # the same message: its stored receipt


def test_votes_that_overtake_siras_answer_count(fair: Installation) -> None:
    ticket = sign(fair, "a-1", None)
    assert ticket.action_id is not None
    fair.apply([ticket])
    assert fair.vote(ticket.action_id, "finance-user-1").outcome == "parked"
    said = Recommendation.model_validate(SURE)
    assert fair.applier.apply([recommended("a-1", said)]).receipts[0].action_id == ticket.action_id
    assert fair.action(ticket.action_id)["votes_approve"] == 1


def test_a_batch_of_alerts_means_the_same_as_one_by_one(installation: Installation, twin: Installation) -> None:
    asked: list[tuple[str, Any, dict[str, Any]]] = [
        ("a-1", SURE | {"confidence": 0.1}, {}),
        ("a-2", None, {}),
        ("a-2", None, {"severity": "info"}),
        ("a-3", SURE, {"tenant_id": "agent-3"}),
        ("a-4", SURE, {}),
        ("a-3", SURE, {"tenant_id": "agent-4"}),
        ("a-1", SURE, {}),
        ("a-3", SURE, {"tenant_id": "agent-3"}),
        ("a-5", SURE, {"alert_type": "dlq_growth"}),
        ("a-6", SURE | {"params": {}}, {"alert_type": "fraud_score_high", "tenant_type": "merchant"}),
        ("a-7", SURE, {"alert_type": "fraud_score_high", "tenant_type": "merchant", "tenant_id": "m-7"}),
    ]
    tickets = [sign(installation, name, said, **changes) for name, said, changes in asked]
    batch = installation.applier.apply(installation.opened(*tickets)).receipts
    single = [receipt for ticket in tickets for receipt in twin.applier.apply(twin.opened(ticket)).receipts]
    assert [(row.outcome, row.code, row.action_id) for row in batch] == [
        (row.outcome, row.code, row.action_id) for row in single
    ]
    statement = "select id, action_id, decisions from proposals order by id"

    def told(conn: Connection) -> list[Any]:
        rows = conn.execute(statement).fetchall()
        return [
            (
                row["id"],
                row["action_id"],
                [(each["action"], each["details"].get("reason")) for each in row["decisions"]],
            )
            for row in rows
        ]

    assert told(installation.owner) == told(twin.owner)
    assert {row[1] is not None for row in told(twin.owner)} == {True, False}


def test_a_batch_of_alerts_costs_as_many_statements_as_one(installation: Installation) -> None:
    counts = []
    installation.tell("alerts", remediate("before"))  # the definitions are known by then
    for size in (1, 30):
        alerts = installation.opened(*(sign(installation, f"{size}-{number}") for number in range(size)))
        inputs = [*alerts, *(recommended(f"{size}-{number}", FALLBACK) for number in range(size))]
        with installation.pool.connection() as conn, conn.transaction(force_rollback=True):
            counted = Counted(conn)
            installation.applier.loader.world(cast("Connection", counted), inputs)
            counts.append(counted.statements)
    assert counts[0] == counts[1]


def test_a_refused_creation_keeps_its_decision_and_nothing_else(fair: Installation) -> None:
    lacking = SURE | {"params": {"adjustment": "top_up"}}
    (receipt,) = fair.tell("alerts", remediate("a-1", lacking))
    assert receipt.code == "invalid_params"
    told = read.get_alert_decisions(fair.owner, "a-1")
    assert [row["action"] for row in told] == ["suggest", "error"]
    assert told[1]["details"]["code"] == "invalid_params"
    assert (fair.scalar("select count(*) from actions"), fair.scalar("select count(*) from events")) == (0, 0)
    (again,) = fair.tell("alerts", remediate("a-1"))
    assert again.action_id is not None


def test_decisions_of_one_moment_are_read_in_their_order(fair: Installation) -> None:
    for number in range(6):
        fair.tell("alerts", remediate("a-1", SURE | {"confidence": 0.5 + number / 100}))
    fair.tell("ops-tooling", manual("a-1"))
    fair.tell("alerts", remediate("a-1"))
    assert decisions(fair.owner, "a-1") == ["suggest", "skip"] * 6 + ["create_ops_action", "skip"]


def test_what_is_open_for_the_same_is_told_with_the_alert(fair: Installation) -> None:
    definition_files.apply(fair.owner, one_at_a_time(), by="tests")
    (first,) = fair.tell("sira", top_up("somebody-else", alert="another"))
    (receipt,) = fair.tell("alerts", remediate("a-1"))
    assert (receipt.code, receipt.action_id) == ("already_open", first.action_id)
    details = read.get_alert_decisions(fair.owner, "a-1")[-1]["details"]
    assert (details["code"], details["ops_action_id"]) == ("already_open", str(first.action_id))


def test_another_issuers_id_is_refused_and_the_alert_stays(fair: Installation) -> None:
    fair.owner.execute(
        'update keys set scope = scope || \'{"types": ["RemediateAlert"], "origins": ["*"]}\' where issuer = \'sira\''
    )
    fair.tell("alerts", remediate("a-1", None))
    before = alert(fair.owner, "a-1")
    (other,) = fair.tell("sira", remediate("a-1"))
    assert other.code == "proposal_conflict"
    assert alert(fair.owner, "a-1") == before


def test_sira_is_asked_again_when_who_asked_was_cut_off(fair: Installation) -> None:
    let_wait(fair)
    assert fair.applier.find_waiting().waiting == []  # who applied the message has rung
    make_due(fair)
    first = fair.another_worker().find_waiting()
    assert first.waiting == ["a-1"]
    assert fair.applier.find_waiting().waiting == []  # somebody is asking, and dies before the answer
    make_due(fair)
    assert fair.applier.find_waiting().rings == [("ask_sira", "a-1")]
    said = Recommendation.model_validate(SURE)
    both = [fair.applier.apply([recommended("a-1", each)]).receipts[0] for each in (said, said)]
    assert [each.code or each.outcome for each in both] == ["applied", "not_due"]
    assert decisions(fair.owner, "a-1") == CREATED
    make_due(fair)
    assert fair.applier.find_waiting().waiting == []
    assert Sira().decide(fair.applier, "a-1").receipts == []


def test_what_sira_says_once_the_alert_came_anew_is_not_taken(fair: Installation) -> None:
    class Slow(Sira):
        """It answers when the alert was decided by another way, and came anew with another value."""

        def recommend(self, alert: dict[str, Any]) -> tuple[Recommendation, str | None]:
            if alert["metric"]["value"] == 0.5:
                fair.tell("alerts", remediate("a-1", SURE | {"confidence": 0.1}))
                fair.tell("alerts", remediate("a-1", None, metric={"value": 1_000_000.25}))
            return Recommendation.model_validate(SURE), None

    assert fair.tell("alerts", remediate("a-1", None, metric={"value": 0.5}))[0].outcome == "applied"
    assert Slow().decide(fair.applier, "a-1").receipts[0].code == "not_due"
    assert decisions(fair.owner, "a-1") == ["suggest", "skip"]
    assert Slow().decide(fair.applier, "a-1").receipts[0].outcome == "applied"
    assert decisions(fair.owner, "a-1") == ["suggest", "skip", *CREATED]


def test_an_answer_that_cannot_be_applied_is_not_asked_for_for_ever(fair: Installation) -> None:
    fair.owner.execute(
        "create function refuse() returns trigger language plpgsql as "
        "$$ begin raise exception 'no' using errcode = 'data_exception'; end $$"
    )
    fair.owner.execute("create trigger refuse before insert on actions for each row execute function refuse()")
    let_wait(fair)
    (receipt,) = fair.applier.apply([recommended("a-1", Recommendation.model_validate(SURE))]).receipts
    assert receipt.outcome == "applied"
    told = read.get_alert_decisions(fair.owner, "a-1")
    assert [row["action"] for row in told] == ["suggest", "skip"]
    assert told[0]["details"]["fallback"] == "What SIRA answered could not be applied: DataException."
    make_due(fair)
    assert fair.applier.find_waiting().waiting == []
    fair.owner.execute("drop trigger refuse on actions")
    assert fair.tell("alerts", remediate("a-1"))[0].action_id is not None


def test_an_answer_that_cannot_even_be_noted_ends_as_a_refusal(fair: Installation) -> None:
    let_wait(fair)
    fair.owner.execute(
        "create function refuse() returns trigger language plpgsql as "
        "$$ begin raise exception 'no' using errcode = 'data_exception'; end $$"
    )
    fair.owner.execute("create trigger refuse before update on proposals for each row execute function refuse()")
    (receipt,) = fair.applier.apply([recommended("a-1", Recommendation.model_validate(SURE))]).receipts
    assert receipt.code == "dead_letter"
    assert decisions(fair.owner, "a-1") == []


def test_two_answers_at_once_count_once(fair: Installation) -> None:
    said = Recommendation.model_validate(SURE)
    for round_ in range(6):
        name = f"a-{round_}"
        let_cooldowns_end(fair)
        let_wait(fair, name)
        applied = race(*(partial(worker.apply, [recommended(name, said)]) for worker in two_workers(fair)))
        assert sorted(each.receipts[0].code or each.receipts[0].outcome for each in applied) == ["applied", "not_due"]
        assert decisions(fair.owner, name) == CREATED


@pytest.mark.parametrize("ingest", [True, False], ids=["ingest", "stock"])
def test_who_applied_an_alert_rings_for_sira_and_its_absence_is_told(
    fair: Installation, sandbox: Sandbox, *, ingest: bool
) -> None:
    with fair.at_work(sandbox.url, ingest=ingest) as engine:
        engine.send("alerts", remediate("a-1", None))
        wait_for(lambda: decisions(fair.owner, "a-1"))
    assert decisions(fair.owner, "a-1") == ["suggest", "skip"]
    assert (
        read.get_alert_decisions(fair.owner, "a-1")[0]["details"]["fallback"]
        == "Nobody was asked: SIRA_URL is not set."
    )
    assert alert(fair.owner, "a-1")["last_decision"]["details"]["reason"] == "low_confidence"


def test_a_key_revoked_while_sira_is_asked_asks_for_nothing_any_more(fair: Installation) -> None:
    let_wait(fair)
    fair.owner.execute("update keys set revoked_at = now(), revoked_why = 'compromised' where issuer = 'alerts'")
    said = Recommendation.model_validate(SURE)
    assert fair.applier.apply([recommended("a-1", said)]).receipts[0].code == "key_not_valid"
    assert decisions(fair.owner, "a-1") == ["suggest", "error"]
    assert fair.scalar("select count(*) from actions") == 0


def test_an_alert_that_only_an_action_names_is_read_as_before(fair: Installation) -> None:
    fair.approved(alert="by-itself")
    found = alert(fair.owner, "by-itself")
    assert (found["status"], found["alert_type"], found["last_decision"]) == ("open", None, None)
    assert read.get_alert(fair.owner, "nowhere") is None


def test_multi_sig_by_the_shipped_rule_takes_both(fair: Installation) -> None:
    said = {"action": "FREEZE_MERCHANT", "confidence": 0.99}
    body = remediate("a-1", said, alert_type="fraud_score_high", tenant_type="merchant", tenant_id="m-1")
    statuses = []
    fair.owner.execute("insert into people values ('pay-admin-2', null, 1)")
    fair.owner.execute(
        "insert into grants (person_id, role, starts_at) values ('pay-admin-2', 'pay_admin', now() - interval '1 day')"
    )
    action_id = made(fair.tell("alerts", body)[0])
    for person in ("pay-admin-1", "pay-admin-2", "ops-admin-1", "ops-admin-2"):
        assert fair.vote(action_id, person).outcome == "applied"
        statuses.append(fair.action(action_id)["status"])
    assert statuses == ["pending_approval"] * 3 + ["approved"]
    assert fair.action(action_id)["next_attempt_at"] is None


def test_a_rule_changes_by_agreement_like_any_definition(fair: Installation, sandbox: Sandbox) -> None:
    ((kind, rule),) = definition_files.parse(
        "remediation_rules: [{name: float_low, enabled: false, auto_action: {action_type: ADJUST_FLOAT}}]", "test"
    )
    params = {
        "kind": kind,
        "name": "float_low",
        "replaces": 1,
        "definition": definition_files.written(rule),
        "reason": "holiday",
    }
    agreed = fair.agreed("CHANGE_DEFINITION", params, "definitions")
    assert fair.executor(sandbox.url).execute(agreed) == "executed"
    fair.tell("alerts", remediate("a-1"))
    assert alert(fair.owner, "a-1")["last_decision"]["details"] == {"reason": "disabled"}


def test_a_worker_waits_for_no_alert_that_is_locked(fair: Installation) -> None:
    let_wait(fair)
    make_due(fair)
    with fair.owner.transaction():
        assert proposals.claim_waiting(fair.owner, 10, 10) == ["a-1"]
        assert fair.applier.find_waiting().waiting == []


def test_a_lost_ring_is_rung_again_by_the_sweep_that_the_scheduler_rings_for(fair: Installation) -> None:
    let_wait(fair)
    scheduler = Scheduler(fair.settings, fair.broker)
    scheduler.tick(fair.owner)
    assert "sweep" not in fair.rings()
    make_due(fair)
    scheduler.tick(fair.owner)
    assert "sweep" in fair.rings()
    executor = fair.executor("http://127.0.0.1:1")
    with closing(executor.client):
        actors = Actors(fair.broker, lambda: Runtime(fair.pool, fair.applier, executor))
        actors.sweep()
        assert fair.rings()[-1] == "ask_sira"
        actors.ask_sira("a-1")
    assert decisions(fair.owner, "a-1") == ["suggest", "skip"]
    assert not due.is_anything_due(fair.owner)


def test_what_sira_answers_about_a_merchant_who_was_frozen_meanwhile_freezes_nobody_again(fair: Installation) -> None:
    concerned = {"alert_type": "fraud_score_high", "tenant_type": "merchant", "tenant_id": "m-of-a-9"}
    (asked,) = fair.tell("alerts", remediate("a-1", None, **concerned))
    (by_hand,) = fair.tell("ops-tooling", manual("a-9"))
    assert (asked.outcome, by_hand.outcome) == ("applied", "applied")
    said = Recommendation(action="FREEZE_MERCHANT", confidence=0.95)
    (receipt,) = fair.applier.apply([recommended("a-1", said, **concerned)]).receipts
    assert (receipt.code, receipt.action_id) == ("already_open", by_hand.action_id)
    assert decisions(fair.owner, "a-1") == ["suggest", "error"]
