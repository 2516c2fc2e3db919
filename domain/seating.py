"""Whether those who vote alike can take the seats of a quorum: one person, one voice, one seat.

A voter speaks for themselves or for somebody for whom they may act, never for both at once; a person is spoken for once,
whoever does it; and takes one seat. So each vote is a way from a voter through a person to a seat, and how many votes find
one is a maximum flow.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from domain.quorum_tree import People, Seats

Voice = Mapping[str, frozenset[str]]
"""Whom a voter may speak for, themselves among them, with the roles that count for each."""

Voices = Mapping[str, Voice]
"""Voters who vote alike."""


def fills(ways: Sequence[Seats], voices: Voices) -> bool:
    """Whether these voices can take every seat of one of the ways."""
    return any(sum(seats.values()) <= len(voices) and not unfilled(seats, voices) for seats in ways)


def unfilled(seats: Seats, voices: Voices) -> Seats:
    """The seats that stay empty when as many voices as can be are seated: the same ones in whatever order these come."""
    seating = _Seating(seats, voices)
    empty = sum(seats.values())
    for voter in sorted(voices):
        if empty == 0:
            break
        empty -= seating.seat(voter)
    taken = {kind: len(sitting) for kind, sitting in seating.sitting.items()}
    return {kind: count - taken[kind] for kind, count in seats.items() if taken[kind] < count}


def people_in(pools: Iterable[People], voices: Voices) -> int:
    """How many different people of these pools speak, or are spoken for: of two voices for one person one counts."""
    seating = _Seating(dict.fromkeys(pools, len(voices)), voices)
    return sum(seating.seat(voter) for voter in voices)


@dataclass(frozen=True, slots=True)
class _Voter:
    name: str


@dataclass(frozen=True, slots=True)
class _Person:
    """Where a voice for the person comes in; one at a time."""

    name: str


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where the person who is spoken for looks for a seat."""

    name: str


_Node = _Voter | _Person | _Standing | People


class _Seating:
    """A flow from voters through people to kinds of seats, made larger by augmenting paths, one voter at a time.

    The network: voter → person for each whom they may speak for, person → standing (the one arc of its own capacity that
    keeps two voices from speaking for one person), standing → kind for each kind of seat that is for the person, and as
    many ways out of a kind as it has seats. All other capacities are one.

    Why one search for each voter is enough: a search that fails has seen a set of nodes that no arc with capacity left
    leads out of, and no seat is free in it. A later path cannot pass through that set, as it could not leave it again; so
    its arcs stay as they are, its nodes stay dead (`_dead`), and this voter can never be seated beside those who are. When
    every voter was tried there is no augmenting path, and a flow without one is a largest one (Ford and Fulkerson).
    """

    def __init__(self, seats: Seats, voices: Voices) -> None:
        self.sitting: dict[People, dict[str, None]] = {kind: {} for kind in seats}
        self._seats = seats
        self._persons = {voter: sorted(voice) for voter, voice in voices.items()}
        self._roles = _roles(voices)
        self._speaker: dict[str, str] = {}
        self._dead: set[_Node] = set()

    def seat(self, voter: str) -> bool:
        """Seat one voter more, moving others where that makes room; those who sit already never lose their seat."""
        return self._take_a_free_seat(voter) or self._make_room(voter)

    def _take_a_free_seat(self, voter: str) -> bool:
        """The shortest of paths, which most voters find."""
        for person in self._persons[voter]:
            if person in self._speaker:
                continue
            for kind, count in self._seats.items():
                if len(self.sitting[kind]) < count and kind.include(person, self._roles[person]):
                    self._speaker[person] = voter
                    self.sitting[kind][person] = None
                    return True
        return False

    def _make_room(self, voter: str) -> bool:
        start = _Voter(voter)
        came_from: dict[_Node, _Node | None] = {start: None}
        queue: deque[_Node] = deque([start])
        while queue:
            node = queue.popleft()
            if isinstance(node, People) and len(self.sitting[node]) < self._seats[node]:
                self._move(_path(came_from, node))
                return True
            for onward in self._onward(node):
                if onward not in came_from and onward not in self._dead:
                    came_from[onward] = node
                    queue.append(onward)
        self._dead |= came_from.keys()
        return False

    def _onward(self, node: _Node) -> Iterator[_Node]:
        """Where capacity is left: along an arc that is not used, or back along one that is."""
        match node:
            case _Voter(name):
                yield from (_Person(person) for person in self._persons[name])
            case _Person(name):
                yield _Voter(self._speaker[name]) if name in self._speaker else _Standing(name)
            case _Standing(name):
                yield from (kind for kind in self._seats if kind.include(name, self._roles[name]))
                if name in self._speaker:
                    yield _Person(name)
            case People():
                yield from (_Standing(name) for name in self.sitting[node])

    def _move(self, path: Iterable[_Node]) -> None:
        for before, after in pairwise(path):
            match before, after:
                case _Voter(voter), _Person(name):
                    self._speaker[name] = voter
                case _Standing(name), People() as kind:
                    self.sitting[kind][name] = None
                case People() as kind, _Standing(name):
                    del self.sitting[kind][name]
                case _Standing(name), _Person():
                    del self._speaker[name]


def _path(came_from: Mapping[_Node, _Node | None], end: _Node) -> list[_Node]:
    path: list[_Node] = []
    node: _Node | None = end
    while node is not None:
        path.append(node)
        node = came_from[node]
    return path[::-1]


def _roles(voices: Voices) -> dict[str, frozenset[str]]:
    """The roles with which each person is spoken for: of several voices, those that all of them may use."""
    roles: dict[str, frozenset[str]] = {}
    for voice in voices.values():
        for person, usable in voice.items():
            roles[person] = roles.get(person, usable) & usable
    return roles
