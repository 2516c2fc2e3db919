"""The states of an action and the only ways from one to another.

`TRANSITIONS` is the one source: the trigger in `schema.sql` and `docs/states.md` are generated from it.
"""

from enum import StrEnum


class Status(StrEnum):
    """Where an action stands; the values are what callers see."""

    REQUESTED = "requested"
    PENDING_APPROVAL = "pending_approval"
    ESCALATED = "escalated"
    APPROVED = "approved"
    EXECUTING = "executing"
    OUTCOME_UNKNOWN = "outcome_unknown"
    EXECUTED = "executed"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


MEANINGS: dict[Status, str] = {
    Status.REQUESTED: "created; nobody has voted yet",
    Status.PENDING_APPROVAL: "votes are coming in",
    Status.ESCALATED: "the deadline passed, or no approval was in reach, and a further role may vote too",
    Status.APPROVED: "the required people agreed; waiting to be executed, or to be tried again",
    Status.EXECUTING: "an attempt is under way and holds the lease",
    Status.OUTCOME_UNKNOWN: "a call was made and nobody knows whether it took effect",
    Status.EXECUTED: "the effect happened, once",
    Status.FAILED: "the effect did not happen and will not be tried again by itself",
    Status.REJECTED: "the required people disagreed",
    Status.EXPIRED: "the deadline passed without a decision, or without an execution",
    Status.CANCELLED: "taken back before execution started",
}

OPEN = frozenset({Status.REQUESTED, Status.PENDING_APPROVAL, Status.ESCALATED})
"""States in which votes are counted; these are what pending lists show."""

TRANSITIONS: dict[tuple[Status, Status], str] = {
    (Status.REQUESTED, Status.PENDING_APPROVAL): "the first vote is counted",
    (Status.REQUESTED, Status.APPROVED): "the first vote decides, or the policy asks for no approval",
    (Status.REQUESTED, Status.REJECTED): "the first vote decides",
    (
        Status.REQUESTED,
        Status.ESCALATED,
    ): "the deadline passes, or no approval is in reach, and there is an escalation step",
    (Status.REQUESTED, Status.EXPIRED): "the deadline passes and there is none",
    (Status.REQUESTED, Status.CANCELLED): "it is taken back",
    (Status.PENDING_APPROVAL, Status.APPROVED): "the votes fill the requirement",
    (Status.PENDING_APPROVAL, Status.REJECTED): "the votes decide against it",
    (
        Status.PENDING_APPROVAL,
        Status.ESCALATED,
    ): "the deadline passes, or no approval is in reach, and there is an escalation step",
    (Status.PENDING_APPROVAL, Status.EXPIRED): "the deadline passes and there is none",
    (Status.PENDING_APPROVAL, Status.CANCELLED): "it is taken back",
    (Status.ESCALATED, Status.APPROVED): "the votes fill the requirement or the step's",
    (Status.ESCALATED, Status.REJECTED): "the votes decide against it",
    (Status.ESCALATED, Status.EXPIRED): "the last step's deadline passes",
    (Status.ESCALATED, Status.CANCELLED): "it is taken back",
    (Status.APPROVED, Status.EXECUTING): "an attempt starts",
    (Status.APPROVED, Status.EXPIRED): "nobody asked for its execution in time",
    (Status.APPROVED, Status.CANCELLED): "it is taken back",
    (Status.APPROVED, Status.PENDING_APPROVAL): "deciding again before the first attempt, a vote no longer counts",
    (Status.APPROVED, Status.REJECTED): "a vote no longer counts, and what is left decides against it at once",
    (Status.APPROVED, Status.ESCALATED): "a vote no longer counts, and no approval is in reach without the next step",
    (Status.APPROVED, Status.FAILED): "its time to be tried again is over, and no attempt had an effect",
    (Status.APPROVED, Status.OUTCOME_UNKNOWN): "its time to be tried again is over, and nobody knows about an attempt",
    (Status.EXECUTING, Status.EXECUTED): "the attempt succeeded",
    (Status.EXECUTING, Status.FAILED): "the other side refused, or the attempts are used up without effect",
    (Status.EXECUTING, Status.APPROVED): "the attempt is to be repeated with the same idempotency key",
    (Status.EXECUTING, Status.OUTCOME_UNKNOWN): "nobody knows what the attempt came to, and repeating is no way out",
    (Status.OUTCOME_UNKNOWN, Status.EXECUTED): "it is found that the effect happened",
    (Status.OUTCOME_UNKNOWN, Status.APPROVED): "it is found that it did not, and it is to be tried again",
    (Status.OUTCOME_UNKNOWN, Status.FAILED): "it is found that it did not",
    (Status.FAILED, Status.APPROVED): "a person has it tried again",
}

FINAL = frozenset(Status) - {before for before, _ in TRANSITIONS}
"""States that no transition leaves."""

HOLDING = frozenset(Status) - FINAL - {Status.FAILED}
"""States in which an action holds its exclusive key: its effect may still come by itself, or has perhaps come."""

MAY_STILL_HAPPEN = frozenset(Status) - FINAL | {Status.EXECUTED}
"""States in which an action has had its effect, or may have it, be it because people have it tried again."""

WITHOUT_EFFECT = (FINAL - {Status.EXECUTED}) | {Status.FAILED}
"""States in which an action has had no effect, and has none by itself."""


class ForbiddenTransition(RuntimeError):
    """A step tried a change of status that the graph does not have: a defect of the engine, never of its input."""


def check(before: Status, after: Status) -> None:
    """Raises `ForbiddenTransition` unless the graph has this change; staying where it is is always allowed."""
    if before is not after and (before, after) not in TRANSITIONS:
        raise ForbiddenTransition(f"{before} -> {after} is not a transition of an action")
