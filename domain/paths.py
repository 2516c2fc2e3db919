"""The values that a dotted path leads to in a JSON document, by MongoDB's rules."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any


class Absent(Enum):
    """What is found where a path leads to no value.

    MISSING: no such field, or null on the way. BLOCKED: another value than an object is in the way, which MongoDB takes for a
    missing field. STRAY: an item of a list on the way is no object, which MongoDB passes over.
    """

    MISSING = "missing"
    BLOCKED = "blocked"
    STRAY = "stray"


def values_at(document: Any, path: Sequence[str], *, whole: bool) -> Iterator[Any]:
    """All values at a path, through objects and lists of objects, or why there is none.

    A list at its end gives its items, and itself only if it has none; `whole` gives the list.
    """
    if not path:
        if isinstance(document, list) and document and not whole:
            yield from document
        else:
            yield document
    elif isinstance(document, Mapping):
        if path[0] in document:
            yield from values_at(document[path[0]], path[1:], whole=whole)
        else:
            yield Absent.MISSING
    elif isinstance(document, list):
        yield from _through(document, path, whole=whole)
    else:
        yield Absent.MISSING if document is None else Absent.BLOCKED


def _through(items: list[Any], path: Sequence[str], *, whole: bool) -> Iterator[Any]:
    """Through each object of a list, and through the item that the path names by its index."""
    by_index = path[0].isdecimal()
    for index, item in enumerate(items):
        named = by_index and path[0] == str(index)
        if isinstance(item, Mapping):
            yield from values_at(item, path, whole=whole)
        elif item is not None and (not by_index or (named and len(path) > 1 and not isinstance(item, list))):
            yield Absent.STRAY
        if named and len(path) == 1:
            yield item  # a list too: what is named by its index is not opened
        elif named and isinstance(item, Mapping | list):
            yield from values_at(item, path[1:], whole=whole)
