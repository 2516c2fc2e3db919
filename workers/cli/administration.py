"""Commands of whoever owns the installation: the schema, keys, policies and action types."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from pydantic import ValidationError

from db import keys as key_rows
from db import read, schema
from db.schema import SchemaError
from domain import quorum_tree
from domain.keys import Scope
from domain.messages import BODIES
from domain.policy import Policy
from workers import definition_files
from workers.cli.console import REFUSED, AsJson, fail, out, print_json, print_table, when
from workers.cli.context import Data, open_owner, open_reader
from workers.envelope import SigningKey

database = typer.Typer(help="The database's schema.", no_args_is_help=True)
keys = typer.Typer(help="Whose messages count, and for what.", no_args_is_help=True)
policies = typer.Typer(help="Who must agree to what.", no_args_is_help=True)


_LONGEST_ISSUER = 150
_LONGEST_KID = 200


@database.command("init")
def init(*, data: Data = None) -> None:
    """Apply the schema and the shipped policies to an empty database; does nothing to one that has them."""
    with open_owner(data) as conn:
        try:
            applied = schema.init(conn)
            schema.check(conn)
        except SchemaError as error:
            fail(str(error))
        if applied:
            changes = definition_files.apply(conn, definition_files.shipped(), by=_me())
            out.print(f"The schema is applied, with {len(changes)} shipped policies and action types.")
            out.print(
                "Next: `ops-approval keys create` for each producer, then `ops-approval directory sync`.", style="dim"
            )
        else:
            out.print("The schema is there already; nothing was changed.")


@database.command("check")
def check(*, data: Data = None) -> None:
    """Say whether the database has the schema that this release needs."""
    with open_owner(data) as conn:
        try:
            schema.check(conn)
        except SchemaError as error:
            fail(str(error), REFUSED)
    out.print(f"The schema is version {schema.VERSION}, as this release needs it.")


@keys.command("create")
def create_key(
    issuer: Annotated[str, typer.Argument(help="Who will sign with it, for example billing.")],
    file: Annotated[Path, typer.Argument(help="Where to put the private key; a new file that only you may read.")],
    message_type: Annotated[
        list[str], typer.Option("--type", help=f"A message type: {', '.join(BODIES)}; repeatable.")
    ],
    origin: Annotated[
        list[str] | None, typer.Option(help="An origin it may create with; repeatable, * for all.")
    ] = None,
    action_type: Annotated[
        list[str] | None, typer.Option(help="An action type it may name; repeatable, * for all.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option(help="A role it may speak for; repeatable, * for all.")] = None,
    kid: Annotated[str | None, typer.Option(help="The key's id; by default the issuer's name and a number.")] = None,
    *,
    data: Data = None,
) -> None:
    """Make a key for an issuer and register its public half. What is not listed is not allowed."""
    if not (1 <= len(issuer) <= _LONGEST_ISSUER and issuer == issuer.strip() and issuer.isprintable()):
        fail(f"An issuer's name has 1 to {_LONGEST_ISSUER} printable characters and no spaces around it.")
    if kid is not None and not 1 <= len(kid) <= _LONGEST_KID:
        fail(f"A key's id has 1 to {_LONGEST_KID} characters.")
    if unknown := sorted(set(message_type) - set(BODIES)):
        fail(f"There is no message type {', '.join(unknown)}. Known are {', '.join(BODIES)}.")
    try:
        scope = Scope(
            types=tuple(message_type),
            origins=tuple(origin or ()),
            action_types=tuple(action_type or ()),
            roles=tuple(role or ()),
        )
    except ValidationError as error:
        fail(f"{error.errors(include_url=False)[0]['msg']}. Make two keys, for two issuers.")
    with open_owner(data) as conn:
        count = sum(row["issuer"] == issuer for row in key_rows.list_keys(conn))
        key = SigningKey.generate(kid or f"{issuer}-{count + 1}", issuer)
        try:
            with conn.transaction():
                key_rows.add_key(conn, key.kid, issuer, key.public_bytes, scope)
                key.write(file)
        except key_rows.ScopeConflict as error:
            fail(f"{error}.")
        except psycopg.errors.UniqueViolation:
            fail(f"A key {key.kid} is registered already. Choose another id with --kid.")
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}. Name another, new file.")
    out.print(f"Key {key.kid} of {issuer} is registered; its private half is in {file}.")


@keys.command("list")
def list_keys(*, as_json: AsJson = False, data: Data = None) -> None:
    """Every registered key and what it is for; private halves are not here to be listed."""
    with open_reader(data) as conn:
        found = key_rows.list_keys(conn)
    if as_json:
        names = ("kid", "issuer", "scope", "valid_from", "valid_until", "revoked_at", "revoked_why")
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
    out.print(f"Key {kid} is retired" + (f" in {after_seconds} s." if after_seconds else "."))


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
    out.print(f"Key {kid} is revoked. Give its issuer a new one with `ops-approval keys create`.")


@policies.command("apply")
def apply_policies(
    file: Annotated[Path, typer.Argument(help="YAML or JSON with the lists policies and action_types.")],
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Put the definitions of a file in force, all or none; open actions keep the ones they were created under."""
    try:
        definitions = definition_files.read(file)
    except definition_files.DefinitionFileError as error:
        fail(f"{error}. Nothing was changed.")
    with open_owner(data) as conn:
        changes = definition_files.apply(conn, definitions, by=_me())
    if as_json:
        print_json([{"kind": change.kind, "name": change.name, "version": change.version} for change in changes])
        return
    for change in changes:
        what = f"is now version {change.version}" if change.version else "was in force already"
        out.print(f"{change.kind.replace('_', ' ')} {change.name} {what}.")


@policies.command("list")
def list_policies(*, as_json: AsJson = False, data: Data = None) -> None:
    """The policies in the order in which they are asked; the first match counts, then the default: two ops_admin."""
    with open_reader(data) as conn:
        found = read.list_policies(conn)
    if as_json:
        print_json([row["body"] | {"version": row["version"]} for row in found])
        return
    columns = ("priority", "name", "version", "enabled", "for", "must agree", "ratio", "within", "escalates to")
    print_table(columns, (_policy_row(row) for row in found))


def _policy_row(row: dict[str, Any]) -> tuple[str, ...]:
    policy = Policy.model_validate(row["body"])
    rules = policy.policy
    criteria = " and ".join(
        f"{condition.path} {condition.operator.removeprefix('$').replace('eq', '=')} {json.dumps(condition.operand)}"
        for condition in policy.parsed_criteria.conditions
    )
    return (
        str(policy.priority),
        policy.name,
        str(row["version"]),
        "yes" if policy.enabled else "no",
        criteria or "every action",
        quorum_tree.in_words(rules.tree),
        str(rules.required_ratio),
        f"{rules.timeout_seconds} s",
        rules.escalation_role or "",
    )


def _me() -> str:
    return os.environ.get("USER") or f"uid {os.getuid()}"
