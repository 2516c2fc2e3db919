"""Conditions over a document: single ones, combined ones, and what they find."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from domain.operators import Test
from domain.paths import Absent, values_at
from domain.truth import Truth, all_of, any_of


@dataclass(frozen=True, slots=True)
class Finding:
    """What a condition found: the values seen at its path, whether it holds, and whether a wrong type makes that unsure.

    `words` is the condition for people. A combination sees nothing itself: `within` is what its conditions found.
    """

    path: str
    operator: str
    operand: Any
    words: str
    seen: tuple[Any, ...]
    holds: bool
    type_mismatch: bool
    within: tuple["Finding", ...] = ()

    @property
    def unmet(self) -> "Finding":
        """Of what surely does not hold the first part that is the reason; itself where the parts only fail together."""
        return first_unmet(self.within) if self.operator in {"$and", "$all"} else self


def first_unmet(findings: Iterable[Finding]) -> Finding:
    """The first condition that surely does not hold; there is one wherever all together surely do not."""
    return next(finding for finding in findings if not finding.holds and not finding.type_mismatch).unmet


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator applied to the values at a path; without a path, to the document itself.

    `whole` asks of lists as they are and not of their items; `negated` turns the answer round.
    """

    path: str
    operator: str
    operand: Any
    test: Test = field(repr=False, compare=False)
    whole: bool = False
    negated: bool = False

    @property
    def words(self) -> str:
        """The condition for people."""
        name = "=" if self.operator == "$eq" else self.operator.removeprefix("$")
        return f"{self.path} {name} {json.dumps(self.operand)}".lstrip()

    def judge(self, document: Any) -> Truth:
        """Whether it holds, and whether that is sure; never raises, whatever JSON the document is."""
        answer = any_of(self._answer(value) for value in self._found(document, whole=self.whole))
        return ~answer if self.negated else answer

    def examine(self, document: Any) -> Finding:
        """Judge, and keep what was seen."""
        answer = self.judge(document)
        seen = tuple(value for value in self._found(document, whole=True) if not isinstance(value, Absent))
        return Finding(self.path, self.operator, self.operand, self.words, seen, answer.holds, not answer.sure)

    def conditions(self) -> Iterator["Condition"]:
        """The single conditions that it consists of."""
        yield self

    def _found(self, document: Any, *, whole: bool) -> Iterable[Any]:
        return values_at(document, self.path.split("."), whole=whole) if self.path else (document,)

    def _answer(self, value: Any) -> Truth:
        match value:
            case Absent.BLOCKED:
                return Truth(self.test(Absent.MISSING).holds, sure=False)
            case Absent.STRAY:
                return Truth(holds=False, sure=False)
            case _:
                return self.test(value)


@dataclass(frozen=True, slots=True)
class Combination:
    """Several conditions as one: `$and`, `$or` and `$nor` combine any, `$not` and `$all` those on one path."""

    path: str
    operator: str
    operand: Any
    parts: tuple["Part", ...]

    @property
    def words(self) -> str:
        """The conditions for people."""
        match self.operator:
            case "$and":
                return f"({in_words(self.parts)})"
            case "$or":
                return f"({in_words(self.parts, ' or ')})"
            case "$nor":
                return f"not ({in_words(self.parts, ' or ')})"
            case "$not":
                return f"not ({in_words(self.parts)})"
            case _:
                return f"{self.path} all {json.dumps(self.operand)}".lstrip()

    def judge(self, document: Any) -> Truth:
        """Whether it holds, and whether that is sure."""
        return self.combine(part.judge(document) for part in self.parts)

    def combine(self, answers: Iterable[Truth]) -> Truth:
        """What the answers of its parts come to."""
        return _COMBINED[self.operator](answers)

    def examine(self, document: Any) -> Finding:
        """Judge, and keep what each of its conditions found."""
        answer = self.judge(document)
        within = tuple(part.examine(document) for part in self.parts)
        return Finding(self.path, self.operator, self.operand, self.words, (), answer.holds, not answer.sure, within)

    def conditions(self) -> Iterator[Condition]:
        """The single conditions that it consists of."""
        for part in self.parts:
            yield from part.conditions()


Part = Condition | Combination

_COMBINED: dict[str, Callable[[Iterable[Truth]], Truth]] = {
    "$and": all_of,
    "$or": any_of,
    "$nor": lambda answers: ~any_of(answers),
    "$not": lambda answers: ~all_of(answers),
    "$all": all_of,
}


def in_words(parts: Iterable[Part], between: str = " and ") -> str:
    """Conditions for people, one after the other."""
    return between.join(part.words for part in parts)
