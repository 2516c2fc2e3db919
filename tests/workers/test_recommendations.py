"""Recommendations on real servers: applied once and by whom they may be, and what the dashboard reads of them."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

import pytest

from db import connect, read
from db.load import Loader
from domain.lifecycle import OPEN
from domain.messages import CancelAction, CreateAction, ExecuteAction, Receipt
from domain.proposal import RecommendAction
from tests.workers.test_races import at_once, race, two_workers
from tests.world import Installation
from workers.sandbox import Sandbox

EXPLANATION = {"features": [{"name": "float_days", "value": 0.4, "weight": 0.7}], "model": "sira-7"}


def recommend(rec_id: str, confidence: float = 0.8, **changes: Any) -> RecommendAction:
    said = {
        "id": rec_id,
        "tenant_type": "agent",
        "tenant_id": "agent-123",
        "recommendation_type": "ADJUST_FLOAT",
        "params": {"agent_id": "agent-123", "adjustment": "top_up", "amount": 1_000_000},
        "confidence": confidence,
        "explanation": EXPLANATION,
        "priority": "high",
        "title": "Top up agent-123",
        "estimated_impact": {"xof": 1_000_000},
    }
    return RecommendAction.model_validate(said | changes)


def seen(conn: connect.Connection, rec_id: str) -> dict[str, Any]:
    found = read.get_recommendation(conn, rec_id)
    assert found is not None
    return found


def application(conn: connect.Connection, rec_id: str, person: str = "ops-admin-1", **changes: Any) -> CreateAction:
    """The document's call of the dashboard, made from what the dashboard reads."""
    rec = seen(conn, rec_id)
    body = {
        "idempotency_key": f"sira-rec-{rec_id}-apply",
        "origin": "ops_ui",
        "action_type": rec["recommendation_type"],
        "params": rec["params"],
        "target_tenant_type": rec["tenant_type"],
        "target_tenant_id": rec["tenant_id"],
        "created_by": person,
    }
    return CreateAction.model_validate(body | changes)


def apply(installation: Installation, rec_id: str, person: str = "ops-admin-1", **changes: Any) -> Receipt:
    return installation.tell("ops-tooling", application(installation.owner, rec_id, person, **changes))[0]


def made(receipt: Receipt) -> UUID:
    assert receipt.action_id is not None, receipt
    return receipt.action_id


@pytest.fixture
def company(installation: Installation) -> Iterator[Installation]:
    yield installation
    assert installation.broken() == []


@pytest.mark.parametrize("by_itself", [True, False])
def test_the_story_of_a_recommendation(company: Installation, sandbox: Sandbox, *, by_itself: bool) -> None:
    (receipt,) = company.tell("sira", recommend("r-1", 0.95 if by_itself else 0.8))
    if not by_itself:
        assert receipt.action_id is None
        before = seen(company.owner, "r-1")
        assert (before["status"], before["ops_action_id"], before["priority"]) == ("pending", None, "high")
        assert before["suggested_action"]["target"] == {"tenant_type": "agent", "tenant_id": "agent-123"}
        receipt = apply(company, "r-1")
    action_id = made(receipt)
    pending = seen(company.owner, "r-1")
    assert (pending["status"], pending["ops_action_id"]) == ("pending_approval", action_id)
    action = company.action(action_id)
    assert action["params"]["sira_explanation"] == EXPLANATION
    assert action["triggered_by"] == (None if by_itself else "ops-admin-1")
    for person in ("finance-user-1", "finance-user-2"):
        company.vote(action_id, person)
    if not by_itself:
        assert company.ask_to_execute(action_id, "finance-user-3").outcome == "applied"
    assert company.executor(sandbox.url).execute(action_id) == "executed"
    done = seen(company.owner, "r-1")
    assert (done["status"], done["applied_by"]) == ("applied", "ops-approval" if by_itself else "ops-admin-1")
    assert done["applied_at"] == company.action(action_id)["executed_at"]
    assert len(sandbox.effects()) == 1


