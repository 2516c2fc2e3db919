"""Which actions a policy is for: conditions over an action, in MongoDB's notation and meaning.

`{"action_type": "PAUSE_PAYOUT", "params.amount": {"$gte": 1000000}}` holds when every condition does. Everything is
checked when a policy is loaded: an unknown operator or a malformed operand is a `CriteriaError` that names its path.

In MongoDB a value of another type than the operand's is simply not equal, greater or less. That alone would let a weaker
policy win because somebody wrote `"2000000"` for `2000000`. So an answer is sure only if it would be the same whatever the
values of a wrong type were meant to say, and whoever chooses a policy refuses where it is not.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domain import operators
from domain.conditions import Combination, Condition, Finding, Part
from domain.operators import ORDERINGS, Test, type_name
from domain.pattern import Pattern
from domain.truth import NO, UNSURE, Truth, all_of, any_of

MOST_KEYS = 200
MOST_LEVELS = 16
MOST_FIELDS = 16
MOST_VALUES = 100
MOST_ALTERNATIVES = 1000
"""The bounds of one document of criteria: its keys, its levels as JSON, fields of a path, values of a list, and of `$in`."""

_GROUPS = ("$and", "$or", "$nor")
_ON_A_PATH = frozenset(
    {"$eq", "$ne", "$in", "$nin", "$exists", "$not", "$all", "$size", "$elemMatch", "$regex", "$options", *ORDERINGS}
)


class CriteriaError(ValueError):
    """Criteria that cannot be understood; the message names the path and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions that must all hold."""

    conditions: tuple[Part, ...]

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Whether every condition holds, with MongoDB's meaning."""
        return self.judge(document).holds

    def judge(self, document: Mapping[str, Any]) -> Truth:
        """Whether every condition holds, and whether that is sure; never raises, whatever JSON the document is."""
        return all_of(part.judge(document) for part in self.conditions)

    def explain(self, document: Mapping[str, Any]) -> tuple[Finding, ...]:
        """What each condition found, in the order of the document they came from."""
        return tuple(part.examine(document) for part in self.conditions)

    def single_conditions(self) -> Iterator[Condition]:
        """Every condition on the document, those within others too."""
        for part in self.conditions:
            yield from part.conditions()


def parse(document: Any) -> Criteria:
    """Read criteria; raises `CriteriaError` for anything that is not fully understood."""
    if _keys(document, MOST_LEVELS) > MOST_KEYS:
        raise CriteriaError(f"criteria: more than {MOST_KEYS} keys")
    return Criteria(_criteria(document, ""))


def _keys(value: Any, levels: int) -> int:
    """How many keys there are; raises for more levels than that, so that what follows may recurse."""
    if not isinstance(value, dict | list):
        return 0
    if not levels:
        raise CriteriaError(f"criteria: more than {MOST_LEVELS} levels deep")
    if isinstance(value, list):
        return sum(_keys(item, levels - 1) for item in value)
    return len(value) + sum(_keys(item, levels - 1) for item in value.values())


def _criteria(document: Any, where: str) -> tuple[Part, ...]:
    if not isinstance(document, dict):
        raise CriteriaError(f"{where or 'criteria'}: expected an object of path: condition")
    return tuple(part for key, value in document.items() for part in _entry(key, value, where))


def _entry(key: Any, value: Any, where: str) -> Iterator[Part]:
    within = f"{where}.{key}".lstrip(".")
    if key in _GROUPS:
        members = enumerate(_list(value, within))
        yield Combination("", key, value, tuple(_member(item, f"{within}[{number}]") for number, item in members))
    elif not isinstance(key, str) or not all(key.split(".")) or key.startswith("$"):
        known = f"the path of a field, such as action_type or params.amount, or one of {', '.join(_GROUPS)}"
        raise CriteriaError(f"{within!r}: expected {known}")
    elif key.count(".") >= MOST_FIELDS:
        raise CriteriaError(f"{within}: a path of more than {MOST_FIELDS} fields")
    else:
        yield from _on_path(key, value if _has_operators(value) else {"$eq": value}, within)


def _member(document: Any, where: str) -> Part:
    """One of the criteria in a group, as one condition."""
    parts = _criteria(document, where)
    if not parts:
        raise CriteriaError(f"{where}: criteria without a condition always hold; leave them out")
    return parts[0] if len(parts) == 1 else Combination("", "$and", document, parts)


def _has_operators(value: Any) -> bool:
    return isinstance(value, dict) and any(str(key).startswith("$") for key in value)


