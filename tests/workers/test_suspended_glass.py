"""After a ratification was refused, on real servers: what is asked then, and what a vote gets."""

from uuid import UUID

import pytest

from domain.executing import AttemptStarted
from domain.lifecycle import Status
from domain.messages import CancelAction
from tests.workers.test_answers import Desk
from tests.workers.test_break_glass import assert_nothing_is_broken, breaking, company, created, ratification
from tests.world import PEOPLE, Installation, directory

__all__ = ["company"]


@pytest.fixture
def refused(company: Installation) -> UUID:
    """An action that cfo-1 approved alone, which others refused to ratify before it was executed."""
    action_id = created(company)
    company.apply([breaking(company, action_id)])
    for person in ("ops-admin-1", "ops-admin-2"):
        company.vote(ratification(company, action_id), person, "reject")
    company.applier.apply([AttemptStarted(action_id, 99, "tests")])
    assert company.action(action_id)["status"] == "pending_approval"
    return action_id


def test_who_is_asked_what_is_missing_is_not_told_that_it_is_approved(company: Installation, refused: UUID) -> None:
    told = Desk(company).told("actions", "who", refused)
    assert (told["status"], told["missing"]) == ("pending_approval", ["2 more of finance_ops"])


def test_a_role_granted_anew_does_not_approve_what_was_not_ratified(company: Installation, refused: UUID) -> None:
    for snapshot, people in ((2, PEOPLE | {"cfo-1": ()}), (3, PEOPLE)):
        assert company.tell("directory", directory(snapshot, people))[0].outcome == "applied"
    assert Desk(company).told("actions", "who", refused)["missing"] == ["2 more of finance_ops"]
    company.vote(refused, "finance-user-1")
    assert company.action(refused)["status"] == "pending_approval"
    assert_nothing_is_broken(company)


def test_a_ratification_whose_time_is_up_can_be_asked_about_before_a_sweep_finds_it(company: Installation) -> None:
    action_id = created(company)
    company.apply([breaking(company, action_id)])
    asked = ratification(company, action_id)
    company.make_due(asked)
    desk = Desk(company)
    assert desk.told("actions", "who", asked)["status"] == "expired"
    assert desk.told("actions", "why-not", asked, "ops-admin-1", code=1)["refusals"][0]["code"] == "action_closed"
    assert company.action(asked)["status"] == "requested"


@pytest.mark.parametrize("said", ["approve", "reject"])
def test_what_was_cancelled_is_still_ratified_or_not(company: Installation, said: str) -> None:
    action_id = created(company)
    company.apply([breaking(company, action_id)])
    (receipt,) = company.tell("ops-tooling", CancelAction(action_id=action_id, cancelled_by="ops-admin-1"))
    assert receipt.outcome == "applied", receipt
    asked = ratification(company, action_id)
    for person in ("ops-admin-1", "ops-admin-2"):
        company.vote(asked, person, said)
    if said == "approve":
        assert company.perform(asked) == Status.EXECUTED
    assert company.trail(action_id)[-1] == ("ratified" if said == "approve" else "ratification_refused")
    assert company.action(action_id)["status"] == "cancelled"
    assert_nothing_is_broken(company)


def test_a_policy_whose_glass_nobody_may_break_any_more_is_doubted(company: Installation) -> None:
    desk = Desk(company)
    codes = [doubt["code"] for doubt in desk.told("policies", "lint", code=1)]
    assert "break_glass_by_nobody" not in codes
    company.apply([breaking(company, action_id := created(company))])
    for person in ("ops-admin-1", "ops-admin-2"):
        company.vote(ratification(company, action_id), person, "reject")
    assert "break_glass_by_nobody" in [doubt["code"] for doubt in desk.told("policies", "lint", code=1)]
