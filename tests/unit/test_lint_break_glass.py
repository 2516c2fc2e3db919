"""Doubtful ways to break glass are found: limits that bound nothing, people who may not, and nobody left to ratify it."""

from dataclasses import replace
from typing import Any

import pytest

from domain.definitions import Definitions, Versioned
from domain.keys import PERSONAL_SCOPE, VerificationKey
from domain.lint import lint
from domain.policy import Policy
from domain.world import World
from tests.unit.in_memory import NOW, directory

TWO = {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}
GLASS: dict[str, Any] = {"role": "duty", "uses": 1, "within_seconds": 604800, "valid_seconds": 3600}
ROLES = {
    "f1": ["finance_ops"],
    "f2": ["finance_ops"],
    "duty": ["duty"],
    "a1": ["ops_admin"],
    "a2": ["ops_admin"],
    "a3": ["ops_admin"],
}


def doubts(
    *,
    roles: dict[str, list[str]] | None = None,
    criteria: dict[str, Any] | None = None,
    glass: dict[str, Any] | None = None,
    ratify: dict[str, Any] | None = None,
    world: World | None = None,
    **rules: Any,
) -> list[tuple[str, str]]:
    """Codes and sentences about a policy with `break_glass`, in a company of people with these roles."""
    asked = {"required_quorum": TWO, "auto_execute": False, "break_glass": GLASS | (glass or {})} | rules
    rows = [{"name": "P", "criteria": criteria or {"action_type": "TOP_UP"}, "policy": asked, "priority": 1}]
    if ratify is not None:
        rules_of_it = {"auto_execute": False} | ratify
        rows.append({"name": "R", "criteria": {"action_type": "RATIFY"}, "policy": rules_of_it, "priority": 2})
    definitions = Definitions(policies=tuple(Versioned(1, Policy.model_validate(row)) for row in rows))
    there = world or World(now=NOW, audience="", directory=directory(ROLES if roles is None else roles))
    found = lint(definitions, there)
    return [
        (doubt.code, doubt.sentence) for doubt in found if doubt.name == "P" and doubt.code != "unknown_action_type"
    ]


def codes(**changes: Any) -> list[str]:
    return [code for code, _ in doubts(**changes)]


def test_a_sound_way_to_break_glass_is_left_in_peace() -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"glass": {"uses": 11, "within_seconds": 86400}}, "break_glass_too_often"),
        ({"glass": {"uses": 1, "within_seconds": 3600}}, "break_glass_too_often"),
        ({"glass": {"valid_seconds": 86401}}, "break_glass_too_long"),
        ({"glass": {"valid_seconds": 3601}, "execute_within_seconds": 3600}, "break_glass_too_long"),
        ({"glass": {"valid_seconds": 2 * 86400}, "execute_within_seconds": 30 * 86400}, "break_glass_too_long"),
        ({"required_quorum": {"type": "none"}}, "break_glass_for_nothing"),
        ({"criteria": {"action_type": {"$in": ["RETRY", "ROLL_BACK"]}}}, "break_glass_for_nothing"),
        ({"glass": {"role": "dutty"}}, "role_of_nobody"),
        ({"required_quorum": {"type": "role", "value": {"role": "ops_admin", "min_votes": 3}}}, "ratified_by_fewer"),
    ],
)
def test_what_may_not_be_meant_is_doubted(changes: dict[str, Any], code: str) -> None:
    assert code in codes(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"glass": {"uses": 10, "within_seconds": 86400}},
        {"glass": {"valid_seconds": 86400}},
        {"glass": {"valid_seconds": 3600}, "execute_within_seconds": 3600},
        {"criteria": {"action_type": {"$in": ["RETRY", "TOP_UP"]}}},
        {"criteria": {}},
        {"required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 1}}},
    ],
)
def test_what_is_just_within_bounds_is_not(changes: dict[str, Any]) -> None:
    assert codes(**changes) == []


def test_what_one_approves_alone_should_not_execute_by_itself() -> None:
    low = {"risk_level": "low"}
    assert codes(auto_execute=True, criteria=low) == ["break_glass_executes_by_itself"]
    assert codes(auto_execute=None, criteria=low) == []


