"""Registering the public half of a key: by asking for approval, or at the beginning as the owner of the database."""

import base64
from dataclasses import dataclass

from db import keys as key_rows
from db import read
from db.definitions import needs_agreement
from domain import registering
from domain.directory import Directory
from domain.internal_types import Internal
from domain.keys import PERSONAL, PERSONAL_SCOPE, Scope
from domain.world import World
from workers.cli.asking import Asking, print_next
from workers.cli.console import REFUSED, fail, out, shown
from workers.cli.context import open_owner, open_reader
from workers.wishes import Wish


@dataclass(frozen=True, slots=True)
class Registration:
    """A public key (32 bytes) and for whom it is to count; without a scope it is the own key of person `name`."""

    kid: str
    name: str
    public_key: bytes
    scope: Scope | None = None

    @property
    def issuer(self) -> str:
        """By what name its messages come."""
        return self.name if self.scope else PERSONAL + self.name

    @property
    def wish(self) -> Wish:
        """What is to be asked for."""
        encoded = base64.urlsafe_b64encode(self.public_key).decode().rstrip("=")
        params = {"kid": self.kid, "public_key": encoded}
        if self.scope is None:
            return Wish(Internal.ENROL_KEY, params | {"person_id": self.name})
        return Wish(Internal.REGISTER_KEY, params | {"issuer": self.name, "scope": self.scope.model_dump(mode="json")})


def check(wanted: Registration, asking: Asking) -> bool:
    """Whether it needs approval; ends with a sentence if it cannot be registered, or not be asked for so."""
    with open_reader(asking.data) as conn:
        agreement, ring = needs_agreement(conn), key_rows.load_key_ring(conn)
        people = Directory.of((), [row["id"] for row in read.list_people(conn)])
    world = World(now=ring.now, audience="", directory=people, keys=ring.keys)
    if (refusal := registering.refusal(world, wanted.wish.action_type, wanted.wish.params)) is not None:
        fail(f"Key {shown(wanted.kid)} cannot be registered. {refusal.detail}", REFUSED)
    if agreement:
        asking.producer()
    return agreement


def register(wanted: Registration, asking: Asking, *, agreement: bool) -> None:
    """Ask for approval of a key, or without need of that make it count; says what was done."""
    if not agreement:
        with open_owner(asking.data) as conn:
            key_rows.add_key(conn, wanted.kid, wanted.issuer, wanted.public_key, wanted.scope or PERSONAL_SCOPE)
        out.print(f"Key {wanted.kid} of {wanted.issuer} is registered, without approval, as there is no directory yet.")
        return
    (asked,) = asking.ask([wanted.wish])
    if asked.state == "refused":
        fail(f"Key {wanted.kid} of {wanted.issuer} may not be asked for: {asked.sentence}", REFUSED)
    before = " already" if asked.state == "waiting" else ""
    out.print(f"Approval of key {wanted.kid} of {wanted.issuer} is asked for{before}, in action {asked.action_id}.")
    out.print(f"Once that is executed its messages count. They name it: kid {wanted.kid}, iss {wanted.issuer}.")
    print_next()
