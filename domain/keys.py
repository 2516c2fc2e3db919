"""Whose signature counts, and for what: the public half of a key as the database knows it."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, model_validator

PERSONAL = "person:"
"""What the issuer of a person's own key begins with, before the person's id."""

ALGORITHM = "Ed25519"
"""The one signature algorithm (RFC 8037, RFC 9864); a message cannot choose another."""


class Scope(BaseModel):
    """What a key may be used for; a list that is missing allows nothing, `*` allows everything of its kind.

    An issuer that may vote may neither sync the directory nor change definitions: whoever speaks for people must not be
    able to say who they are.
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

    @model_validator(mode="after")
    def _voting_and_directory_apart(self) -> "Scope":
        if self.allows(self.types, "CastVote") and self.allows(self.types, "SyncDirectory"):
            raise ValueError("a key that casts votes may not sync the directory: it would say who its voters are")
        return self


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
