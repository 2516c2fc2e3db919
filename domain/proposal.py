"""What machines propose: alerts, and recommendations of SIRA; as their messages say it, and as rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from domain.body import Body, Moment, Text
from domain.exact_json import canonical
from domain.quorum_tree import Name
from domain.trail import timestamp

PROPOSER = "sira-system"
"""Who creates the action that a proposal leads to by itself."""

SIRA, SYSTEM = "sira", "system"
"""Who decides what is decided without a person, in the words that callers know."""

MANUAL_REVIEW = "manual_review"
"""What SIRA recommends where people should look, and what stands in for SIRA where it says nothing; no rule does it."""

ALERT_ID = "alert_id"
"""The param by which an action says which alert it answers."""

RECOMMENDATION_ID = "sira_recommendation_id"
"""The param by which an action says which recommendation it follows."""

CONFIDENCE, EXPLANATION = "sira_confidence", "sira_explanation"
"""The params by which an action says how sure SIRA was, and why."""

MOST_DECISIONS = 100
"""How often there may be something to decide about one alert, so that its row stays bounded."""

RECOMMENDATION_THRESHOLD = Decimal("0.90")
"""How sure SIRA must be for a recommendation to lead to an action by itself, unless the installation says otherwise."""

Confidence = Annotated[float, Field(ge=0, le=1, strict=True)]
"""How sure SIRA is, from 0 to 1."""


class Alert(Body):
    """What a metric did that somebody should see to, and whom it concerns."""

    id: Name
    alert_type: Name
    tenant_type: Name
    tenant_id: Name
    severity: Literal["info", "warning", "critical"]
    metric: dict[str, JsonValue]
    title: Text | None = None
    description: Text | None = None


class Recommendation(Body):
    """What SIRA says of an alert: the action type it would have (`action`), how sure it is, and why."""

    action: Name | None = None
    confidence: Confidence
    params: dict[str, JsonValue] = Field(default={})
    explanation: JsonValue = None


FALLBACK = Recommendation(action=MANUAL_REVIEW, confidence=0.5)
"""What stands in for SIRA's answer where there is none that can be used."""


class RemediateAlert(Body):
    """Have an alert remedied, by the remediation rule of its type; without a recommendation SIRA is asked for one."""

    alert: Alert
    recommendation: Recommendation | None = None


class RecommendAction(Body):
    """A recommendation of SIRA: an action where the confidence is high enough, else for a person to apply.

    `recommendation_type` is the type of the action. `expires_at` is 30 days from its coming unless it says otherwise.
    """

    id: Name
    tenant_type: Name
    tenant_id: Name
    recommendation_type: Name
    params: dict[str, JsonValue]
    confidence: Confidence
    explanation: JsonValue
    priority: JsonValue = None
    title: Text | None = None
    description: Text | None = None
    estimated_impact: JsonValue = None
    expires_at: Moment | None = None


Kind = Literal["alert", "recommendation"]
ProposalId = tuple[Kind, str]


def key_of(kind: Kind, proposal_id: str) -> str:
    """The idempotency key of the action that a proposal leads to by itself."""
    return f"alert-{proposal_id}-remediation" if kind == "alert" else f"sira-rec-{proposal_id}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """An alert or a recommendation, what was decided about it, and the action that answers it.

    `type` is the alert's type, or the action type that is recommended. `due_at` is when SIRA is asked about it again; None
    unless it waits for that.
    """

    kind: Kind
    id: str
    issuer: str
    kid: str
    type: str
    tenant_type: str
    tenant_id: str
    content: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    action_id: UUID | None = None
    answered_at: datetime | None = None
    due_at: datetime | None = None
    decisions: tuple[dict[str, Any], ...] = ()

    @property
    def key(self) -> ProposalId:
        """What no other proposal has."""
        return self.kind, self.id

    @property
    def concerns(self) -> tuple[str, str, str]:
        """Its type and the tenant: a newer recommendation for the same takes the place of this one."""
        return self.type, self.tenant_type, self.tenant_id

    @property
    def is_followed(self) -> bool:
        """Whether an action answers it, or SIRA is asked about it."""
        return self.action_id is not None or self.due_at is not None

    def says(self, body: Body) -> bool:
        """Whether it says the same as this body."""
        return canonical(self.content) == canonical(written(body))

    def decided(self, at: datetime, actor: str, action: str, details: dict[str, Any]) -> "Proposal":
        """The same, with one decision more, after which it waits for SIRA no longer."""
        decision = {"at": timestamp(at), "actor": actor, "action": action, "details": details}
        return replace(self, due_at=None, decisions=(*self.decisions, decision))

    def answered(self, action_id: UUID, at: datetime) -> "Proposal":
        """The same, with the action that answers it from now on."""
        return replace(self, action_id=action_id, answered_at=at)


def named(params: Mapping[str, Any], name: str) -> str | None:
    """The alert or the recommendation that an action names in its params, if it does; a number as the database has it."""
    value = params.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def written(body: Body) -> dict[str, Any]:
    """A body as it was sent."""
    return body.model_dump(mode="json", exclude_unset=True)
