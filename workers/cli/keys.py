"""Commands about keys: making them, registering public halves, and ending their time."""

import json
from pathlib import Path
from typing import Annotated, NoReturn
from uuid import uuid4

import typer
from pydantic import ValidationError

from db import keys as key_rows
from domain import duration, mistakes
from domain.keys import LONGEST_ISSUER, PERSONAL, Scope
from domain.messages import BODIES
from domain.world import ENGINE
from workers.cli.asking import Asking, By, Reason
from workers.cli.console import REFUSED, AsJson, fail, out, print_json, print_table, shown, when
from workers.cli.context import Data, KeyFile, TimeoutSeconds, Wait, open_owner, open_reader
from workers.cli.registering import Registration, check, register
from workers.envelope import SigningKey
from workers.public_keys import PublicKey, read_public

keys = typer.Typer(help="Whose messages count, and for what.", no_args_is_help=True)

_LONGEST_KID = 200
_NEEDED = dict.fromkeys(
    ("CreateAction", "RemediateAlert", "RecommendAction"), ("--origin", "--action-type")
) | dict.fromkeys(("CastVote", "ExecuteAction"), ("--action-type", "--role"))
"""Without which parts of its scope a key's messages of a type are all refused."""

MessageTypes = Annotated[list[str], typer.Option("--type", help=f"A message type: {', '.join(BODIES)}; repeatable.")]
Origins = Annotated[
    list[str] | None, typer.Option("--origin", help="An origin it may create with; repeatable, * for all.")
]
ActionTypes = Annotated[
    list[str] | None, typer.Option("--action-type", help="An action type it may name; repeatable, * for all.")
]
Roles = Annotated[list[str] | None, typer.Option("--role", help="A role it may speak for; repeatable, * for all.")]
Kid = Annotated[
    str | None, typer.Option(help="The key's id; by default the one in the file, else the issuer's name and a number.")
]
PublicFile = Annotated[Path, typer.Argument(help="The public half, a JWK; as `keys generate` prints it.")]


