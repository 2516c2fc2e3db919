"""The quorum tree: who must agree, as two kinds of nodes, and whether a set of people fills it.

`Need(count, people)` asks for that many distinct people out of a role or a list; `KOf(k, children)` asks for that many of
its children, filled by different people. One person fills one seat. The spec's notations parse to it.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import combinations, product
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.directory import Directory

_DEEPEST = 4
MOST_WAYS = 64
"""In how many ways a quorum can be filled at most: each is tried at every vote, which must stay a matter of milliseconds."""

ANY_ROLE = "*"
"""In `CountedVote.roles`: the key that carried the vote may speak for any role, and so for people named one by one."""


def _one_spelling(name: str) -> str:
    """Refuse what looks like another name and is not: two spellings of one person must not be two people."""
    if name != name.strip() or not name.isprintable() or not unicodedata.is_normalized("NFKC", name):
        raise ValueError("a name has no spaces around it, no control characters, and the composed form (Unicode NFKC)")
    return name


Name = Annotated[str, Field(min_length=1, max_length=200, strict=True), AfterValidator(_one_spelling)]

RoleName = Annotated[Name, Field(pattern=r"^[^*]+$")]
"""A role; no name has a star, so that nobody can hold what `ANY_ROLE` says of a key."""


class Frozen(BaseModel):
    """A part of a requirement: it never changes, and has no field that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class People(Frozen):
    """The holders of a role, or people named one by one; exactly one of the two."""

    role: RoleName | None = None
    ids: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.role is None) == (not self.ids):
            raise ValueError("people are either the holders of a role or a list of at least one id")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("a person is named twice; each can fill one seat only")
        return self

    def include(self, person: str, roles: Iterable[str]) -> bool:
        """Whether a person with these usable roles may take a seat here."""
        usable = frozenset(roles)
        return self.role in usable if self.role else person in self.ids and ANY_ROLE in usable

    def __str__(self) -> str:
        return self.role or _enumerated(self.ids, "or")


