"""What the engine carries out itself takes two people, whatever a policy or an action type says."""

from typing import Any
from uuid import UUID

import pytest

from domain.action import Action
from domain.action_type import Inverse
from domain.definitions import Definitions, Versioned
from domain.policy import Policy
from tests.unit.in_memory import HOUR, RULES, TYPE, directory
from tests.unit.test_engine_internal import ADMINS, KNOWN, UNKNOWN, Company

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


@pytest.mark.parametrize("internal", ["CHANGE_DEFINITION", "ENROL_KEY", "REGISTER_KEY", "RETRY", "ROLL_BACK", "RATIFY"])
def test_nothing_is_undone_by_what_a_key_must_be_named_for(internal: str) -> None:
    company = Company()
    of_type: dict[str, dict[str, Any]] = {
        "CHANGE_DEFINITION": {"kind": "policy", "name": "P", "replaces": 1, "definition": None},
        "ENROL_KEY": {"kid": "k", "person_id": "f1", "public_key": "A" * 43},
        "REGISTER_KEY": {"kid": "k", "issuer": "i", "public_key": "A" * 43, "scope": {}},
    }
    params = of_type.get(internal, {"action_id": str(UUID(int=1))})
    inverse = Inverse(action_type=internal, params=params | {"reason": "x"})
    kind = TYPE.model_copy(update={"inverse": inverse})
    company.world.definitions = Definitions(company.world.definitions.policies, (Versioned(1, kind),))
    undone = company.do("ROLL_BACK", company.ended(*KNOWN))
    assert company.status(undone) == "failed"
    assert f"Nothing is undone by {internal}" in (company.action(undone).error or "")
    assert {item.action_type for item in company.world.actions.values()} == {"TOP_UP", "ROLL_BACK"}
