"""The policies in force."""

from db.connect import Connection
from db.read.pages import Row


def list_policies(conn: Connection, *, enabled_only: bool = False) -> list[Row]:
    """The newest version of each policy that is not removed, in the order in which they are asked."""
    return conn.execute(
        "select * from approval_policies where enabled or not %s order by priority desc, name", [enabled_only]
    ).fetchall()


def get_policy(conn: Connection, name: str) -> Row | None:
    """The newest version of a policy, enabled or not; None if there is none of this name, or if it was removed."""
    return conn.execute("select * from approval_policies where name = %s", [name]).fetchone()
