"""Who holds which role or acts for whom, and since when: the engine's own view of the company's directory.

Roles come from here and never from the message of the person who claims them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that a person holds, or the right to act for somebody, from `starts_at` until just before `ends_at`.

    Exactly one of `role` and `acts_for` is there; `ends_at` None is for ever.
    """

    person: str
    role: str | None
    starts_at: datetime
    ends_at: datetime | None = None
    acts_for: str | None = None

    def held_at(self, at: datetime) -> bool:
        """Whether it is held at this moment."""
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)


@dataclass(frozen=True)
class Directory:
    """The grants that a decision looks at, and the people of the newest snapshot, with or without a role.

    `refused_at` says of whoever broke glass when others last refused to ratify that.
    """

    grants: tuple[Grant, ...] = ()
    people: frozenset[str] = frozenset()
    refused_at: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(
        cls, grants: Iterable[Grant], people: Iterable[str] = (), refused_at: Mapping[str, datetime] | None = None
    ) -> "Directory":
        """A directory of these grants and people, in any order."""
        return cls(tuple(grants), frozenset(people), refused_at or {})

    def refusing(self, person: str, at: datetime) -> "Directory":
        """The same directory, after others have just refused to ratify that the person broke glass."""
        return replace(self, refused_at={**self.refused_at, person: at})

    @cached_property
    def _by_person(self) -> dict[str, list[Grant]]:
        index: dict[str, list[Grant]] = {}
        for grant in self.grants:
            index.setdefault(grant.person, []).append(grant)
        return index

    @cached_property
    def _by_role(self) -> dict[str, list[Grant]]:
        index: dict[str, list[Grant]] = {}
        for grant in self.grants:
            if grant.role is not None:
                index.setdefault(grant.role, []).append(grant)
        return index

    def roles_of(self, person: str, at: datetime) -> frozenset[str]:
        """The roles a person holds at a moment; none for a stranger."""
        held = (grant.role for grant in self._by_person.get(person, ()) if grant.held_at(at))
        return frozenset(role for role in held if role is not None)

    def may_break_glass(self, person: str, role: str, at: datetime) -> bool:
        """Whether the person holds the role by a grant that began after the last refusal to ratify, if there was one."""
        refused_at = self.refused_at.get(person)
        held = (grant for grant in self._by_person.get(person, ()) if grant.role == role and grant.held_at(at))
        return any(refused_at is None or grant.starts_at > refused_at for grant in held)

    def delegators(self, person: str, at: datetime) -> frozenset[str]:
        """Whom a person may act for at a moment; what these may do for others is not passed on."""
        held = (grant.acts_for for grant in self._by_person.get(person, ()) if grant.held_at(at))
        return frozenset(delegator for delegator in held if delegator is not None)

    def has(self, person: str, at: datetime) -> bool:
        """Whether the person works here: is in the newest snapshot, or holds a role at the moment."""
        return person in self.people or bool(self.roles_of(person, at))

    def holders(self, role: str, at: datetime) -> frozenset[str]:
        """Everybody who holds a role at a moment, of those in this directory."""
        return frozenset(grant.person for grant in self._by_role.get(role, ()) if grant.held_at(at))