def _on_path(path: str, asked: dict[Any, Any], where: str) -> Iterator[Part]:
    for operator, operand in asked.items():
        if operator not in _ON_A_PATH:
            raise CriteriaError(f"{where}: unknown operator {operator!r}; known are {', '.join(sorted(_ON_A_PATH))}")
        if operator == "$regex":
            test = operators.fits(_pattern(operand, asked.get("$options", ""), where))
            yield Condition(path, operator, operand, test)
        elif operator != "$options":
            yield _part(path, operator, operand, where)
        elif "$regex" not in asked:
            raise CriteriaError(f"{where}: $options belongs to a $regex")


def _part(path: str, operator: str, operand: Any, where: str) -> Part:
    match operator:
        case "$not":
            if not _has_operators(operand):
                raise CriteriaError(f'{where}: $not needs operators, such as {{"$gte": 5}}')
            return Combination(path, operator, operand, tuple(_on_path(path, operand, f"{where}.$not")))
        case "$all":
            return Combination(path, operator, operand, _each(path, _list(operand, f"{where}: $all"), where))
        case "$elemMatch":
            return Condition(path, operator, operand, _some_item(operand, f"{where}.$elemMatch"), whole=True)
        case "$size":
            return Condition(path, operator, operand, _size(operand, where), whole=True)
        case "$exists":
            if not isinstance(operand, bool):
                raise CriteriaError(f"{where}: $exists needs true or false")
            return Condition(path, operator, operand, operators.exists, whole=True, negated=not operand)
        case "$eq" | "$ne":
            test = operators.equals_one_of([_single(operand, operator, where)])
        case "$in" | "$nin":
            values = _list(operand, f"{where}: {operator}", MOST_ALTERNATIVES)
            test = operators.equals_one_of([_single(value, operator, where) for value in values])
        case _:
            if type_name(operand) not in {"number", "string"}:
                raise CriteriaError(f"{where}: {operator} needs a number or a string, not {type_name(operand)}")
            test = operators.compares(operator, _single(operand, operator, where))
    return Condition(path, operator, operand, test, negated=operator in {"$ne", "$nin"})


def _each(path: str, values: list[Any], where: str) -> tuple[Part, ...]:
    """The conditions of $all: one for each value, or for each $elemMatch."""
    if all(isinstance(value, dict) and set(value) == {"$elemMatch"} for value in values):
        return tuple(part for value in values for part in _on_path(path, value, f"{where}.$all"))
    singles = [_single(value, "$all", where) for value in values]
    return tuple(Condition(path, "$eq", value, operators.equals_one_of([value], among=singles)) for value in singles)


def _some_item(operand: Any, where: str) -> Test:
    """Whether some item of a list meets all of some operators, or some object in it all of some criteria."""
    if not isinstance(operand, dict) or not operand:
        raise CriteriaError(f"{where}: expected operators for each item, or criteria for each object in the list")
    of_values = _has_operators(operand) and not any(key in operand for key in _GROUPS)
    parts = tuple(_on_path("", operand, where)) if of_values else _criteria(operand, where)

    def meets(item: Any) -> Truth:
        if of_values or isinstance(item, Mapping):
            return all_of(part.judge(item) for part in parts)
        if isinstance(item, list):  # MongoDB takes it for an object with numbers as its fields
            return Truth(meets({str(index): value for index, value in enumerate(item)}).holds, sure=False)
        return NO if item is None else UNSURE

    return operators.is_list(lambda items: any_of(meets(item) for item in items))


def _size(operand: Any, where: str) -> Test:
    if type(operand) is not int or operand < 0:
        raise CriteriaError(f"{where}: $size needs a whole number, 0 or more")
    return operators.is_list(lambda items: Truth(len(items) == operand))


def _pattern(text: Any, options: Any, where: str) -> Pattern:
    if not isinstance(text, str) or not text:
        raise CriteriaError(f"{where}: $regex needs a pattern, as text")
    if options not in ("", "i"):
        raise CriteriaError(f'{where}: $options can only be "i", which ignores case')
    try:
        return Pattern(text, ignores_case=options == "i")
    except ValueError as error:
        raise CriteriaError(f"{where}: $regex: {error}") from None


def _list(value: Any, where: str, most: int = MOST_VALUES) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise CriteriaError(f"{where} needs a list with at least one value")
    if len(value) > most:
        raise CriteriaError(f"{where} takes at most {most} values")
    return value


def _single(value: Any, operator: str, where: str) -> Any:
    if type_name(value) not in {"null", "boolean", "number", "string"}:
        raise CriteriaError(f"{where}: {operator} compares single JSON values, not {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise CriteriaError(f"{where}: {value} is no number of JSON")
    return value
