"""Alerts and recommendations, what was decided about them, and what answers them."""

from db.connect import Connection
from db.read.pages import Row, page, text_id, with_cursors


def get_alert(conn: Connection, alert_id: str) -> Row | None:
    """An alert: its `status` (open, auto_remediated), `remedied_by_action_id` and `last_decision`; None if nobody told of it."""
    return conn.execute("select * from alerts where id = %s", [alert_id]).fetchone()


def get_alert_decisions(conn: Connection, alert_id: str) -> list[Row]:
    """What was decided about an alert, by whom and why (`details`), the first first."""
    return conn.execute(
        "select at, actor, action, details from alert_decisions where alert_id = %s order by at, seq", [alert_id]
    ).fetchall()


def get_recommendation(conn: Connection, recommendation_id: str) -> Row | None:
    """A recommendation of SIRA as the dashboard knows it, with the `params` by which a person applies it."""
    return conn.execute("select * from sira_dash_recommendations where id = %s", [recommendation_id]).fetchone()


def list_recommendations(conn: Connection, limit: int = 50, offset: int = 0, *, after: str | None = None) -> list[Row]:
    """The newest recommendations of SIRA, whatever became of them.

    A page of `limit` rows (1 to 200) begins after the row whose `cursor` is `after`. Raises ValueError for any other page.
    """
    found = conn.execute(
        """
        select * from sira_dash_recommendations
         where created_at <= %(at)s and (created_at < %(at)s or id > %(id)s)
         order by created_at desc, id limit %(limit)s offset %(offset)s
        """,
        page(limit, offset, after, text_id),
    ).fetchall()
    return with_cursors(found)
