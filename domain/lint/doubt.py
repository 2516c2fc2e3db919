"""What a doubt is: a definition, a stable code, how bad it is, and a sentence that says what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.definition import Kind


class Severity(StrEnum):
    """How bad it is: an error means that the definition cannot do what it says, a warning that it may not be meant."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something doubtful about a definition; callers may rely on `code`, the sentence is for people."""

    kind: Kind
    name: str
    code: str
    severity: Severity
    sentence: str


Found = tuple[str, str]
"""A code and its sentence."""

SEVERITIES: Mapping[str, Severity] = {
    "cannot_be_filled": Severity.ERROR,
    "changes_refused": Severity.ERROR,
    "never_asked": Severity.ERROR,
    "params_never_taken": Severity.ERROR,
    "passed_over": Severity.ERROR,
    "too_few_personal_keys": Severity.ERROR,
    "always_sure_enough": Severity.WARNING,
    "approvers_not_asked": Severity.WARNING,
    "break_glass_by_nobody": Severity.WARNING,
    "break_glass_executes_by_itself": Severity.WARNING,
    "break_glass_for_nothing": Severity.WARNING,
    "break_glass_too_long": Severity.WARNING,
    "break_glass_too_often": Severity.WARNING,
    "cannot_be_ratified": Severity.WARNING,
    "escalates_to_the_same": Severity.WARNING,
    "executes_by_itself": Severity.WARNING,
    "hardly_ever_sure_enough": Severity.WARNING,
    "no_approval": Severity.WARNING,
    "no_cooldown": Severity.WARNING,
    "nobody_is_asked": Severity.WARNING,
    "one_target_only": Severity.WARNING,
    "order_by_name": Severity.WARNING,
    "percentage_of_one": Severity.WARNING,
    "role_of_nobody": Severity.WARNING,
    "self_approval": Severity.WARNING,
    "unknown_action_type": Severity.WARNING,
    "waiting_makes_it_easier": Severity.WARNING,
    "execution_by_alert": Severity.NOTE,
    "execution_left_open": Severity.NOTE,
    "ratified_by_fewer": Severity.NOTE,
}
"""Every code, and how bad it is."""

GREAT_RISKS = frozenset({"high", "critical"})
"""The risk levels of actions that had better not execute by themselves."""
