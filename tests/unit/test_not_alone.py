"""What the engine carries out itself takes two people, whatever a policy or an action type says."""

from typing import Any

import pytest

from domain.policy import Definitions, Policy, Versioned
from domain.world import Action
from tests.unit.in_memory import HOUR, RULES, directory
from tests.unit.test_engine_internal import ADMINS, UNKNOWN, Company

CFO_ALONE = {"role": "cfo", "min_votes": 1, "timeout_seconds": HOUR}


def asked_under(step: dict[str, Any]) -> tuple[Company, Action]:
    """An outcome to be resolved by three ops_admin, or after an hour by this step."""
    company = Company()
    unknown = company.ended(*UNKNOWN)
    three = {"type": "role", "value": {"role": "ops_admin", "min_votes": 3}}
    rules = RULES | {"required_quorum": three, "escalation_role": None, "escalation": [step]}
    strict = Policy.model_validate({"name": "Strict", "criteria": {}, "policy": rules, "priority": 900})
    kinds = company.world.definitions.action_types
    company.world.definitions = Definitions(policies=(Versioned(1, strict),), action_types=kinds)
    company.world.directory = directory(ADMINS | {"cfo": ["cfo"]})
    assert company.ask("RESOLVE_OUTCOME", unknown, params={"outcome": "executed"}) == "applied"
    assert company.told.action_id is not None
    return company, company.action(company.told.action_id)


def test_a_step_by_which_one_would_decide_alone_does_not_put_two_ops_admin_in_the_place_of_three() -> None:
    company, asked = asked_under(CFO_ALONE)
    for person in ("admin", "admin-2"):
        company.vote(asked.id, person)
    assert (asked.policy_name, company.status(asked.id)) == ("Strict", "pending_approval")


def test_nor_does_one_decide_alone_by_it() -> None:
    company, asked = asked_under(CFO_ALONE)
    company.wait(HOUR)
    company.vote(asked.id, "cfo")
    assert company.status(asked.id) == "escalated"
    company.vote(asked.id, "admin")
    assert company.status(asked.id) == "approved"


@pytest.mark.parametrize("min_votes", [None, 2, 3, 5])
def test_a_step_that_asks_for_two_or_more_stays_as_it_is(min_votes: int | None) -> None:
    _, asked = asked_under(CFO_ALONE | {"min_votes": min_votes})
    assert [step.min_votes for step in asked.requirement.escalation] == [min_votes]
