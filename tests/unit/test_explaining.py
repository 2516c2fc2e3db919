"""Which policy an action falls under, and why under no other: creation answers."""

from typing import Any

import pytest

from domain import explaining
from domain.action import Action
from domain.definitions import Definitions, Versioned
from domain.explaining import Explanation
from domain.messages import CreateAction
from domain.policy import Policy
from domain.refusals import Refusal
from tests.unit.in_memory import BODY, RULES, TYPE, InMemory, answer

NOBODY = {"required_quorum": {"type": "none"}, "escalation_role": None}


def policy(name: str, criteria: dict[str, Any], **more: Any) -> Versioned[Policy]:
    rules = RULES | more.pop("rules", {})
    return Versioned(1, Policy.model_validate({"name": name, "criteria": criteria, "policy": rules, **more}))


def engine_with(*policies: Versioned[Policy]) -> InMemory:
    engine = InMemory()
    engine.world.definitions = Definitions(policies=policies, action_types=(Versioned(1, TYPE),))
    return engine


def explained(engine: InMemory, **changes: Any) -> Explanation:
    return explaining.explain(engine.world, CreateAction.model_validate(BODY | changes))


def said(found: Explanation) -> list[tuple[str, str, str | None]]:
    return [
        (
            verdict.policy.definition.name,
            verdict.state.value,
            None if verdict.because is None else f"{verdict.because.words}: {list(verdict.because.seen)}",
        )
        for verdict in found.verdicts
    ]


LARGE = policy("Large", {"action_type": "TOP_UP", "params.amount": {"$gte": 100}}, priority=200)
NIGHT = policy("Night", {"origin": "sira", "$and": [{"params.at": "night"}]}, priority=150)
OFF = policy("Off", {}, priority=120, enabled=False)
ANY = policy("Any", {"$or": [{"risk_level": "medium"}, {"params.amount": 7}]}, priority=100)
LAST = policy("Last", {}, priority=1)
NO_NIGHT = ("Night", "unmet", 'params.at = "night": []')


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (
            5,
            [
                ("Large", "unmet", "params.amount gte 100: [5]"),
                NO_NIGHT,
                ("Off", "disabled", None),
                ("Any", "applies", None),
                ("Last", "also_matches", None),
                ("Default", "also_matches", None),
            ],
        ),
        (
            100,
            [
                ("Large", "applies", None),
                NO_NIGHT,
                ("Off", "disabled", None),
                ("Any", "also_matches", None),
                ("Last", "also_matches", None),
                ("Default", "also_matches", None),
            ],
        ),
        (
            "100",
            [
                ("Large", "type_mismatch", "params.amount gte 100: ['100']"),
                NO_NIGHT,
                ("Off", "disabled", None),
                ("Any", "also_matches", None),
                ("Last", "also_matches", None),
                ("Default", "also_matches", None),
            ],
        ),
    ],
)
def test_every_policy_says_what_it_lacks_with_the_value_seen(amount: Any, expected: list[Any]) -> None:
    engine = engine_with(LARGE, NIGHT, OFF, ANY, LAST)
    params = {"agent_id": "agent-1", "amount": amount}
    found = explained(engine, params=params, origin="sira")
    assert said(found) == expected
    applies = [name for name, state, _ in said(found) if state == "applies"]
    receipt = engine_with(LARGE, NIGHT, OFF, ANY, LAST).create({"params": params, "origin": "sira"})
    if isinstance(found.answer, Action):
        assert applies == [found.answer.policy_name]
        assert receipt.outcome == "applied"
    else:
        assert (applies, found.answer.code, found.answer.sentence) == ([], receipt.code, receipt.sentence)


def test_the_requirement_is_that_of_the_action_that_would_be_created() -> None:
    engine = InMemory()
    told = explained(engine, required_ratio=0.9, auto_execute=True).answer
    made = engine.action(engine.created({"required_ratio": 0.9, "auto_execute": True}))
    assert isinstance(told, Action)
    assert (told.requirement, told.auto_execute, told.expires_at) == (
        made.requirement,
        made.auto_execute,
        made.expires_at,
    )
    assert (told.risk_level, told.target_tenant_id) == ("medium", "agent-1")


@pytest.mark.parametrize("creator", ["sira-system", "viewer"])
def test_the_facts_are_told_that_criteria_look_at_whether_it_may_be_asked_for_or_not(creator: str) -> None:
    assert explained(InMemory(), created_by=creator).facts == {
        "action_type": "TOP_UP",
        "origin": "sira",
        "risk_level": "medium",
        "target_tenant_type": "agent",
        "target_tenant_id": "agent-1",
        "created_by": creator,
        "params": BODY["params"],
    }


@pytest.mark.parametrize(
    ("changes", "code", "policies"),
    [
        ({"action_type": "NOTHING"}, "unknown_action_type", []),
        ({"params": {}}, "target_mismatch", []),
        ({"target_tenant_id": "agent-2"}, "target_mismatch", []),
        ({"created_by": "viewer"}, "creator_not_allowed", [("P", "applies", None), ("Default", "also_matches", None)]),
    ],
)
def test_refusals_are_those_that_the_message_would_get(changes: dict[str, Any], code: str, policies: list[Any]) -> None:
    found = explained(InMemory(), **changes)
    assert isinstance(found.answer, Refusal)
    assert found.answer.code == code == answer(InMemory().create(changes))
    assert said(found) == policies


def test_a_policy_by_which_one_alone_would_agree_is_passed_over_for_what_the_engine_does_itself() -> None:
    engine = engine_with(policy("Loose", {}, rules=NOBODY))
    registered = {"kid": "k", "person_id": "f1", "public_key": "Q" * 43, "reason": "new"}
    found = explained(engine, action_type="ENROL_KEY", params=registered)
    assert said(found) == [("Loose", "passed_over", None), ("Default", "applies", None)]
    assert explained(engine).verdicts[0].state == "applies"


def test_where_no_policy_matches_the_default_applies() -> None:
    found = explained(engine_with(policy("Other", {"action_type": "OTHER"})))
    assert said(found) == [("Other", "unmet", "action_type = \"OTHER\": ['TOP_UP']"), ("Default", "applies", None)]
