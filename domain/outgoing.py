"""What the stream of events tells to other systems: who did what to which action, and where that left it.

Never an action's params, a service's result or the words of a comment: whoever may see them reads them in the database.
"""

from dataclasses import dataclass

from domain.exact_json import canonical
from domain.lifecycle import Status
from domain.trail import Event, timestamp

TOLD = (
    "origin",
    "risk_level",
    "target_tenant_type",
    "target_tenant_id",
    "triggered_by",
    "caused_by",
    "policy_name",
    "vote",
    "reason",
    "was",
    "step",
    "role",
    "deadline",
    "missing",
    "attempt",
    "next_attempt_at",
    "agreed_in",
    "refused_in",
    "person",
    "uses_left",
)
"""What of an event's data is told; anything else stays in the database, also what a later release adds to it."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event, the type of its action, and the status in which it left the action."""

    event: Event
    action_type: str
    status: Status

    def fields(self) -> dict[str, str]:
        """The fields of its entry in the stream; `data` is a JSON object."""
        event = self.event
        data = {name: event.data[name] for name in TOLD if event.data.get(name) is not None}
        return {
            "action_id": str(event.action_id),
            "seq": str(event.seq),
            "event": event.event.value,
            "status": self.status.value,
            "action_type": self.action_type,
            "actor": event.actor,
            "at": timestamp(event.at),
            "data": canonical(data).decode(),
        }
