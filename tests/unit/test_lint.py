"""Doubtful policies are found, sound ones are left in peace."""

import re
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from domain.definition import Kind
from domain.definitions import Definitions, Versioned
from domain.directory import Directory, Grant
from domain.keys import PERSONAL_SCOPE, VerificationKey
from domain.lint import SEVERITIES, lint
from domain.policy import Policy
from domain.world import World
from tests.unit.in_memory import NOW, TYPE, directory
from workers import definition_changes, definition_files

TWO = {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}
ONE = {"type": "role", "value": {"role": "finance_ops", "min_votes": 1}}
FINE: dict[str, Any] = {"required_quorum": TWO, "auto_execute": False}
PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "policies.md"


def found(*policies: dict[str, Any], world: World | None = None) -> list[tuple[str, str]]:
    rows = [
        {"name": f"P{number}", "criteria": {}, **item, "policy": FINE | item.get("policy", {})}
        for number, item in enumerate(policies)
    ]
    definitions = Definitions(
        policies=tuple(Versioned(1, Policy.model_validate(row)) for row in rows), action_types=(Versioned(1, TYPE),)
    )
    return [(doubt.name, doubt.code) for doubt in lint(definitions, world)]


def world(**keys: VerificationKey) -> World:
    return World(now=NOW, audience="", directory=directory(), keys=keys)


def of(role: str) -> dict[str, Any]:
    return {"type": "role", "value": {"role": role, "min_votes": 1}}


def percentage_of(*people: str) -> dict[str, Any]:
    return {"type": "percentage", "value": {"percentage": 0.6, "pool": list(people)}}


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"required_quorum": {"type": "none"}}, "no_approval"),
        ({"allow_self_approval": True}, "self_approval"),
        ({"escalation_role": "finance_ops"}, "escalates_to_the_same"),
        ({"escalation": [{"role": "cfo", "timeout_seconds": 60, "min_votes": 1}]}, "waiting_makes_it_easier"),
        ({"required_quorum": percentage_of("ana")}, "percentage_of_one"),
        ({"required_quorum": {"type": "all_of", "value": {"of": [TWO, percentage_of("ana")]}}}, "percentage_of_one"),
        ({"auto_execute": True}, "executes_by_itself"),
        ({"auto_execute": None}, "execution_left_open"),
    ],
)
def test_a_policy_that_may_not_mean_what_it_says_is_doubted(rules: dict[str, Any], code: str) -> None:
    assert found({"policy": rules}) == [("P0", code)]


@pytest.mark.parametrize(
    ("rules", "criteria"),
    [
        ({}, {}),
        ({"auto_execute": True}, {"risk_level": "low"}),
        ({"auto_execute": True}, {"risk_level": {"$in": ["low", "medium"]}, "action_type": "TOP_UP"}),
        ({"required_quorum": percentage_of("ana", "bob")}, {}),
        ({"escalation_role": "cfo", "timeout_seconds": 30 * 86400}, {}),
        ({"escalation": [{"role": "cfo", "timeout_seconds": 60, "min_votes": 2}]}, {}),
        ({}, {"action_type": "CHANGE_DEFINITION"}),
        ({"required_quorum": {"type": "percentage", "value": {"percentage": 0.5, "pool": "ops_admin"}}}, {}),
    ],
)
def test_a_sound_policy_is_not(rules: dict[str, Any], criteria: dict[str, Any]) -> None:
    assert found({"policy": rules, "criteria": criteria}) == []


def test_a_step_that_is_easier_than_a_quorum_with_a_share_of_a_role_is_doubted() -> None:
    share = {"type": "percentage", "value": {"percentage": 0.5, "pool": "ops_admin"}}
    quorum = {"type": "all_of", "value": {"of": [TWO, share]}}
    steps = [{"role": "cfo", "timeout_seconds": 60, "min_votes": least} for least in (1, 3)]
    assert found({"policy": {"required_quorum": quorum, "escalation": steps[:1]}}) == [
        ("P0", "waiting_makes_it_easier")
    ]
    assert found({"policy": {"required_quorum": quorum, "escalation": steps[1:]}}) == []