@keys.command("create")
def create_key(
    issuer: Annotated[str, typer.Argument(help="Who will sign with it, for example billing.")],
    file: Annotated[Path, typer.Argument(help="Where to put the private key; a new file that only you may read.")],
    types: MessageTypes,
    origins: Origins = None,
    action_types: ActionTypes = None,
    roles: Roles = None,
    kid: Kid = None,
    person: By = None,
    reason: Reason = None,
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Make a key for an issuer and have its public half registered. What is not listed is not allowed.

    Once there is a directory people must approve of it; before, the owner of the database registers it at once.
    """
    scope = _scope(types, origins, action_types, roles)
    _check_issuer(issuer)
    made = SigningKey.generate(_kid(data, kid, issuer), issuer)
    asking = Asking(person, reason or f"A key for {issuer}", key, data, timeout_seconds if wait else 0)
    wanted = Registration(made.kid, issuer, made.public_bytes, scope)
    agreement = check(wanted, asking)
    try:
        made.write(file)
    except OSError as error:
        _fail_to_write(file, error)
    out.print(f"The private half of key {made.kid} is in {file}.")
    register(wanted, asking, agreement=agreement)


@keys.command("generate")
def generate_key(
    name: Annotated[str, typer.Argument(help="Who will sign with it: an issuer, or with --person a person.")],
    file: Annotated[Path, typer.Argument(help="Where to put the private key; a new file that only you may read.")],
    kid: Annotated[str | None, typer.Option(help="The key's id; by default the name and something random.")] = None,
    *,
    person: Annotated[bool, typer.Option("--person", help="It is a person's own key.")] = False,
) -> None:
    """Make a key where it will be used, and print its public half for `keys register` or `keys enrol`. Registers nothing."""
    issuer = PERSONAL + name if person else name
    _check_issuer(issuer, personal=person)
    key = SigningKey.generate(_checked(kid or f"{issuer}-{uuid4().hex[:8]}"), issuer)
    try:
        key.write(file)
    except OSError as error:
        _fail_to_write(file, error)
    typer.echo(json.dumps(key.public_jwk))


@keys.command("register")
def register_key(
    issuer: Annotated[str, typer.Argument(help="Who signs with it, for example billing.")],
    file: PublicFile,
    types: MessageTypes,
    origins: Origins = None,
    action_types: ActionTypes = None,
    roles: Roles = None,
    kid: Kid = None,
    person: By = None,
    reason: Reason = None,
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Have the public half of a key registered that its issuer made. What is not listed is not allowed.

    Once there is a directory people must approve of it; before, the owner of the database registers it at once.
    """
    scope = _scope(types, origins, action_types, roles)
    _check_issuer(issuer)
    public = _public(file)
    chosen = _kid(data, _same(kid, public.kid, file), issuer)
    asking = Asking(person, reason or f"A key for {issuer}", key, data, timeout_seconds if wait else 0)
    wanted = Registration(chosen, issuer, public.public_bytes, scope)
    register(wanted, asking, agreement=check(wanted, asking))


@keys.command("enrol")
def enrol_key(
    owner: Annotated[str, typer.Argument(metavar="PERSON", help="A person of the directory.")],
    file: PublicFile,
    kid: Kid = None,
    person: By = None,
    reason: Reason = None,
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Ask for approval of a person's own key: it casts that person's votes and nothing else. They do not vote on it."""
    issuer = PERSONAL + owner
    _check_issuer(issuer, personal=True)
    public = _public(file)
    chosen = _kid(data, _same(kid, public.kid, file), issuer)
    asking = Asking(person, reason or f"A key of {owner}'s own", key, data, timeout_seconds if wait else 0)
    wanted = Registration(chosen, owner, public.public_bytes)
    register(wanted, asking, agreement=check(wanted, asking))


@keys.command("list")
def list_keys(*, as_json: AsJson = False, data: Data = None) -> None:
    """Every registered key and what it is for; private halves are not here to be listed."""
    with open_reader(data) as conn:
        found = key_rows.list_keys(conn)
    if as_json:
        names = ("kid", "issuer", "person_id", "scope", "valid_from", "valid_until", "revoked_at", "revoked_why")
        print_json([{name: row[name] for name in names} for row in found])
        return
    columns = ("key", "issuer", "messages", "origins", "action types", "roles", "since (UTC)", "until (UTC)")
    lists = ("types", "origins", "action_types", "roles")
    print_table(
        columns,
        (
            (
                row["kid"],
                row["issuer"],
                *(" ".join(row["scope"].get(name, ())) for name in lists),
                when(row["valid_from"]),
                f"revoked {when(row['revoked_at'])}" if row["revoked_at"] else when(row["valid_until"]),
            )
            for row in found
        ),
    )


@keys.command("retire")
def retire_key(
    kid: Annotated[str, typer.Argument(help="The key's id.")],
    after_seconds: Annotated[
        int, typer.Option(min=0, help="Let it count for so long still, for what is under way.")
    ] = 0,
    *,
    data: Data = None,
) -> None:
    """End a key's time, once its successor is in use. What it signed and was received before stays as it is."""
    with open_owner(data) as conn:
        if not key_rows.retire_key(conn, kid, after_seconds):
            fail(f"There is no key {kid}. See `ops-approval keys list`.", REFUSED)
    out.print(f"Key {kid} is retired" + (f" in {duration.in_words(after_seconds)}." if after_seconds else "."))


@keys.command("revoke")
def revoke_key(
    kid: Annotated[str, typer.Argument(help="The key's id.")],
    *,
    data: Data = None,
) -> None:
    """Revoke a key that somebody else may have. Its votes no longer count where nothing was executed yet."""
    with open_owner(data) as conn:
        if not key_rows.revoke_key(conn, kid):
            fail(f"There is no key {kid}. See `ops-approval keys list`.", REFUSED)
    out.print(f"Key {kid} is revoked. Register a new one where it is needed: see `ops-approval keys --help`.")


def _scope(
    types: list[str], origins: list[str] | None, action_types: list[str] | None, roles: list[str] | None
) -> Scope:
    if unknown := sorted(set(types) - set(BODIES)):
        fail(f"There is no message type {', '.join(unknown)}. Known are {', '.join(BODIES)}.")
    given = {"--origin": origins, "--action-type": action_types, "--role": roles}
    for name in types:
        if missing := [option for option in _NEEDED.get(name, ()) if not given[option]]:
            fail(f"A key does nothing with {name} unless it has {' and '.join(missing)}. Say for which, or * for all.")
    try:
        return Scope(
            types=tuple(types),
            origins=tuple(origins or ()),
            action_types=tuple(action_types or ()),
            roles=tuple(roles or ()),
        )
    except ValidationError as error:
        fail(f"{mistakes.told(error)[0]}. Make two keys, for two issuers.")


def _check_issuer(issuer: str, *, personal: bool = False) -> None:
    if not (1 <= len(issuer) <= LONGEST_ISSUER and issuer == issuer.strip() and issuer.isprintable()):
        fail(f"An issuer's name has 1 to {LONGEST_ISSUER} printable characters and no spaces around it.")
    if issuer == ENGINE:
        fail(f"{ENGINE} is the engine's own name: what it creates by itself bears it. Choose another.")
    if issuer.startswith(PERSONAL) and not personal:
        fail(f"Names that begin with {PERSONAL} are those of people's own keys: see `ops-approval keys enrol --help`.")


def _same(kid: str | None, named: str | None, file: Path) -> str | None:
    """The id by which the messages will name the key: its owner's half says it too, and cannot be told another."""
    if kid is not None and named not in (None, kid):
        fail(
            f"The key in {file} calls itself {shown(named)}. Register it so, or make another with `keys generate --kid`."
        )
    return kid or named


def _checked(kid: str) -> str:
    if not (1 <= len(kid) <= _LONGEST_KID and kid.isprintable() and kid == kid.strip()):
        fail(f"A key's id has 1 to {_LONGEST_KID} printable characters and no spaces around it.")
    return kid


def _kid(data: Path | None, kid: str | None, issuer: str) -> str:
    with open_reader(data) as conn:
        count = sum(row["issuer"] == issuer for row in key_rows.list_keys(conn))
    return _checked(kid or f"{issuer}-{count + 1}")


def _public(file: Path) -> PublicKey:
    try:
        return read_public(file)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")
    except ValueError as error:
        fail(f"{file} is not the public half of a key: {error}.")


def _fail_to_write(file: Path, error: OSError) -> NoReturn:
    fail(f"{file} cannot be written: {error.strerror}. Name another, new file.")