def _enumerated(names: Sequence[str], last: str) -> str:
    """Names as people list them: `ana, bob or eve`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


class Need(Frozen):
    """`count` distinct people; with `share`, at least that part of the pool as it was at creation and as it is now."""

    node: Literal["need"] = "need"
    count: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    people: People
    share: Annotated[Decimal, Field(gt=0, le=1)] | None = None

    def count_now(self, directory: Directory, now: datetime) -> int:
        """The number of people needed now; never fewer than at creation."""
        if self.share is None or self.people.role is None:
            return self.count
        return max(self.count, share_of(self.share, len(directory.holders(self.people.role, now))))


class KOf(Frozen):
    """`k` of the children must be filled, each by different people."""

    node: Literal["k_of"] = "k_of"
    k: Annotated[int, Field(ge=1, strict=True)]
    children: Annotated[tuple["Tree", ...], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.k > len(self.children):
            raise ValueError(f"{self.k} of {len(self.children)} can never be filled")
        return self


Tree = Annotated[Need | KOf, Field(discriminator="node")]


def parse(document: Any) -> Tree | None:
    """The tree for a `required_quorum` as the spec writes it; `{"type": "none"}` gives None.

    Shapes: role, percentage (of a list or a role), specific_users, and all_of, any_of and k_of of other shapes, filled by
    different people. Raises ValueError (pydantic's ValidationError is
    one) for anything else, for zero counts and for empty lists: an omitted threshold must never fail open.
    """
    if document == {"type": "none"}:
        return None
    tree = _parse(document, depth=1)
    if (found := ways(tree)) > MOST_WAYS:
        raise ValueError(f"the quorum could be filled in {found} ways; at most {MOST_WAYS} are weighed")
    return tree


def both(tree: Tree | None, other: Tree | None) -> Tree | None:
    """A tree that is filled when both are, by different people; None asks for nothing."""
    if tree is None or other is None:
        return tree or other
    return KOf(k=2, children=(tree, other))


def ways(tree: Tree | None) -> int:
    """How many lists of seats fill the tree: each of them is tried at a decision."""
    if not isinstance(tree, KOf):
        return 1
    found = [1] + [0] * tree.k  # by the number of children chosen so far
    for child in tree.children:
        of_child = ways(child)
        for chosen in range(tree.k, 0, -1):
            found[chosen] += found[chosen - 1] * of_child
    return found[tree.k]


def _parse(document: Any, depth: int) -> Tree:
    if depth > _DEEPEST:
        raise ValueError(f"a quorum is nested at most {_DEEPEST} deep")
    match document:
        case {"type": "all_of" | "any_of" | "k_of" as shape, "value": {"of": [*parts], **k}, **rest} if not rest:
            children = tuple(_parse(part, depth + 1) for part in parts)
            return KOf(k=_how_many(shape, k, len(children)), children=children)
        case {"type": "role", "value": {"role": role, "min_votes": count, **extra}, **rest} if not rest and not extra:
            return Need(count=_seats(count), people=People(role=role))
        case {"type": "specific_users", "value": {"users": [*users], **extra}, **rest} if not rest and not extra:
            return Need(count=len(users), people=People(ids=tuple(users)))
        case {"type": "percentage", "value": {"percentage": share, "pool": pool, **extra}, **rest} if (
            not rest and not extra
        ):
            return _share_of_pool(share, pool)
    raise ValueError(
        "required_quorum must be a role, percentage, specific_users, all_of, any_of or k_of quorum with all its fields, "
        "or {'type': 'none'}"
    )


def _seats(count: Any) -> int:
    if type(count) is not int or count < 1:
        raise ValueError("min_votes must be a whole number of at least 1")
    return count


def _how_many(shape: str, given: dict[Any, Any], parts: int) -> int:
    match shape, given:
        case "all_of", {} if not given:
            return parts
        case "any_of", {} if not given:
            return 1
        case "k_of", {"k": int(k)} if len(given) == 1 and not isinstance(k, bool):
            return k
    raise ValueError(f"{shape} has the fields of{' and k' if shape == 'k_of' else ''}, and nothing else")


def _share_of_pool(share: Any, pool: Any) -> Need:
    if isinstance(share, bool) or not isinstance(share, int | float | Decimal):
        raise ValueError("percentage must be a number above 0 and at most 1")  # noqa: TRY004 - pydantic reads ValueError
    exact = Decimal(str(share))
    if isinstance(pool, str):
        return Need(count=1, people=People(role=pool), share=exact)
    if not isinstance(pool, list):
        raise ValueError("pool must be a list of ids or the name of a role")  # noqa: TRY004 - as above
    people = People(ids=tuple(pool))
    return Need(count=share_of(Need(count=1, people=people, share=exact).share or exact, len(pool)), people=people)


def in_words(tree: Tree | None) -> str:
    """The tree as a person says it: `2 of finance_ops`, `ana and bob`, `one of (…; …)`."""
    match tree:
        case Need(share=None) if tree.count == len(tree.people.ids):
            return _enumerated(tree.people.ids, "and")
        case Need(share=None):
            return f"{tree.count} of {tree.people}"
        case Need():
            return f"{tree.share} of all {tree.people}"
        case KOf(children=(only,)):
            return in_words(only)
        case KOf():
            count = {len(tree.children): "all", 1: "one"}.get(tree.k, str(tree.k))
            return f"{count} of ({'; '.join(in_words(child) for child in tree.children)})"
    return "nobody"


def pool_roles(tree: Tree | None) -> frozenset[str]:
    """Roles whose number of holders the tree depends on."""
    return frozenset(need.people.role for need in needs(tree) if need.share is not None and need.people.role)


def share_of(share: Decimal, pool_size: int) -> int:
    """How many people a share of a pool is: rounded up, at least one."""
    return max(1, ceil(share * pool_size))


def freeze(tree: Tree | None, directory: Directory, now: datetime) -> Tree | None:
    """The tree with the size of its pools as they are now: what an action keeps from its creation on."""
    match tree:
        case Need():
            return tree.model_copy(update={"count": tree.count_now(directory, now)})
        case KOf():
            frozen = (freeze(child, directory, now) for child in tree.children)
            return tree.model_copy(update={"children": tuple(child for child in frozen if child is not None)})
    return None


def needs(tree: Tree | None) -> Iterator[Need]:
    """The leaves of a tree."""
    match tree:
        case Need():
            yield tree
        case KOf():
            for child in tree.children:
                yield from needs(child)


Seats = dict[People, int]
"""How many seats there are for which people."""


def seatings(tree: Tree, directory: Directory, now: datetime) -> Iterator[Seats]:
    """Every way to fill the tree, as the seats it takes."""
    match tree:
        case Need():
            yield {tree.people: tree.count_now(directory, now)}
        case KOf():
            for chosen in combinations(tree.children, tree.k):
                for parts in product(*(tuple(seatings(child, directory, now)) for child in chosen)):
                    seats: Counter[People] = Counter()
                    for part in parts:
                        seats.update(part)
                    yield dict(seats)


def fewest(tree: Tree, directory: Directory, now: datetime) -> int:
    """The smallest number of people who fill the tree."""
    return min(sum(seats.values()) for seats in seatings(tree, directory, now))