def test_a_policy_by_which_nobody_could_change_anything_any_more_is_an_error() -> None:
    assert found({"criteria": {"params.reason": {"$gt": 5}}}) == [("P0", "changes_refused")]
    assert found({"criteria": {"params.reason": {"$gt": 5}, "action_type": "TOP_UP"}}) == []


def test_one_who_alone_would_agree_to_what_the_engine_does_itself_is_an_error() -> None:
    criteria = {"action_type": {"$in": ["RETRY", "TOP_UP"]}}
    assert found({"criteria": criteria, "policy": {"required_quorum": ONE}}) == [("P0", "passed_over")]


def test_every_policy_is_looked_at_and_in_every_way() -> None:
    first = {"criteria": {"action_type": "TOPUP"}, "priority": 200, "policy": {"allow_self_approval": True}}
    second = {"criteria": {"origin": "sira"}, "policy": {"auto_execute": True}}
    told = [("P0", "self_approval"), ("P0", "unknown_action_type"), ("P1", "executes_by_itself")]
    assert found(first, second, world=world()) == told


@pytest.mark.parametrize(
    ("criteria", "risks"),
    [
        ({}, "critical and high"),
        ({"action_type": "TOP_UP"}, "critical"),
        ({"action_type": {"$in": ["TOP_UP", "OTHER"]}}, "critical and high"),  # of the other nothing is known
        ({"risk_level": "high"}, "high"),
    ],
)
def test_the_risks_that_execute_by_themselves_are_those_that_may_match(criteria: dict[str, Any], risks: str) -> None:
    policy = Policy.model_validate({"name": "P", "criteria": criteria, "policy": FINE | {"auto_execute": True}})
    grave = TYPE.model_copy(update={"minimum_risk_level": "critical"})
    (doubt,) = lint(Definitions(policies=(Versioned(1, policy),), action_types=(Versioned(1, grave),)), None)
    assert doubt.sentence.startswith(f"Actions of {risks} risk execute by themselves")


def test_whether_one_would_agree_alone_is_told_by_how_many_there_are() -> None:
    quorum = {"type": "percentage", "value": {"percentage": 0.5, "pool": "finance_ops"}}
    share = {"criteria": {"action_type": "RETRY"}, "policy": {"required_quorum": quorum}}
    assert found(share) == []  # nothing is known of people
    assert found(share, world=world()) == []
    few = World(now=NOW, audience="", directory=directory({"f1": ["finance_ops"], "f2": ["finance_ops"]}))
    assert ("P0", "passed_over") in found(share, world=few)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"priority": 9}, {"priority": 8, "criteria": {"origin": "sira"}}, [("P1", "never_asked")]),
        (
            {"priority": 9, "criteria": {"origin": "sira"}},
            {"priority": 8, "criteria": {"params.amount": {"$gte": 5}, "origin": "sira"}},
            [("P1", "never_asked")],
        ),
        (
            {"priority": 9, "criteria": {"params.amount": {"$gte": 5, "$lt": 9}}},
            {"priority": 8, "criteria": {"params.amount": {"$lt": 9, "$gte": 5}}},
            [("P1", "never_asked")],
        ),
        ({"priority": 9, "criteria": {"origin": "sira"}}, {"priority": 8}, []),
        ({"priority": 9, "enabled": False}, {"priority": 8}, []),
        (
            {"criteria": {"params.a": {"$regex": "x"}}},
            {"criteria": {"params.a": {"$regex": "x", "$options": "i"}}},
            [("P1", "order_by_name")],
        ),
        ({"criteria": {"params.a": 1}}, {"criteria": {"params.a": True}}, [("P1", "order_by_name")]),
        ({"criteria": {"origin": "sira"}}, {"criteria": {"risk_level": "low"}}, [("P1", "order_by_name")]),
        ({"criteria": {"origin": "sira"}}, {"criteria": {"origin": {"$in": ["alert", "module"]}}}, []),
        ({"criteria": {"params.tags": "a"}}, {"criteria": {"params.tags": "b"}}, [("P1", "order_by_name")]),
    ],
)
def test_policies_that_stand_in_each_others_way_are_found(
    first: dict[str, Any], second: dict[str, Any], expected: list[Any]
) -> None:
    assert found(first, second) == expected


