"""Documents that have not their form: whoever wrote them is told in words of their own, and not of our tools."""

from typing import Any

import pytest

from domain import changing
from domain.messages import parse_body
from domain.refusals import Refusal

QUORUM: dict[str, Any] = {"type": "role", "value": {"role": "cfo", "min_votes": 1}}


def policy(**rules: Any) -> dict[str, Any]:
    return {"name": "X", "criteria": {}, "policy": {"required_quorum": QUORUM} | rules}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"name": "X", "policy": {"required_quorum": QUORUM}}, "criteria: it is missing, and must be there"),
        (policy(timeout=5), "policy.timeout: there is no such field; look at its spelling"),
        (policy(veto_roles="risk"), "policy.veto_roles: expected a list"),
        (policy() | {"policy": []}, "policy: expected an object"),
        (policy() | {"criteria": []}, "criteria: expected an object"),
        (
            policy(veto_roles=[f"role-{number}" for number in range(21)]),
            "policy.veto_roles: expected a list of at most 20",
        ),
        (policy() | {"name": ""}, "name: it is empty"),
        (policy() | {"criteria": {"amount": 5}}, "criteria: an action has no field 'amount'"),
        (
            policy(required_quorum={"type": "role", "value": {"role": "cfo", "min_votes": 0}}),
            "policy.required_quorum: min_votes must be a whole number of at least 1",
        ),
    ],
)
def test_a_mistake_in_a_policy_is_told_by_field_and_in_plain_words(document: dict[str, Any], told: str) -> None:
    with pytest.raises(changing.DefinitionError) as refused:
        changing.read("policy", document)
    assert str(refused.value).startswith(told)


def test_every_mistake_in_a_definition_is_told_at_once() -> None:
    rule = {"name": "x", "auto_action": {"action_type": "A"}, "auto_treshold": 1, "cooldown_seconds": -1}
    with pytest.raises(changing.DefinitionError, match=r"^cooldown_seconds: .+; auto_treshold: there is no such field"):
        changing.read("remediation_rule", rule)


def test_a_list_that_is_empty_is_told_how_long_it_must_be() -> None:
    refusal = parse_body("SyncDirectory", {"snapshot": 1, "people": []})
    assert isinstance(refusal, Refusal)
    assert refusal.sentence.endswith("people: expected a list of at least 1")


def test_a_mistake_of_the_whole_document_is_the_bodys() -> None:
    grants = [{"acts_for": "zoe"}]
    refusal = parse_body("SyncDirectory", {"snapshot": 1, "people": [{"id": "bob", "grants": grants}]})
    assert isinstance(refusal, Refusal)
    assert refusal.sentence.endswith("body: a grant is to act for somebody who is not in the snapshot")
