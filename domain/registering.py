"""Making a key count, once people agreed to it: that of an issuer, or a person's own, who does not vote on it."""

import base64
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain import mistakes
from domain.action import Action
from domain.internal_types import Internal
from domain.keys import LONGEST_ISSUER, PERSONAL, PERSONAL_SCOPE, Scope, conflict_of, is_safe
from domain.messages import BODIES
from domain.outcome import Done, Outcome, Rejected
from domain.quorum_tree import Name
from domain.refusals import Code, Refusal
from domain.world import ENGINE, NewKey, World


class _Wanted(BaseModel):
    """What the params of both action types come to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kid: Name
    issuer: Annotated[Name, Field(max_length=LONGEST_ISSUER)]
    public_key: bytes
    scope: Scope
    person_id: Name | None = None


def refusal(world: World, action_type: str, params: Mapping[str, Any]) -> Refusal | None:
    """Why a key cannot be asked for, if so; its params have the form of their action type."""
    wanted = _read(action_type, params)
    if isinstance(wanted, str):
        return Refusal(Code.INVALID_PARAMS, f"params.{wanted}")
    conflict = _conflict(world, wanted)
    return None if conflict is None else Refusal(Code.KEY_CONFLICT, conflict)


def register(world: World, action: Action) -> Outcome:
    """Make the key count that people agreed to; rejected if another one is in its way by now."""
    wanted = _read(action.action_type, action.params)
    problem = wanted if isinstance(wanted, str) else _conflict(world, wanted)
    if isinstance(wanted, str) or problem is not None:
        return Rejected(f"The key was not registered. {problem}")
    world.put_key(
        NewKey(
            kid=wanted.kid,
            issuer=wanted.issuer,
            public_key=wanted.public_key,
            scope=action.params.get("scope", PERSONAL_SCOPE.model_dump(mode="json")),
            person_id=wanted.person_id,
            valid_from=world.now,
            created_at=world.now,
            agreed_in=action.id,
        )
    )
    return Done({"kid": wanted.kid, "issuer": wanted.issuer})


def _read(action_type: str, params: Mapping[str, Any]) -> _Wanted | str:
    """The key that is asked for, or where and why it is none."""
    public_key = base64.urlsafe_b64decode(params["public_key"] + "=")
    if base64.urlsafe_b64encode(public_key).decode() != params["public_key"] + "=":
        return "public_key: it is not 32 bytes in base64url"
    if not is_safe(public_key):
        return "public_key: without any private key, anybody could sign for it"
    fields = {"kid": params["kid"], "public_key": public_key}
    if action_type == Internal.ENROL_KEY:
        person = params["person_id"]
        fields |= {"issuer": PERSONAL + person, "person_id": person, "scope": PERSONAL_SCOPE}
    else:
        fields |= {"issuer": params["issuer"], "scope": params["scope"]}
    try:
        wanted = _Wanted.model_validate(fields)
    except ValidationError as error:
        return mistakes.told(error)[0]
    if wanted.person_id is None and (wanted.issuer == ENGINE or wanted.issuer.startswith(PERSONAL)):
        return f"issuer: {wanted.issuer!r} is no name for an issuer: it is the engine's own, or a person's"
    if unknown := sorted(set(wanted.scope.types) - BODIES.keys()):
        return f"scope.types: there is no message type {', '.join(unknown)}"
    return wanted


def _conflict(world: World, wanted: _Wanted) -> str | None:
    """What is in the way of a key, among those that are registered and in the directory."""
    for key in world.keys.values():
        if key.kid == wanted.kid:
            return f"A key {key.kid} is registered already."
        if key.public_key == wanted.public_key:
            return "This public key is registered already, under another id or for somebody else."
    if wanted.person_id is not None and not world.directory.has(wanted.person_id, world.now):
        return f"The directory knows nobody named {wanted.person_id!r}."
    scopes = [key.scope for key in world.keys.values() if key.issuer == wanted.issuer]
    conflict = conflict_of([wanted.scope, *scopes])
    return None if conflict is None else f"Issuer {wanted.issuer!r} has other keys already, and {conflict}."
