"""Commands of whoever owns the database: its schema."""

import typer

from db import schema
from db.schema import SchemaError
from workers import definition_files
from workers.cli.console import REFUSED, fail, me, out
from workers.cli.context import Data, open_owner

database = typer.Typer(help="The database's schema.", no_args_is_help=True)


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
            changes = definition_files.apply(conn, definition_files.shipped(), by=me())
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
