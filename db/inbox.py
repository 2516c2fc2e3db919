"""Messages as an operator looks at them: what is dead, in quarantine, waiting or refused, and the tokens to try again."""

from collections.abc import Collection
from typing import Any

from db.connect import Connection
from domain.messages import Outcome
from domain.refusals import Code

Row = dict[str, Any]


def find_messages(
    conn: Connection, outcomes: Collection[Outcome], code: Code | None = None, limit: int | None = None
) -> list[Row]:
    """Messages with one of these outcomes, and this code if one is given, the newest first; without their envelopes."""
    return conn.execute(
        """
        select id, received_at, answered_at, outcome, code, sentence, type, issuer, jti, action_id, content_sha256,
               token is not null as kept
          from messages
         where outcome = any(%s) and (%s::text is null or code = %s)
         order by id desc limit %s
        """,
        [list(outcomes), code, code, limit],
    ).fetchall()


def get_messages(conn: Connection, ids: Collection[int]) -> list[Row]:
    """These messages, the oldest first, without their envelopes; those that there are."""
    return conn.execute(
        "select id, outcome, code, content_sha256 from messages where id = any(%s) order by id", [list(ids)]
    ).fetchall()


def get_message(conn: Connection, message_id: int) -> Row | None:
    """A message with everything that is kept of it."""
    return conn.execute("select * from messages where id = %s", [message_id]).fetchone()


def get_tokens(conn: Connection, ids: Collection[int]) -> dict[int, str]:
    """The envelopes of these messages, of those of which one is kept."""
    rows = conn.execute(
        "select id, token from messages where id = any(%s) and token is not null", [list(ids)]
    ).fetchall()
    return {row["id"]: row["token"] for row in rows}
