"""Which actions a policy is for: conditions over an action, in MongoDB's notation and meaning.

`{"action_type": "PAUSE_PAYOUT", "params.amount": {"$gte": 1000000}}` holds when every condition does. Everything is
checked when a policy is loaded: an unknown operator or a malformed operand is a `CriteriaError` that names its path.

As in MongoDB a value of another type than the operand's is simply not equal, greater or less. That alone would let a
weaker policy win because somebody wrote `"2000000"` for `2000000`, so each finding also says when the types differ, and
whoever chooses a policy refuses then.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class CriteriaError(ValueError):
    """Criteria that cannot be understood; the message names the path and what is wrong there."""


class Absent(Enum):
    """Why a path leads to no value: there is none, or something else than an object is in the way."""

    MISSING = "missing"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one condition found: the values seen at its path, whether it holds, and whether the types differed."""

    path: str
    operator: str
    operand: Any
    seen: tuple[Any, ...]
    holds: bool
    type_mismatch: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator applied to one path."""

    path: str
    operator: str
    operand: Any

    def examine(self, document: Mapping[str, Any]) -> Finding:
        """Evaluate the condition; never raises, whatever the document holds."""
        found = tuple(_values(document, self.path.split(".")))
        candidates = [item for value in found for item in (value, *(value if isinstance(value, list) else ()))]
        holds = _OPERATORS[self.operator](self.operand, candidates)
        seen = tuple(value for value in found if not isinstance(value, Absent))
        return Finding(self.path, self.operator, self.operand, seen, holds, self._type_differs(found))

    def _type_differs(self, found: tuple[Any, ...]) -> bool:
        operands = self.operand if self.operator in {"$in", "$nin"} else [self.operand]
        wanted = {_bracket(operand) for operand in operands}
        if "null" in wanted:  # asking for null is asking whether there is a value, of whatever type
            return False
        if Absent.BLOCKED in found or (self.operator in _ORDERINGS and [] in found):
            return True
        values = [item for value in found for item in (value if isinstance(value, list) else (value,))]
        return any(_bracket(value) not in wanted for value in values if value is not Absent.MISSING)


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...]

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Whether every condition holds, with MongoDB's meaning."""
        return all(finding.holds for finding in self.explain(document))

    def explain(self, document: Mapping[str, Any]) -> tuple[Finding, ...]:
        """What each condition found, in the order of the document they came from."""
        return tuple(condition.examine(document) for condition in self.conditions)


def parse(document: Any) -> Criteria:
    """Read criteria; raises `CriteriaError` for anything that is not fully understood."""
    if not isinstance(document, dict):
        raise CriteriaError("criteria must be an object of path: condition")
    return Criteria(tuple(condition for path, value in document.items() for condition in _conditions(path, value)))


def _conditions(path: Any, value: Any) -> Iterator[Condition]:
    if not isinstance(path, str) or not all(path.split(".")) or path.startswith("$"):
        raise CriteriaError(f"{path!r}: expected the path of a field, such as action_type or params.amount")
    if not (isinstance(value, dict) and any(str(key).startswith("$") for key in value)):
        value = {"$eq": value}
    for operator, operand in value.items():
        if operator not in _OPERATORS:
            raise CriteriaError(f"{path}: unknown operator {operator!r}; known are {', '.join(sorted(_OPERATORS))}")
        _check_operand(path, operator, operand)
        yield Condition(path, operator, operand)


def _check_operand(path: str, operator: str, operand: Any) -> None:
    if operator in {"$in", "$nin"}:
        if not isinstance(operand, list) or not operand:
            raise CriteriaError(f"{path}: {operator} needs a list with at least one value")
        for item in operand:
            _check_operand(path, "$eq", item)
    elif operator in _ORDERINGS and _bracket(operand) not in {"number", "string"}:
        raise CriteriaError(f"{path}: {operator} needs a number or a string, not {_bracket(operand)}")
    elif _bracket(operand) not in {"null", "boolean", "number", "string"}:
        raise CriteriaError(f"{path}: {operator} compares single JSON values, not {type(operand).__name__}")
    elif isinstance(operand, float) and not math.isfinite(operand):
        raise CriteriaError(f"{path}: {operand} is no number of JSON")


def _values(document: Any, path: list[str]) -> Iterator[Any]:
    """All values at a dotted path, or why there is none; as in MongoDB it fans out over arrays of objects on the way."""
    if not path:
        yield document
    elif isinstance(document, Mapping):
        if path[0] in document:
            yield from _values(document[path[0]], path[1:])
        else:
            yield Absent.MISSING
    elif isinstance(document, list):
        for item in document:
            if isinstance(item, Mapping):
                yield from _values(item, path)
        if path[0].isdecimal() and int(path[0]) < len(document):
            yield from _values(document[int(path[0])], path[1:])
        elif not document:
            yield Absent.MISSING
        elif not any(isinstance(item, Mapping) for item in document):
            yield Absent.BLOCKED
    else:
        yield Absent.MISSING if document is None else Absent.BLOCKED


def _bracket(value: Any) -> str:
    """MongoDB's type bracket; true is not 1."""
    for types, name in (
        (bool, "boolean"),
        ((int, float), "number"),
        (str, "string"),
        (list, "array"),
        (Mapping, "object"),
    ):
        if isinstance(value, types):
            return name
    return "null" if value is None else "other"


def _equal(operand: Any, candidates: list[Any]) -> bool:
    if operand is None:  # as in MongoDB, a missing field equals null
        return any(value is None or isinstance(value, Absent) for value in candidates)
    return any(_bracket(value) == _bracket(operand) and value == operand for value in candidates)


def _ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Any, list[Any]], bool]:
    def holds(operand: Any, candidates: list[Any]) -> bool:
        return any(_bracket(value) == _bracket(operand) and compare(value, operand) for value in candidates)

    return holds


_ORDERINGS: dict[str, Callable[[Any, list[Any]], bool]] = {
    "$gt": _ordering(lambda value, operand: value > operand),
    "$gte": _ordering(lambda value, operand: value >= operand),
    "$lt": _ordering(lambda value, operand: value < operand),
    "$lte": _ordering(lambda value, operand: value <= operand),
}
_OPERATORS: dict[str, Callable[[Any, list[Any]], bool]] = {
    "$eq": _equal,
    "$ne": lambda operand, candidates: not _equal(operand, candidates),
    "$in": lambda operands, candidates: any(_equal(operand, candidates) for operand in operands),
    "$nin": lambda operands, candidates: not any(_equal(operand, candidates) for operand in operands),
    **_ORDERINGS,
}
