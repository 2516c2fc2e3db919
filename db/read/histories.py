"""What happened to an action, and what a person did."""

from uuid import UUID

from db import rows
from db.connect import Connection
from db.read.pages import Row, page, with_cursors
from domain.trail import Event


def get_audit_trail(conn: Connection, action_id: UUID) -> list[Event]:
    """The events of an action, first to last; `domain.trail.verify` says whether they are what was written."""
    found = conn.execute("select * from audit_trail where action_id = %s order by seq", [action_id]).fetchall()
    return [rows.event(row) for row in found]


def get_user_vote_history(
    conn: Connection, person: str, limit: int = 50, offset: int = 0, *, after: str | None = None
) -> list[Row]:
    """The newest vote of a person on each action, what was recorded last first, with what became of the action.

    A page of `limit` rows (1 to 200) begins after the row whose `cursor` is `after`. Raises ValueError for any other page.
    """
    found = conn.execute(
        """
        select * from vote_history
         where voter_id = %(person)s and recorded_at <= %(at)s and (recorded_at < %(at)s or action_id > %(id)s)
         order by recorded_at desc, action_id limit %(limit)s offset %(offset)s
        """,
        {"person": person, **page(limit, offset, after)},
    ).fetchall()
    return with_cursors(found, "recorded_at", "action_id")


def get_user_action_history(
    conn: Connection, person: str, limit: int = 50, offset: int = 0, *, after: str | None = None
) -> list[Row]:
    """The actions that a person, or a machine, had a `part` in, the newest first: created, triggered or executed.

    A page of `limit` rows (1 to 200) begins after the row whose `cursor` is `after`. Raises ValueError for any other page.
    """
    found = conn.execute(
        """
        select * from action_history
         where person_id = %(person)s and created_at <= %(at)s and (created_at < %(at)s or id > %(id)s)
         order by created_at desc, id limit %(limit)s offset %(offset)s
        """,
        {"person": person, **page(limit, offset, after)},
    ).fetchall()
    return with_cursors(found)