def test_rejections_and_cancellations_show_with_who_and_why(company: Installation) -> None:
    company.tell("sira", *(recommend(f"r-{number}", 0.95, tenant_id="agent-123") for number in (1, 2)))
    rejected, cancelled = seen(company.owner, "r-1")["ops_action_id"], seen(company.owner, "r-2")["ops_action_id"]
    for person, comment in (("finance-user-1", "too much"), ("finance-user-2", None)):
        company.vote(rejected, person, "reject", comment=comment)
    body = CancelAction(action_id=cancelled, cancelled_by="ops-admin-2", reason="done by phone")
    assert company.tell("ops-tooling", body)[0].outcome == "applied"
    found = [seen(company.owner, name) for name in ("r-1", "r-2")]
    assert [(row["status"], row["rejected_by"], row["rejection_reason"]) for row in found] == [
        ("rejected", "finance-user-1, finance-user-2", "too much"),
        ("rejected", "ops-admin-2", "done by phone"),
    ]
    assert None not in {row["rejected_at"] for row in found}


def test_expiry_follows_the_action_and_failure_leaves_it_to_people(company: Installation, sandbox: Sandbox) -> None:
    company.tell("sira", *(recommend(f"r-{number}", 0.95) for number in (1, 2)))
    expired, failed = (seen(company.owner, name)["ops_action_id"] for name in ("r-1", "r-2"))
    for _ in range(2):  # it escalates first
        company.make_due(expired)
        company.applier.sweep(OPEN)
    for person in ("finance-user-1", "finance-user-2"):
        company.vote(failed, person)
    sandbox.fail_next(422)
    assert company.executor(sandbox.url).execute(failed) == "failed"
    found = [seen(company.owner, name) for name in ("r-1", "r-2")]
    assert [(row["status"], row["ops_action_status"]) for row in found] == [
        ("expired", "expired"),
        ("pending_approval", "failed"),
    ]


def test_one_that_waits_is_superseded_by_a_newer_one_and_ends_with_its_time(company: Installation) -> None:
    company.tell("sira", recommend("r-1"), recommend("r-2"), recommend("r-3", tenant_id="agent-2"))
    company.owner.execute("alter table proposals disable trigger guard_proposal")
    company.owner.execute("update proposals set expires_at = now() - interval '1 s' where id = 'r-3'")
    company.owner.execute("alter table proposals enable trigger guard_proposal")
    assert [seen(company.owner, f"r-{number}")["status"] for number in (1, 2, 3)] == [
        "superseded",
        "pending",
        "expired",
    ]
    told = [apply(company, name).code for name in ("r-1", "r-3")]
    assert told == ["proposal_closed", "proposal_closed"]
    assert "r-2" in apply(company, "r-1", idempotency_key="again").sentence
    assert made(apply(company, "r-2"))


def test_the_newest_is_known_however_they_were_batched(company: Installation) -> None:
    producer = company.producer("sira")
    company.apply([producer.sign(recommend(name)) for name in ("r-9", "r-1", "r-5")])
    found = {row["id"]: row["status"] for row in read.list_recommendations(company.owner)}
    assert found == {"r-9": "superseded", "r-1": "superseded", "r-5": "pending"}
    assert [row["id"] for row in read.list_recommendations(company.owner)] == ["r-5", "r-1", "r-9"]
    assert read.list_recommendations(company.owner, limit=1, offset=1)[0]["id"] == "r-1"


def test_pages_are_whole_whatever_the_ids_are(company: Installation) -> None:
    names = ["b", "a 2", "a 10", "é", "-1"]
    company.tell("sira", *(recommend(name, tenant_id=f"agent-{number}") for number, name in enumerate(names)))
    with company.owner.transaction():
        company.owner.execute("set local session_replication_role = replica")
        company.owner.execute("update proposals set created_at = now() where id <> 'b'")
    expected = [row["id"] for row in read.list_recommendations(company.owner)]
    assert (set(expected), expected[-1]) == ({*names}, "b")

    def pages(after: str | None = None) -> Iterator[str]:
        while found := read.list_recommendations(company.owner, limit=2, after=after):
            yield from (row["id"] for row in found)
            after = found[-1]["cursor"]

    assert list(islice(pages(), 10)) == expected


@pytest.mark.parametrize("person", ["pay-admin-1", "merchant-viewer", "nobody"])
def test_who_may_not_apply_it_is_told_so_and_it_waits_on(company: Installation, person: str) -> None:
    company.tell("sira", recommend("r-1"))
    assert apply(company, "r-1", person).code == "creator_not_allowed"
    assert seen(company.owner, "r-1")["status"] == "pending"


def test_changed_params_are_refused(company: Installation) -> None:
    company.tell("sira", recommend("r-1"))
    more = seen(company.owner, "r-1")["params"] | {"amount": 9_000_000}
    assert apply(company, "r-1", params=more).code == "proposal_mismatch"
    assert company.scalar("select count(*) from actions") == 0