def test_holders_who_were_refused_a_ratification_do_not_count() -> None:
    refused = directory(ROLES).refusing("duty", NOW)
    world = World(now=NOW, audience="", directory=refused)
    assert codes(world=world) == ["break_glass_by_nobody"]
    two = directory(ROLES | {"duty2": ["duty"]}).refusing("duty", NOW)
    assert codes(world=replace(world, directory=two)) == []


def test_holders_without_a_key_of_their_own_do_not_count_where_votes_need_one() -> None:
    keys = {
        who: VerificationKey(who, f"person:{who}", bytes(32), PERSONAL_SCOPE, NOW, None, None, who)
        for who in ("f1", "f2")
    }
    world = World(now=NOW, audience="", directory=directory(ROLES), keys=keys)
    ((code, sentence),) = doubts(world=world, require_personal_key=True)
    assert (code, "no key of their own" in sentence) == ("break_glass_by_nobody", True)
    world.keys["duty"] = replace(keys["f1"], person="duty")
    assert codes(world=world, require_personal_key=True) == []


def test_glass_that_would_leave_too_few_to_ratify_it_is_found() -> None:
    two_admins = {who: roles for who, roles in ROLES.items() if who != "a3"}
    assert "If a1 asks for an action and duty breaks glass" in doubts(roles=two_admins)[0][1]
    assert "If a1 breaks glass, nobody" in doubts(roles=two_admins, glass={"role": "ops_admin"})[0][1]
    assert codes(roles=two_admins, criteria={"origin": "sira"}) == [], "people do not ask for these"
    assert codes(roles=two_admins, criteria={"created_by": "sira-system"}) == []


def test_three_admins_are_too_few_where_one_asks_and_another_breaks_glass() -> None:
    ((code, sentence),) = doubts(glass={"role": "ops_admin"})
    assert code == "cannot_be_ratified"
    assert "a2 asks for an action and a1 breaks glass" in sentence
    assert "1 more of ops_admin" in sentence
    assert codes(roles=ROLES | {"a4": ["ops_admin"]}, glass={"role": "ops_admin"}) == []


def test_who_may_act_for_somebody_with_a_part_in_it_cannot_ratify_either() -> None:
    acting = directory(ROLES)
    grants = [replace(acting.grants[0], person="a3", role=None, acts_for="duty")]
    world = World(now=NOW, audience="", directory=replace(acting, grants=(*acting.grants, *grants)))
    assert codes(world=world) == ["cannot_be_ratified"]


def test_whom_many_may_act_for_is_missed_by_many() -> None:
    roles = ROLES | {"a4": ["ops_admin"], "f3": ["finance_ops"]}
    people = directory(roles)
    grants = [replace(people.grants[0], person=who, role=None, acts_for="f3") for who in ("a3", "a4")]
    world = World(now=NOW, audience="", directory=replace(people, grants=(*people.grants, *grants)))
    ((code, sentence),) = doubts(world=world, glass={"role": "ops_admin"})
    assert (code, "If f3 asks for an action and" in sentence) == ("cannot_be_ratified", True)


def test_a_policy_for_ratifications_says_who_ratifies_and_its_escalation_helps() -> None:
    by_finance: dict[str, Any] = {"required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}}
    assert codes(ratify=by_finance, criteria={"action_type": "TOP_UP", "origin": "sira"}) == []
    assert codes(ratify=by_finance) == ["cannot_be_ratified"], "of two in finance_ops one may ask for it"
    assert codes(ratify=by_finance | {"escalation_role": "ops_admin"}) == []
    alone = {"required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 1}}}
    assert codes(ratify=alone) == [], "one alone never ratifies, so two ops_admin do"


def test_of_many_people_two_of_a_kind_stand_for_all() -> None:
    many = ROLES | {f"o{number}": ["ops_admin"] for number in range(300)}
    assert codes(roles=many, glass={"role": "ops_admin"}) == []


def test_without_people_only_what_the_policy_says_is_doubted() -> None:
    nobody = World(now=NOW, audience="", directory=directory({}))
    assert codes(world=nobody, glass={"uses": 100, "within_seconds": 60}) == ["break_glass_too_often"]
