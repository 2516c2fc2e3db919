"""Whose word counts on an action at a moment, and for whom: by the directory, and by who is kept out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from domain.directory import Directory
from domain.quorum_tree import ANY_ROLE, People
from domain.seating import Voice, Voices


@dataclass(frozen=True)
class Electorate:
    """Who may fill a seat of `pools`, or reject alone by one of `veto_roles`; `excluded` are the names kept out.

    Who holds `glass_role` may approve alone.
    """

    pools: frozenset[People]
    veto_roles: tuple[str, ...]
    glass_role: str | None
    excluded: tuple[str, ...]
    directory: Directory
    now: datetime

    def kept_out_by(self, person: str) -> str | None:
        """Whose part in the action keeps this person from voting: their own, or that of somebody they may act for.

        Names are excluded in whatever case they are written.
        """
        concerned = [person, *sorted(self.directory.delegators(person, self.now))]
        return next((name for name in concerned if name.casefold() in self._excluded), None)

    @cached_property
    def _excluded(self) -> frozenset[str]:
        return frozenset(name.casefold() for name in self.excluded)

    def seats(self, person: str, roles: frozenset[str]) -> bool:
        """Whether a person with these usable roles could fill a seat."""
        return any(pool.include(person, roles) for pool in self.pools)

    def veto_of(self, roles: frozenset[str]) -> str | None:
        """The first veto role, in the policy's order, among these."""
        return next((role for role in self.veto_roles if role in roles), None)

    def may_break_glass(self, person: str, roles: frozenset[str]) -> bool:
        """Whether a person with these usable roles, all their own, may approve alone."""
        role = self.glass_role
        if role is None or role not in roles or self.kept_out_by(person):
            return False
        return self.directory.may_break_glass(person, role, self.now)

    def heard(self, claims: Voices) -> Voices:
        """The voters whose word counts for something, with whom they may speak for at this moment.

        A person's own word takes them out of the mouths of those who act for them, who then speak for themselves only. The
        right to act for somebody is not passed on: whom A acts for is not spoken for by who acts for A.
        """
        voices = {voter: self._voice(voter, claim) for voter, claim in claims.items() if not self.kept_out_by(voter)}
        themselves = {voter for voter, voice in voices.items() if voter in voice}
        found = {
            voter: {person: roles for person, roles in voice.items() if person == voter or person not in themselves}
            for voter, voice in voices.items()
        }
        return {voter: voice for voter, voice in found.items() if voice}

    def others(self, heard: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
        """Everybody not heard who could fill a seat, with all their roles, as if through a key that speaks for any."""
        seen = set(heard)
        for pool in self.pools:
            for person in self.directory.holders(pool.role, self.now) if pool.role else pool.ids:
                if person in seen or self.kept_out_by(person) or not self.directory.has(person, self.now):
                    continue
                seen.add(person)
                yield person, self.directory.roles_of(person, self.now) | {ANY_ROLE}

    def _voice(self, voter: str, claim: Voice) -> Voice:
        """Of those for whom a vote may have been cast, those for whom it may speak now, with the roles left to them."""
        acts_for = {person for person in self.directory.delegators(voter, self.now) if not self.kept_out_by(person)}
        usable = {
            person: self._usable(person, roles) for person, roles in claim.items() if person in {voter, *acts_for}
        }
        return {person: roles for person, roles in usable.items() if self.seats(person, roles) or self.veto_of(roles)}

    def _usable(self, person: str, roles: frozenset[str]) -> frozenset[str]:
        """Of the roles that a vote was cast with those still held; `ANY_ROLE` stays while the person works here."""
        if not self.directory.has(person, self.now):
            return frozenset()
        return roles & (self.directory.roles_of(person, self.now) | {ANY_ROLE})
