"""Pages of lists: so many rows, after those of the page before.

A list is in the order of a moment, the newest first, and then of an id, a UUID or a text. The `cursor` of a row names its place
there, so that the next page begins after it, whatever was added meanwhile; to whoever passes it on it is an opaque text.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

Row = dict[str, Any]

MOST_ROWS = 200
"""How many rows a page has at most."""

FURTHEST_OFFSET = 10_000
"""How many rows can be passed over by their number; each of them is read."""

_BEFORE_ALL = ("infinity", None)


def page(limit: int, offset: int, after: str | None, id_of: Callable[[str], Any] = UUID) -> dict[str, Any]:
    """The parameters `limit`, `offset`, `at` and `id` of a statement that reads a page; `at` and `id` are those of `after`.

    Where ids are texts, `id_of` is `text_id`. Raises ValueError for a page that there cannot be.
    """
    if not 1 <= limit <= MOST_ROWS:
        raise ValueError(f"limit is {limit}; ask for 1 to {MOST_ROWS} rows at a time, and for more with after")
    if not 0 <= offset <= FURTHEST_OFFSET:
        raise ValueError(f"offset is {offset}; pass over 0 to {FURTHEST_OFFSET} rows, and go further with after")
    at, place = _BEFORE_ALL if after is None else _read(after, id_of)
    return {"limit": limit, "offset": offset, "at": at, "id": place}


def with_cursors(rows: list[Row], at: str = "created_at", place: str = "id") -> list[Row]:
    """The rows, each with its `cursor`; `at` and `place` are the columns that the list is in the order of."""
    return [row | {"cursor": _write(row[at], row[place])} for row in rows]


def text_id(place: str) -> str:
    """An id that is a text; raises ValueError for what Postgres has no text for."""
    if "\0" in place:
        raise ValueError("no id has the character NUL")
    return place


def _write(at: datetime, place: object) -> str:
    return urlsafe_b64encode(f"{at.isoformat()} {place}".encode()).decode()


def _read(cursor: str, id_of: Callable[[str], Any]) -> tuple[datetime, Any]:
    try:
        at, _, place = urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        return datetime.fromisoformat(at), id_of(place)
    except ValueError:
        raise ValueError("after is not a cursor; pass on the cursor of the last row of the page before") from None
