"""Figures over many actions, each from an index that has all they need."""

from db.connect import Connection
from db.read.pages import Row


def get_approval_stats(conn: Connection) -> list[Row]:
    """Of each action type: `total`, `approved`, `rejected`, `expired`, `average_seconds_to_decision` and `approval_rate`.

    Counted over every action there is. What was approved counts as that, whatever came of it, and expired is what ended without
    a decision; the last two are null where nothing was decided.
    """
    return conn.execute("select * from approval_stats order by action_type").fetchall()


def get_pending_summary(conn: Connection) -> list[Row]:
    """Of each action type and state in which votes are counted: the `count` of actions and when the `oldest` was created."""
    return conn.execute("select * from pending_summary order by action_type, status").fetchall()
