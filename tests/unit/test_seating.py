"""Voters, those whom they may speak for, and seats: as many as can be are seated, as trying everything would."""

from collections.abc import Iterator
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.quorum_tree import ANY_ROLE, People, Seats
from domain.seating import Voices, fills, people_in, unfilled

A, B, C = (People(role=role) for role in "abc")
NAMED = People(ids=("p0", "p1", "v0", "v1"))
ROLES = st.frozensets(st.sampled_from(["a", "b", "c", ANY_ROLE]), min_size=1, max_size=3)
PERSONS = st.sampled_from(["p0", "p1", "p2", "p3"])
VOICES = st.dictionaries(
    st.sampled_from(["v0", "v1", "v2", "v3"]), st.dictionaries(PERSONS, ROLES, min_size=1, max_size=3), min_size=1
)
SEATS = st.dictionaries(st.sampled_from([A, B, C, NAMED]), st.integers(1, 2), min_size=1)


def people_spoken_for(voices: Voices) -> Iterator[dict[str, frozenset[str]]]:
    """Every set of people for whom these voters can speak, one each and nobody twice, with the roles of all who may."""
    for chosen in product(*([None, *voice] for voice in voices.values())):
        people = [person for person in chosen if person is not None]
        if len(set(people)) == len(people):
            yield {
                person: frozenset.intersection(*(voice[person] for voice in voices.values() if person in voice))
                for person in people
            }


def most_seated(seats: Seats, voices: Voices) -> int:
    every = [kind for kind, count in seats.items() for _ in range(count)]
    return max(_seated(every, list(people.items())) for people in people_spoken_for(voices))


def _seated(seats: list[People], people: list[tuple[str, frozenset[str]]]) -> int:
    """The first stands, or takes any of the seats; the others take what is left."""
    if not people:
        return 0
    (person, roles), *others = people
    sitting = (
        1 + _seated(seats[:number] + seats[number + 1 :], others)
        for number, seat in enumerate(seats)
        if seat.include(person, roles)
    )
    return max(_seated(seats, others), *sitting, 0)


@settings(deadline=None)
@given(voices=VOICES, seats=SEATS)
def test_as_many_are_seated_as_trying_everything_would(voices: Voices, seats: Seats) -> None:
    most = most_seated(seats, voices)
    assert sum(seats.values()) - sum(unfilled(seats, voices).values()) == most
    assert fills([seats], voices) is (most == sum(seats.values()))
    assert people_in(seats, voices) == most_seated(dict.fromkeys(seats, len(voices)), voices)


@pytest.mark.parametrize("order", list(permutations(range(2))))
@pytest.mark.parametrize(
    ("voices", "seats"),
    [
        # The first may sit on either seat, the second on one.
        ({"v0": {"v0": "ab"}, "v1": {"v1": "a"}}, {A: 1, B: 1}),
        # The first may speak for either person, the second for one.
        ({"v0": {"p0": "a", "p1": "a"}, "v1": {"p0": "a"}}, {A: 2}),
        # Whoever sits on the one seat for the second must be spoken for no more, and its voter speak for another.
        ({"v0": {"p0": "a", "p1": "b"}, "v1": {"v1": "a"}}, {A: 1, B: 1}),
        # The first may sit by name or by role, the second by name.
        ({"v0": {"v0": "b*"}, "v1": {"v1": "*"}}, {NAMED: 1, B: 1}),
    ],
)
def test_who_sits_makes_room_where_that_seats_one_more(
    voices: dict[str, dict[str, str]], seats: Seats, order: tuple[int, ...]
) -> None:
    ordered = [list(voices)[number] for number in order]
    told = {voter: {person: frozenset(roles) for person, roles in voices[voter].items()} for voter in ordered}
    assert fills([seats], told)
    assert unfilled(seats, told) == {}
    assert people_in(seats, told) == len(told)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_who_gave_up_a_person_for_another_speaks_for_that_one_alone(order: tuple[int, ...]) -> None:
    listed = [("v0", ["p0", "p1"]), ("v1", ["p0"]), ("v2", ["p1"])]
    voices = {voter: dict.fromkeys(people, frozenset("a")) for voter, people in (listed[number] for number in order)}
    assert people_in([A], voices) == 2
    assert unfilled({A: 3}, voices) == {A: 1}


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize(
    "voices",
    [
        # One may sit anywhere, two on the same seat.
        {"v0": {"v0": "abc"}, "v1": {"v1": "a"}, "v2": {"v2": "a"}},
        # One may speak for somebody on any seat, two for those of the same.
        {"v0": {"p0": "a", "p1": "b", "p2": "c"}, "v1": {"v1": "a"}, "v2": {"p0": "a"}},
    ],
)
def test_who_moves_leaves_nothing_behind(voices: dict[str, dict[str, str]], order: tuple[int, ...]) -> None:
    ordered = [list(voices)[number] for number in order]
    told = {voter: {person: frozenset(roles) for person, roles in voices[voter].items()} for voter in ordered}
    assert sum(unfilled({A: 1, B: 1, C: 1}, told).values()) == 1


def test_two_voices_for_one_person_are_one_and_have_the_roles_of_both() -> None:
    voices = {"v0": {"p0": frozenset("ab")}, "v1": {"p0": frozenset("b")}}
    assert people_in([A, B], voices) == 1
    assert not fills([{A: 1}], voices)
    assert fills([{B: 1}], voices)


def test_a_long_chain_of_people_who_act_for_one_another_is_moved_along() -> None:
    """Each may act for the next two; the last voter only for the first person."""
    voices = {f"v{n}": {f"p{n}": frozenset("a"), f"p{n + 1}": frozenset("a")} for n in range(2000)}
    voices["last"] = {"p0": frozenset("a")}
    assert unfilled({A: 2001}, voices) == {}


def _backwards(mapping: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(mapping.items()))


@settings(deadline=None)
@given(voices=VOICES, seats=SEATS)
def test_the_same_seats_stay_empty_in_whatever_order_voices_come(voices: dict[str, Any], seats: Seats) -> None:
    backwards = _backwards({voter: _backwards(voice) for voter, voice in voices.items()})
    assert unfilled(seats, backwards) == unfilled(seats, voices)