@pytest.mark.parametrize(
    ("rules", "criteria", "expected"),
    [
        ({}, {}, []),
        ({"required_quorum": {"type": "role", "value": {"role": "cfo", "min_votes": 3}}}, {}, ["cannot_be_filled"]),
        ({"required_quorum": {"type": "specific_users", "value": {"users": ["f1", "gone"]}}}, {}, ["cannot_be_filled"]),
        ({"required_quorum": {"type": "percentage", "value": {"percentage": 1, "pool": "finance_ops"}}}, {}, []),
        ({"escalation_role": "nobody", "veto_roles": ["none"]}, {}, ["role_of_nobody", "role_of_nobody"]),
        ({"required_quorum": {"type": "any_of", "value": {"of": [TWO, of("cffo")]}}}, {}, ["role_of_nobody"]),
        ({"required_quorum": of("cffo")}, {}, ["cannot_be_filled"]),
        ({}, {"action_type": "TOPUP"}, ["unknown_action_type"]),
        ({"require_personal_key": True}, {}, ["too_few_personal_keys"]),
    ],
)
def test_with_the_directory_a_policy_that_nobody_can_fill_is_found(
    rules: dict[str, Any], criteria: dict[str, Any], expected: list[str]
) -> None:
    assert [code for _, code in found({"policy": rules, "criteria": criteria}, world=world())] == expected


def test_enough_people_with_keys_of_their_own_are_enough() -> None:
    keys = {
        person: VerificationKey(person, f"person:{person}", bytes(32), PERSONAL_SCOPE, NOW, None, None, person)
        for person in ("f1", "f2", "cfo")
    }
    strict = {"policy": {"require_personal_key": True}}
    assert found(strict, world=world(**keys)) == []
    del keys["f2"]
    assert found(strict, world=world(**keys)) == [("P0", "too_few_personal_keys")]


def test_a_grant_that_is_over_fills_nothing() -> None:
    gone = [Grant(person, "finance_ops", NOW - timedelta(days=2), NOW) for person in ("a", "b")]
    assert found({}, world=World(now=NOW, audience="", directory=Directory.of(gone))) == [("P0", "cannot_be_filled")]


@pytest.mark.parametrize("peopled", [False, True])
def test_what_is_shipped_has_no_errors_and_no_warnings(peopled: bool) -> None:
    """By itself, and among people who hold its roles; with the policy of the demo, and without."""
    roles = ("finance_ops", "pay_admin", "ops_admin", "cfo")
    people = {f"{role}-{number}": [role] for role in roles for number in range(3)}
    there = World(now=NOW, audience="", directory=directory(people)) if peopled else None
    shipped: list[tuple[Kind, Any]] = definition_files.shipped()
    demo = definition_files.parse(files("workers").joinpath("demo.yaml").read_text(), "demo.yaml")
    for wanted in (shipped, shipped + demo):
        doubts = lint(definition_changes.drafted(Definitions(), wanted), there)
        assert [doubt for doubt in doubts if doubt.severity != "note"] == []


def test_in_a_directory_without_anybody_nothing_is_said_about_people() -> None:
    nobody = World(now=NOW, audience="", directory=Directory())
    assert found({"criteria": {"action_type": "TOPUP"}}, world=nobody) == [("P0", "unknown_action_type")]


def test_every_code_is_documented_with_its_severity() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (error|warning|note) \|", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == SEVERITIES
