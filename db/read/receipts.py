"""What became of messages."""

from uuid import UUID

from db.connect import Connection
from db.read.pages import Row

_RECEIPT = """
    select content_sha256, issuer, jti, type, outcome, code, sentence, action_id, received_at, answered_at, excerpt
      from messages
"""


def get_receipt(conn: Connection, content_sha256: bytes) -> Row | None:
    """The receipt of exactly this message, or None if it was not received yet."""
    return conn.execute(_RECEIPT + " where content_sha256 = %s", [content_sha256]).fetchone()


def find_receipts(conn: Connection, jti: str) -> list[Row]:
    """The receipts of messages with this jti, of whatever issuer, the first first."""
    # In two parts, each with its index: of one identity there is one message, and of messages without one there are few.
    return conn.execute(
        _RECEIPT
        + """
         where (jti = %(jti)s and (code is null or code not in ('identity_conflict', 'wrong_audience')))
            or (jti = %(jti)s and code in ('identity_conflict', 'wrong_audience'))
         order by id
        """,
        {"jti": jti},
    ).fetchall()


def get_receipts_of_action(conn: Connection, action_id: UUID) -> list[Row]:
    """The receipts of all messages that concerned an action, in the order in which they came."""
    return conn.execute(_RECEIPT + " where action_id = %s order by id", [action_id]).fetchall()
