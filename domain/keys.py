"""Whose signature counts, and for what: the public half of a key as the database knows it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, model_validator

from domain.internal_types import CHANGES

PERSONAL = "person:"
"""What the issuer of a person's own key begins with, before the person's id."""

LONGEST_ISSUER = 150

ALGORITHM = "Ed25519"
"""The one signature algorithm (RFC 8037, RFC 9864); a message cannot choose another."""

_P = 2**255 - 19
_SIGN = 1 << 255
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})


def is_safe(public_key: bytes) -> bool:
    """Whether no signature can be made for these 32 bytes without a private key, if they are a key at all.

    Anybody signs for a point of small order, and a point has one spelling (libsodium, `crypto_core_ed25519_is_valid_point`).
    """
    y = int.from_bytes(public_key, "little") % _SIGN
    return y < _P and y not in _SMALL_ORDER


class Scope(BaseModel):
    """What a key may be used for; a list that is missing allows nothing, `*` allows everything of its kind.

    An issuer that may vote may neither sync the directory nor ask for changes of definitions: whoever speaks for people must
    not be able to say who they are, nor what they agree to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    types: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    action_types: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    @staticmethod
    def allows(allowed: tuple[str, ...], wanted: str) -> bool:
        """Whether a list of the scope has this value."""
        return wanted in allowed or "*" in allowed

    def may_ask_for(self, action_type: str) -> bool:
        """Whether it may create actions of this type; those that change the rules must be named, and `*` has them not."""
        return (
            action_type in self.action_types if action_type in CHANGES else self.allows(self.action_types, action_type)
        )

    @property
    def votes(self) -> bool:
        """Whether it casts votes."""
        return self.allows(self.types, "CastVote")

    @property
    def changes_rules(self) -> bool:
        """Whether it may ask for changes of definitions."""
        return self.allows(self.types, "CreateAction") and bool(CHANGES.intersection(self.action_types))

    @model_validator(mode="after")
    def _apart_from_votes(self) -> "Scope":
        if (conflict := conflict_of([self])) is not None:
            raise ValueError(conflict)
        return self


def not_spoken_for(roles: frozenset[str]) -> str:
    """What to add to a refusal where somebody holds roles for which the key may not speak."""
    return f" The key may not speak for {', '.join(sorted(roles))}, which they hold." if roles else ""


def conflict_of(scopes: Collection[Scope]) -> str | None:
    """Why nobody may have all of these scopes, if so: in one key or in several of one issuer."""
    if not any(scope.votes for scope in scopes):
        return None
    if any(Scope.allows(scope.types, "SyncDirectory") for scope in scopes):
        return "who casts votes may not sync the directory: it would say who its voters are"
    if any(scope.changes_rules for scope in scopes):
        return "who casts votes may not ask for changes of definitions: it would agree to its own"
    return None


PERSONAL_SCOPE = Scope(types=("CastVote",), action_types=("*",), roles=("*",))
"""What a person's own key is for: that person's votes."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A registered public key (32 bytes), its issuer, and the time for which its signatures count.

    `person` is whose own key it is; it casts that person's votes and nothing else.
    """

    kid: str
    issuer: str
    public_key: bytes
    scope: Scope
    valid_from: datetime
    valid_until: datetime | None
    revoked_at: datetime | None
    person: str | None = None

    def valid_at(self, at: datetime) -> bool:
        """Whether a signature seen at this moment counts; a revoked key's never does."""
        if self.revoked_at is not None:
            return False
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)


def with_own_keys(keys: Iterable[VerificationKey], now: datetime) -> frozenset[str]:
    """Everybody who has a key of their own at a moment."""
    return frozenset(key.person for key in keys if key.person and key.valid_at(now))
