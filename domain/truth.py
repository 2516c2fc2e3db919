"""Answers that may be unsure, and how they combine (Kleene's three-valued logic beside the plain one)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether something holds, and whether that is sure: an unsure answer may be the other one."""

    holds: bool
    sure: bool = True

    def __invert__(self) -> "Truth":
        return Truth(not self.holds, self.sure)


YES = Truth(holds=True)
NO = Truth(holds=False)
UNSURE = Truth(holds=False, sure=False)


def any_of(answers: Iterable[Truth]) -> Truth:
    """Whether one of them holds: sure if one surely does, or if all are sure."""
    holds, sure = False, True
    for answer in answers:
        if answer == YES:
            return YES
        holds, sure = holds or answer.holds, sure and answer.sure
    return Truth(holds, sure)


def all_of(answers: Iterable[Truth]) -> Truth:
    """Whether all of them hold: sure if one surely does not, or if all are sure."""
    return ~any_of(~answer for answer in answers)