def test_two_people_who_apply_it_at_once_make_one_action(company: Installation) -> None:
    for round_ in range(8):
        name = f"r-{round_}"
        company.tell("sira", recommend(name, tenant_id="agent-123"))
        people = ("ops-admin-1", "finance-user-1")
        bodies = [application(company.owner, name, person, idempotency_key=f"{name} {person}") for person in people]
        tokens = [company.producer("ops-tooling").sign(body).token for body in bodies]
        receipts = [each.receipts[0] for each in at_once(two_workers(company), tokens)]
        assert sorted(each.code or each.outcome for each in receipts) == ["applied", "proposal_closed"]
        (action_id,) = [each.action_id for each in receipts if each.code is None]
        assert seen(company.owner, name)["ops_action_id"] == action_id


def test_the_same_recommendation_twice_at_once_is_one_action(company: Installation) -> None:
    tokens = [company.producer("sira").sign(recommend("r-1", 0.95)).token for _ in range(2)]
    receipts = [each.receipts[0] for each in at_once(two_workers(company), tokens)]
    assert sorted(each.outcome for each in receipts) == ["applied", "duplicate"]
    assert company.scalar("select count(*) from actions") == 1


def of_sira(rec_id: str, **more: Any) -> CreateAction:
    """What SIRA asks for itself, under the key of its recommendation."""
    said = recommend(rec_id)
    why = {"sira_recommendation_id": rec_id, "sira_confidence": said.confidence, "sira_explanation": said.explanation}
    return CreateAction(
        idempotency_key=f"sira-rec-{rec_id}",
        origin="sira",
        action_type=said.recommendation_type,
        params=said.params | why | more,
        target_tenant_type=said.tenant_type,
        target_tenant_id=said.tenant_id,
        auto_execute=True,
        created_by="sira-system",
    )


def test_what_sira_asks_for_itself_and_its_recommendation_at_once_are_one_action_at_most(company: Installation) -> None:
    for round_ in range(8):
        name = f"r-{round_}"
        tokens = [company.producer("sira").sign(body).token for body in (of_sira(name), recommend(name))]
        asked, told = (each.receipts[0] for each in at_once(two_workers(company), tokens))
        assert told.outcome == "applied"
        assert (asked.code, told.action_id) in {(None, asked.action_id), ("creator_not_allowed", None)}
        assert apply(company, name).code == (None if told.action_id is None else "proposal_closed")
    assert company.scalar("select count(*) from actions") == 8


def test_one_is_not_applied_beside_what_sira_asked_for_under_its_key(company: Installation) -> None:
    asked, told = company.tell("sira", of_sira("r-1", amount=7), recommend("r-1"))
    assert told.code == "idempotency_conflict"
    refused = apply(company, "r-1")
    assert refused.code == "proposal_closed"
    assert f"for action {asked.action_id} itself, which is requested." in refused.sentence
    company.tell("ops-tooling", CancelAction(action_id=made(asked), cancelled_by="ops-admin-1"))
    assert apply(company, "r-1", idempotency_key="again").outcome == "applied"


def test_another_issuers_id_is_refused(company: Installation) -> None:
    company.owner.execute(
        'update keys set scope = scope || \'{"types": ["RecommendAction"], "origins": ["*"]}\' where issuer = \'alerts\''
    )
    company.tell("sira", recommend("r-1"))
    assert company.tell("alerts", recommend("r-1"))[0].code == "proposal_conflict"
    assert company.tell("sira", recommend("r-1"))[0].outcome == "duplicate"


def test_the_threshold_is_the_installations(company: Installation) -> None:
    strict = Loader("ops-approval", recommendation_threshold=Decimal(1))
    company.applier.loader = strict
    assert company.tell("sira", recommend("r-1", 0.99))[0].action_id is None
    assert made(company.tell("sira", recommend("r-2", 1))[0])


def test_what_follows_a_recommendation_is_executed_once_however_often_it_is_asked(
    company: Installation, sandbox: Sandbox
) -> None:
    company.tell("sira", recommend("r-1"))
    action_id = made(apply(company, "r-1"))
    again = apply(company, "r-1")
    assert (again.outcome, again.action_id) == ("duplicate", action_id)
    for person in ("finance-user-1", "finance-user-2"):
        company.vote(action_id, person)
    company.tell("ops-tooling", ExecuteAction(action_id=action_id, executed_by="finance-user-3"))
    race(*(partial(company.executor(sandbox.url).execute, action_id) for _ in range(2)))
    assert len(sandbox.effects()) == 1
