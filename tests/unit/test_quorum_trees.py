"""Seats, pools and escalation steps: who fills a quorum tree, and what waiting changes."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import quorum, quorum_tree
from domain.directory import Directory, Grant
from domain.quorum import Choice, CountedVote
from domain.quorum_tree import ANY_ROLE, KOf, Need, People, Tree
from domain.requirement import EscalationStep, Requirement

NOW = datetime(2025, 11, 12, 10, tzinfo=UTC)
PEOPLE = ("p0", "p1", "p2", "p3", "p4")
ROLES = ("a", "b", "cfo")
CHOICES = [Choice.APPROVE, Choice.REJECT, Choice.ABSTAIN, Choice.WITHDRAW]

POOLS = st.sampled_from(ROLES).map(lambda role: People(role=role)) | st.lists(
    st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True
).map(lambda ids: People(ids=tuple(ids)))
NEEDS: st.SearchStrategy[Tree] = st.builds(Need, count=st.integers(1, 3), people=POOLS)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    children = draw(st.lists(NEEDS, min_size=1, max_size=3))
    return KOf(k=draw(st.integers(1, len(children))), children=tuple(children))


ELECTORATES = st.dictionaries(st.sampled_from(PEOPLE), st.frozensets(st.sampled_from(ROLES)))
VOTES = st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(CHOICES))
RATIOS = st.sampled_from(["0.5", "0.6", "0.66", "0.75", "1"]).map(Decimal)


def directory(roles: Mapping[str, Iterable[str]]) -> Directory:
    grants = (Grant(person, role, NOW) for person, held in roles.items() for role in held)
    return Directory.of(grants, people=PEOPLE)


def cast(roles: Mapping[str, Iterable[str]], choices: Mapping[str, str]) -> list[CountedVote]:
    return [
        CountedVote(person, Choice(choice), frozenset(roles.get(person, ())) | {ANY_ROLE})
        for person, choice in choices.items()
    ]


def requirement(tree: Tree, ratio: Decimal, min_votes: int | None = None, steps: int = 0) -> Requirement:
    step = EscalationStep(role="cfo", min_votes=min_votes, timeout_seconds=60)
    return Requirement(tree=tree, required_ratio=ratio, escalation=(step,), steps_reached=steps)


def decide(tree: Tree, roles: Mapping[str, Iterable[str]], choices: Mapping[str, str], **more: Any) -> tuple[str, str]:
    asked = requirement(tree, Decimal(more.pop("ratio", "0.6")), **more)
    decision = quorum.decide(asked, cast(roles, choices), directory(roles), NOW)
    return decision.verdict.value, decision.reason


def fills(tree: Tree, roles: Mapping[str, Iterable[str]], present: Iterable[str]) -> bool:
    """By trying every seat with every person: slow, and plainly right."""
    children = [tree] if isinstance(tree, Need) else [child for child in tree.children if isinstance(child, Need)]
    for chosen in combinations(children, 1 if isinstance(tree, Need) else tree.k):
        seats = [need.people for need in chosen for _ in range(need.count)]
        for seated in permutations(present, len(seats)):
            if all(
                person in pool.ids or pool.role in set(roles.get(person, ()))
                for pool, person in zip(seats, seated, strict=True)
            ):
                return True
    return False


@given(tree=NEEDS | trees(), roles=ELECTORATES, approving=st.frozensets(st.sampled_from(PEOPLE)))
def test_seats_are_given_to_different_people_as_trying_everything_would(
    tree: Tree, roles: dict[str, frozenset[str]], approving: frozenset[str]
) -> None:
    asked = requirement(tree, Decimal("0.6"))
    decision = quorum.decide(asked, cast(roles, dict.fromkeys(approving, "approve")), directory(roles), NOW)
    assert decision.tally.quorum_satisfied is fills(tree, roles, approving)
    assert (decision.verdict == "approved") is decision.tally.quorum_satisfied


def test_one_person_with_two_roles_fills_one_seat() -> None:
    both = KOf(k=2, children=(Need(count=1, people=People(role="a")), Need(count=1, people=People(role="b"))))
    assert decide(both, {"p0": ["a", "b"]}, {"p0": "approve"})[0] == "pending"
    assert decide(both, {"p0": ["a", "b"], "p1": ["a"]}, {"p0": "approve", "p1": "approve"})[0] == "approved"
    assert decide(both, {"p0": ["a", "b"], "p1": ["a"]}, {"p1": "approve", "p0": "approve"})[0] == "approved"


@given(tree=NEEDS | trees(), roles=ELECTORATES, choices=VOTES, ratio=RATIOS, steps=st.integers(0, 1), data=st.data())
def test_the_order_of_votes_and_their_repetition_change_nothing(
    tree: Tree,
    roles: dict[str, frozenset[str]],
    choices: dict[str, str],
    ratio: Decimal,
    steps: int,
    data: st.DataObject,
) -> None:
    asked = requirement(tree, ratio, steps=steps)
    once = cast(roles, choices)
    again = data.draw(st.permutations([*once, *once[:2]]))
    assert quorum.decide(asked, again, directory(roles), NOW) == quorum.decide(asked, once, directory(roles), NOW)


@given(tree=NEEDS | trees(), roles=ELECTORATES, choices=VOTES, ratio=RATIOS, steps=st.integers(0, 1))
def test_one_more_approval_never_undoes_approved(
    tree: Tree, roles: dict[str, frozenset[str]], choices: dict[str, str], ratio: Decimal, steps: int
) -> None:
    asked = requirement(tree, ratio, steps=steps)
    if quorum.decide(asked, cast(roles, choices), directory(roles), NOW).verdict != "approved":
        return
    for person in PEOPLE:
        more = cast(roles, choices | {person: "approve"})
        assert quorum.decide(asked, more, directory(roles), NOW).verdict == "approved"


@given(tree=NEEDS | trees(), roles=ELECTORATES, choices=VOTES, ratio=RATIOS, steps=st.integers(0, 1))
def test_a_withdrawn_vote_is_as_if_it_had_not_been_cast(
    tree: Tree, roles: dict[str, frozenset[str]], choices: dict[str, str], ratio: Decimal, steps: int
) -> None:
    asked = requirement(tree, ratio, steps=steps)
    kept = {person: choice for person, choice in choices.items() if choice != "withdraw"}
    with_them, without = (
        quorum.decide(asked, cast(roles, given_), directory(roles), NOW) for given_ in (choices, kept)
    )
    assert with_them == without


def test_of_specific_users_all_must_approve() -> None:
    tree = Need(count=2, people=People(ids=("p0", "p1")))
    assert decide(tree, {}, {"p0": "approve", "p2": "approve"})[0] == "pending"
    assert decide(tree, {}, {"p0": "approve", "p1": "approve"})[0] == "approved"


def test_who_has_left_fills_no_seat_not_even_by_name() -> None:
    asked = requirement(Need(count=1, people=People(ids=("p0",))), Decimal("0.6"))
    voted = cast({}, {"p0": "approve"})
    assert quorum.decide(asked, voted, Directory.of((), people=["p0"]), NOW).verdict == "approved"
    assert quorum.decide(asked, voted, Directory.of((), people=["p1"]), NOW).verdict == "pending"


def test_a_key_that_may_not_speak_for_everybody_may_not_for_people_named_one_by_one() -> None:
    asked = requirement(Need(count=1, people=People(ids=("p0",))), Decimal("0.6"))
    bound = [CountedVote("p0", Choice.APPROVE, frozenset({"a"}))]
    assert quorum.decide(asked, bound, directory({"p0": ["a"]}), NOW).verdict == "pending"
    assert not asked.electorate(directory({}), NOW).seats("p0", frozenset({"a"}))
    assert asked.electorate(directory({}), NOW).seats("p0", frozenset({ANY_ROLE}))


def test_a_key_that_may_speak_for_everybody_gives_nobody_a_role() -> None:
    assert decide(Need(count=1, people=People(role="a")), {}, {"p0": "approve"})[0] == "pending"


def test_a_share_of_a_role_grows_with_the_role_and_never_shrinks_below_its_beginning() -> None:
    half = Need(count=1, people=People(role="a"), share=Decimal("0.5"))
    four = {person: ["a"] for person in PEOPLE[:4]}
    frozen = quorum_tree.freeze(half, directory(four), NOW)
    assert isinstance(frozen, Need)
    assert frozen.count == 2
    approvals = {"p0": "approve", "p1": "approve"}
    assert decide(frozen, four, approvals)[0] == "approved"
    assert decide(frozen, four | {"p4": ["a"]}, approvals)[0] == "pending"  # ceil(0.5 × 5) = 3
    assert decide(frozen, {"p0": ["a"]}, {"p0": "approve"})[0] == "pending"
    assert quorum_tree.pool_roles(frozen) == {"a"}


def test_a_share_of_a_role_is_frozen_inside_a_tree_too() -> None:
    half = Need(count=1, people=People(role="a"), share=Decimal("0.5"))
    frozen = quorum_tree.freeze(KOf(k=1, children=(half,)), directory({person: ["a"] for person in PEOPLE}), NOW)
    assert frozen == KOf(k=1, children=(half.model_copy(update={"count": 3}),))


def test_a_share_of_a_role_grows_with_the_role_inside_a_tree_too() -> None:
    half = Need(count=1, people=People(role="a"), share=Decimal("0.5"))
    tree = KOf(k=1, children=(half,))
    three = {person: ["a"] for person in PEOPLE[:3]}
    assert quorum_tree.fewest(tree, directory(three), NOW) == 2
    assert decide(tree, three, {"p0": "approve"})[0] == "pending"
    assert decide(tree, three, {"p0": "approve", "p1": "approve"})[0] == "approved"


@pytest.mark.parametrize("holders", [5, 1000, 2000])
def test_a_frozen_requirement_can_be_read_back_however_large_the_role(holders: int) -> None:
    share = quorum_tree.parse({"type": "percentage", "value": {"percentage": 0.6, "pool": "a"}})
    tree = quorum_tree.freeze(share, directory({f"p{number}": ["a"] for number in range(holders)}), NOW)
    asked = Requirement(tree=tree, required_ratio=Decimal("0.6"))
    assert Requirement.model_validate(asked.model_dump(mode="json")) == asked


def test_a_thousand_votes_are_counted_without_ado() -> None:
    roles = {f"p{number}": ["a"] for number in range(1000)}
    tree = Need(count=1000, people=People(role="a"))
    assert decide(tree, roles, dict.fromkeys(roles, "approve"))[0] == "approved"


STEP_ROLES = {"p0": ["a"], "p1": ["a"], "p2": ["a"], "p3": ["cfo"], "p4": ["cfo"]}
TWO = Need(count=2, people=People(role="a"))


@pytest.mark.parametrize(
    ("choices", "min_votes", "expected"),
    [
        ({"p3": "approve"}, None, ("pending", "votes_missing")),
        ({"p3": "approve", "p4": "approve"}, None, ("approved", "escalation_approved:cfo")),
        ({"p0": "approve", "p3": "approve"}, None, ("approved", "escalation_approved:cfo")),
        ({"p0": "approve", "p1": "approve"}, None, ("approved", "quorum_and_ratio_reached")),
        ({"p3": "approve"}, 1, ("approved", "escalation_approved:cfo")),
        ({"p0": "approve"}, 1, ("pending", "votes_missing")),
        ({"p3": "approve", "p4": "approve"}, 3, ("pending", "votes_missing")),
        ({"p0": "approve", "p3": "approve", "p4": "approve"}, 3, ("approved", "escalation_approved:cfo")),
        ({"p0": "approve", "p3": "approve", "p4": "reject"}, None, ("pending", "votes_missing")),
        ({"p3": "reject"}, None, ("rejected", "escalation_rejected:cfo")),
        ({"p0": "approve", "p3": "reject"}, None, ("rejected", "escalation_rejected:cfo")),
        ({"p0": "reject", "p3": "abstain"}, None, ("pending", "votes_missing")),
        ({"p0": "reject", "p1": "reject"}, None, ("rejected", "quorum_voted_against")),
    ],
)
def test_a_step_that_was_reached_decides_beside_the_tree(
    choices: dict[str, str], min_votes: int | None, expected: tuple[str, str]
) -> None:
    assert decide(TWO, STEP_ROLES, choices, min_votes=min_votes, steps=1) == expected


@given(tree=NEEDS | trees(), roles=ELECTORATES, choices=VOTES, ratio=RATIOS)
def test_waiting_never_makes_it_take_fewer_people(
    tree: Tree, roles: dict[str, frozenset[str]], choices: dict[str, str], ratio: Decimal
) -> None:
    decision = quorum.decide(requirement(tree, ratio, steps=1), cast(roles, choices), directory(roles), NOW)
    children = [tree] if isinstance(tree, Need) else [child for child in tree.children if isinstance(child, Need)]
    fewest = sum(sorted(need.count for need in children)[: 1 if isinstance(tree, Need) else tree.k])
    if decision.verdict == "approved":
        assert decision.tally.votes_approve >= fewest


def test_a_step_takes_as_many_as_the_smallest_way_to_fill_the_tree() -> None:
    either = KOf(k=1, children=(Need(count=3, people=People(role="b")), TWO))
    assert decide(either, STEP_ROLES, {"p0": "approve", "p1": "approve"})[1] == "quorum_and_ratio_reached"
    assert decide(either, STEP_ROLES, {"p0": "approve", "p3": "approve"}, steps=1)[0] == "approved"
    assert decide(either, STEP_ROLES, {"p3": "approve"}, steps=1)[0] == "pending"


def test_a_step_that_was_not_reached_gives_no_seat() -> None:
    assert decide(TWO, STEP_ROLES, {"p3": "approve", "p4": "approve"}, steps=0)[0] == "pending"
    asked = requirement(TWO, Decimal("0.6"))
    for steps, expected in ((0, False), (1, True)):
        reached = asked.model_copy(update={"steps_reached": steps})
        assert reached.electorate(directory({}), NOW).seats("p3", frozenset({"cfo"})) is expected


def test_where_nobody_need_approve_it_is_approved_at_once() -> None:
    asked = Requirement(tree=None, required_ratio=Decimal("0.6"))
    decision = quorum.decide(asked, [], directory({}), NOW)
    assert (decision.verdict, decision.reason) == ("approved", "no_approval_required")
    tally = decision.tally
    assert (tally.quorum_satisfied, tally.votes_total, tally.approval_ratio) == (True, 0, Decimal(0))


def _role(role: str, least: int = 1) -> dict[str, Any]:
    return {"type": "role", "value": {"role": role, "min_votes": least}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (_role("ops", 2), "2 of ops"),
        ({"type": "percentage", "value": {"percentage": 0.6, "pool": "ops"}}, "0.6 of all ops"),
        ({"type": "percentage", "value": {"percentage": 0.6, "pool": ["ana", "bob", "eve"]}}, "2 of ana, bob or eve"),
        ({"type": "specific_users", "value": {"users": ["ceo"]}}, "ceo"),
        ({"type": "specific_users", "value": {"users": ["ceo", "cfo", "cto"]}}, "ceo, cfo and cto"),
        ({"type": "all_of", "value": {"of": [_role("a"), _role("b")]}}, "all of (1 of a; 1 of b)"),
        ({"type": "any_of", "value": {"of": [_role("a"), _role("b")]}}, "one of (1 of a; 1 of b)"),
        (
            {"type": "k_of", "value": {"k": 2, "of": [_role("a"), _role("b"), _role("c")]}},
            "2 of (1 of a; 1 of b; 1 of c)",
        ),
        ({"type": "any_of", "value": {"of": [_role("a", 3)]}}, "3 of a"),
        ({"type": "none"}, "nobody"),
    ],
)
def test_a_quorum_is_told_as_people_say_it(document: dict[str, Any], words: str) -> None:
    assert quorum_tree.in_words(quorum_tree.parse(document)) == words


def test_people_who_are_missing_are_named_as_people_say_it() -> None:
    tree = quorum_tree.parse({"type": "specific_users", "value": {"users": ["p0", "p1", "p2"]}})
    requirement = Requirement(tree=tree, required_ratio=Decimal(1))
    assert quorum.decide(requirement, [], directory({}), NOW).missing == ("3 more of p0, p1 or p2",)


def test_an_escalation_step_is_told_with_the_votes_it_takes_in_all() -> None:
    steps = [EscalationStep(role="cfo", min_votes=votes, timeout_seconds=60) for votes in (None, 2)]
    assert [str(step) for step in steps] == ["cfo", "cfo (votes in all: 2)"]
