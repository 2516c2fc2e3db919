"""Who must agree, and whether they have."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain import quorum, quorum_tree
from domain.content import FROZEN
from domain.directory import Directory, Grant
from domain.quorum import Choice, CountedVote, Decision, Tally
from domain.quorum_tree import ANY_ROLE, Need, People, Tree
from domain.requirement import Requirement

NOW = datetime(2025, 11, 12, 10, tzinfo=UTC)
TWO_OF_FINANCE = Need(count=2, people=People(role="finance_ops"))


def directory(roles: Mapping[str, Iterable[str]], starts_at: datetime = NOW) -> Directory:
    return Directory.of(Grant(person, role, starts_at) for person, held in roles.items() for role in held)


def votes(roles: Mapping[str, Iterable[str]], **choices: str) -> list[CountedVote]:
    return [CountedVote(person, Choice(choice), frozenset(roles.get(person, ()))) for person, choice in choices.items()]


def decide(tree: Tree, roles: Mapping[str, Iterable[str]], ratio: str = "0.6", **choices: str) -> Decision:
    requirement = Requirement(tree=tree, required_ratio=Decimal(ratio))
    return quorum.decide(requirement, votes(roles, **choices), directory(roles), NOW)


def finance(approve: int, reject: int, abstain: int = 0, *, need: int = 2, ratio: str = "0.6") -> str:
    choices = ["approve"] * approve + ["reject"] * reject + ["abstain"] * abstain
    roles = {f"f{number}": ("finance_ops",) for number in range(len(choices))}
    tree = Need(count=need, people=People(role="finance_ops"))
    return decide(tree, roles, ratio, **dict(zip(roles, choices, strict=True))).verdict.value


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"type": "role", "value": {"role": "finance_ops", "min_votes": 2}}, TWO_OF_FINANCE),
        (
            {"type": "percentage", "value": {"percentage": 0.6, "pool": ["user-1", "user-2", "user-3"]}},
            Need(count=2, people=People(ids=("user-1", "user-2", "user-3"))),
        ),
        (
            {"type": "percentage", "value": {"percentage": 0.6, "pool": "ops_admin"}},
            Need(count=1, people=People(role="ops_admin"), share=Decimal("0.6")),
        ),
        (
            {"type": "specific_users", "value": {"users": ["ceo-id", "cfo-id"]}},
            Need(count=2, people=People(ids=("ceo-id", "cfo-id"))),
        ),
        ({"type": "none"}, None),
    ],
)
def test_the_shapes_of_the_spec_parse_as_they_are_written(document: Any, expected: Tree | None) -> None:
    assert quorum_tree.parse(document) == expected


def _role(**value: Any) -> dict[str, Any]:
    return {"type": "role", "value": value}


def _share(percentage: Any, pool: Any) -> dict[str, Any]:
    return {"type": "percentage", "value": {"percentage": percentage, "pool": pool}}


def _users(*users: Any) -> dict[str, Any]:
    return {"type": "specific_users", "value": {"users": list(users)}}


def _of(shape: str, *parts: Any, **more: Any) -> dict[str, Any]:
    return {"type": shape, "value": {"of": list(parts), **more}}


_ONE = _role(role="a", min_votes=1)


@pytest.mark.parametrize("within", ["nothing", "all_of", "any_of", "k_of"])
@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        "none",
        {"type": "all"},
        {"type": "none", "value": {}},
        {"type": "role"},
        {"value": {"role": "a", "min_votes": 1}},
        _role(role="a"),
        _role(min_votes=1),
        _role(role="a", min_votes=0),
        _role(role="a", min_votes=-1),
        _role(role="a", min_votes=True),
        _role(role="a", min_votes=1.0),
        _role(role="a", min_votes="1"),
        _role(role="", min_votes=1),
        _role(role=None, min_votes=1),
        _role(role=["a"], min_votes=1),
        _role(role="a", min_votes=1, veto=True),
        _role(role="a", min_votes=1) | {"optional": True},
        _role(role=ANY_ROLE, min_votes=1),  # would be everybody's role
        _share(0, ["a"]),
        _share(-0.1, ["a"]),
        _share(1.01, ["a"]),
        _share(60, ["a"]),
        _share(percentage=True, pool=["a"]),
        _share("0.6", ["a"]),
        _share(float("nan"), ["a"]),
        _share(0.6, []),
        _share(0.6, ""),
        _share(0.6, ["a", "a"]),
        _share(0.6, None),
        {"type": "percentage", "value": {"pool": ["a"]}},
        {"type": "percentage", "value": {"percentage": 0.6}},
        {"type": "percentage", "value": {"percentage": 0.6, "pool": ["a"], "min_votes": 1}},
        _share(0.6, ["a"]) | {"optional": True},
        _users(),
        _users(""),
        _users("a", "a"),
        _users(1),
        {"type": "specific_users", "value": {"users": "ab"}},
        {"type": "specific_users", "value": {}},
        {"type": "specific_users", "value": {"users": ["a", "b"], "min_votes": 1}},
        _users("a") | {"optional": True},
        *(_of(shape) for shape in ("all_of", "any_of", "k_of")),
        *({"type": shape} for shape in ("all_of", "any_of", "k_of")),
        *({"type": shape, "value": {"of": _ONE}} for shape in ("all_of", "any_of", "k_of")),
        *(_of(shape, _of("any_of")) for shape in ("all_of", "any_of")),
        *(_of("k_of", _ONE, _ONE, k=k) for k in (0, -1, 3, 1.0, "1", True, None)),
        _of("k_of", _ONE),
        _of("k_of", k=0),
        _of("k_of", _ONE, k=1, optional=True),
        _of("any_of", _ONE, k=1),
        _of("any_of", _ONE, {"type": "none"}),
        _of("all_of", {"type": "none"}),
        _of("any_of", _ONE) | {"optional": True},
    ],
)
def test_nothing_zero_empty_omitted_or_unknown_is_a_quorum_nor_a_part_of_one(document: Any, within: str) -> None:
    more = {"k": 1} if within == "k_of" else {}
    whole = document if within == "nothing" else _of(within, _ONE, document, **more)
    with pytest.raises(ValueError, match=r"."):
        quorum_tree.parse(whole)


def test_a_quorum_is_nested_four_deep_and_no_deeper() -> None:
    deepest = _of("all_of", _of("all_of", _of("all_of", _ONE)))
    assert quorum_tree.parse(deepest) is not None
    with pytest.raises(ValueError, match="at most 4 deep"):
        quorum_tree.parse(_of("all_of", deepest))


def test_a_quorum_can_be_filled_in_64_ways_and_no_more() -> None:
    eight = [_ONE] * 8
    assert quorum_tree.parse(_of("any_of", *[_of("any_of", *eight)] * 8)) is not None
    for seventy in (_of("k_of", *eight, k=4), _of("any_of", _of("k_of", *eight, k=4))):
        with pytest.raises(ValueError, match="in 70 ways"):
            quorum_tree.parse(seventy)


@pytest.mark.parametrize("share", [0.01, 0.5, 1])
def test_a_share_of_a_role_that_nobody_holds_is_somebody_and_out_of_reach(share: float) -> None:
    parsed = quorum_tree.parse(_share(share, "finance_ops"))
    tree = quorum_tree.freeze(parsed, directory({}), NOW)
    assert tree is not None
    decision = decide(tree, {})
    assert (decision.verdict, decision.missing) == ("pending", ("1 more of finance_ops",))
    assert decision.out_of_reach == decision.missing


@pytest.mark.parametrize("tree", [{"node": "k_of", "k": 0}, {"node": "k_of", "k": 2}, {"node": "need", "count": 0}])
def test_a_tree_that_nobody_or_nothing_could_fill_is_refused(tree: dict[str, Any]) -> None:
    people = {"role": "a"}
    whole = tree | ({"people": people} if tree["node"] == "need" else {"children": [_need_json(people)]})
    with pytest.raises(ValueError, match=r"."):
        TypeAdapter(Tree).validate_python(whole)


def _need_json(people: Any) -> dict[str, Any]:
    return {"node": "need", "count": 1, "people": people}


@pytest.mark.parametrize(
    ("ratio", "approve", "reject", "abstain", "expected"),
    [
        ("0.60", 1, 0, 0, "pending"),
        ("0.60", 2, 0, 0, "approved"),
        ("0.60", 2, 0, 5, "approved"),
        ("0.60", 1, 0, 5, "pending"),
        ("0.60", 0, 0, 5, "pending"),
        ("0.60", 3, 2, 0, "approved"),
        ("0.60", 2, 2, 0, "pending"),
        ("0.60", 2, 3, 0, "pending"),  # 0.4 is not below 0.4
        ("0.60", 1, 2, 0, "rejected"),
        ("0.60", 0, 1, 0, "pending"),
        ("0.60", 0, 1, 9, "pending"),
        ("0.60", 0, 2, 0, "rejected"),
        ("0.5", 2, 2, 0, "approved"),
        ("0.5", 1, 1, 0, "pending"),
        ("0.5", 1, 2, 0, "rejected"),
        ("0.66", 2, 1, 0, "approved"),
        ("0.67", 2, 1, 0, "pending"),
        ("0.66", 1, 2, 0, "rejected"),  # 0.3333 < 0.34
        ("0.67", 1, 2, 0, "pending"),  # 0.3333 is not below 0.33
        ("0.75", 3, 1, 0, "approved"),
        ("0.75", 2, 1, 0, "pending"),
        ("0.75", 1, 3, 0, "pending"),
        ("0.75", 1, 4, 0, "rejected"),
        ("1", 2, 0, 3, "approved"),
        ("1", 9, 1, 0, "rejected"),
        ("1", 0, 1, 0, "rejected"),
        ("1", 1, 0, 0, "pending"),
    ],
)
def test_the_ratio_is_compared_exactly(ratio: str, approve: int, reject: int, abstain: int, expected: str) -> None:
    assert finance(approve, reject, abstain, ratio=ratio) == expected


@given(approve=st.integers(0, 9), reject=st.integers(0, 9), hundredths=st.integers(50, 99), need=st.integers(1, 4))
def test_the_ratio_rule_is_the_one_of_whole_numbers(approve: int, reject: int, hundredths: int, need: int) -> None:
    decided = approve + reject
    if approve >= need and 100 * approve >= hundredths * decided:
        expected = "approved"
    elif decided >= need and 100 * approve < (100 - hundredths) * decided:
        expected = "rejected"
    else:
        expected = "pending"
    assert finance(approve, reject, need=need, ratio=f"0.{hundredths}") == expected


def test_who_is_not_eligible_counts_for_nothing_on_either_side() -> None:
    roles = {"f1": ["finance_ops"], "p1": ["pay_admin"], "p2": ["pay_admin"], "p3": ["pay_admin"], "c1": ["cfo"]}
    ineligible = {"p1": "approve", "p2": "reject", "p3": "reject", "c1": "reject", "stranger": "reject"}
    decision = decide(TWO_OF_FINANCE, roles, f1="approve", **ineligible)
    assert (decision.verdict, decision.tally.votes_approve, decision.tally.votes_reject) == ("pending", 1, 0)
    assert decision.missing == ("1 more of finance_ops",)


def test_abstentions_are_among_all_votes_and_not_in_the_ratio() -> None:
    choices = {"f1": "approve", "f2": "approve", "f3": "reject", "f4": "abstain"}
    tally = decide(TWO_OF_FINANCE, {person: ["finance_ops"] for person in choices}, **choices).tally
    assert (tally.votes_total, tally.approval_ratio) == (4, Decimal("0.6667"))


def test_who_is_excluded_counts_for_nothing() -> None:
    roles = {"f1": ["finance_ops"], "f2": ["finance_ops"]}
    requirement = Requirement(tree=TWO_OF_FINANCE, required_ratio=Decimal("0.6"), excluded=("f2",))
    decision = quorum.decide(requirement, votes(roles, f1="approve", f2="approve"), directory(roles), NOW)
    assert (decision.verdict, decision.tally.votes_total) == ("pending", 1)
    electorate = requirement.electorate(directory(roles), NOW)
    assert [electorate.kept_out_by(person) for person in ("F2", "f2", "f1")] == ["F2", "f2", None]


@pytest.mark.parametrize(
    "held", [{}, {"f1": ["finance_ops"]}, {"f1": ["finance_ops"], "f2": ["cfo"]}], ids=["none", "one", "another"]
)
def test_a_role_lost_since_the_vote_counts_for_nothing(held: dict[str, list[str]]) -> None:
    then = {"f1": ["finance_ops"], "f2": ["finance_ops"]}
    requirement = Requirement(tree=TWO_OF_FINANCE, required_ratio=Decimal("0.6"))
    cast = votes(then, f1="approve", f2="approve")
    assert quorum.decide(requirement, cast, directory(then), NOW).verdict == "approved"
    assert quorum.decide(requirement, cast, directory(held), NOW).verdict == "pending"
    later = directory(then, starts_at=NOW + timedelta(seconds=1))
    assert quorum.decide(requirement, cast, later, NOW).verdict == "pending"


def test_a_role_won_since_the_vote_or_that_the_key_may_not_speak_for_counts_for_nothing() -> None:
    cast = [CountedVote(person, Choice.APPROVE, frozenset({"cfo"})) for person in ("f1", "f2")]
    roles = {"f1": ["finance_ops", "cfo"], "f2": ["finance_ops", "cfo"]}
    requirement = Requirement(tree=TWO_OF_FINANCE, required_ratio=Decimal("0.6"))
    assert quorum.decide(requirement, cast, directory(roles), NOW).tally.votes_total == 0


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (2, 2), (3, 2), (5, 3), (6, 4), (10, 6)])
def test_a_percentage_is_rounded_up_in_decimals(size: int, expected: int) -> None:
    assert quorum_tree.share_of(Decimal("0.6"), size) == expected
    tree = quorum_tree.parse(_share(0.6, [f"user-{number}" for number in range(size)]))
    assert isinstance(tree, Need)
    assert tree.count == expected


def test_what_is_not_said_opens_nothing() -> None:
    asked = Requirement(tree=None, required_ratio=Decimal("0.5"))
    assert (asked.steps_reached, asked.steps, asked.break_glass, asked.excluded, asked.veto_roles) == (
        0,
        (),
        None,
        (),
        (),
    )
    assert not CountedVote("p1", Choice.APPROVE, frozenset({"finance_ops"})).breaks_glass
    assert not Tally().quorum_satisfied


@pytest.mark.parametrize("ratio", ["0.49", "0", "-1", "1.01"])
def test_a_requirement_with_another_ratio_than_from_one_half_to_one_is_an_error(ratio: str) -> None:
    with pytest.raises(ValueError, match="required_ratio"):
        Requirement(tree=None, required_ratio=Decimal(ratio))


def test_the_content_that_people_vote_on_is_all_that_is_frozen() -> None:
    assert {"params", "requirement", "created_by", "action_type_version", "policy_version"} <= set(FROZEN)
    assert "body_sha256" not in FROZEN


@pytest.mark.parametrize(
    ("ratio", "choices", "reason"),
    [
        ("0.6", {"f1": "approve", "f2": "approve"}, "quorum_and_ratio_reached"),
        ("0.6", {"f1": "reject", "f2": "reject"}, "quorum_voted_against"),
        ("1", {"f1": "reject"}, "unanimity_required"),
        ("0.6", {"f1": "approve"}, "votes_missing"),
    ],
)
def test_a_decision_says_why(ratio: str, choices: dict[str, str], reason: str) -> None:
    assert (
        decide(TWO_OF_FINANCE, dict.fromkeys(("f1", "f2", "f3"), ("finance_ops",)), ratio, **choices).reason == reason
    )
