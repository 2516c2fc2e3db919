"""The objects of the integration document as it writes them, and the engine as its callers meet it: messages in, reads out."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from db import read
from domain.messages import AnyBody, ExecuteAction, parse_body
from domain.refusals import Refusal
from tests.world import Installation, wait_for

Read = dict[str, Any]


def body(type_name: str, fields: Mapping[str, Any]) -> AnyBody:
    """A body of the document; the test fails if the engine does not take it as it is written there."""
    parsed = parse_body(type_name, dict(fields))
    assert not isinstance(parsed, Refusal), parsed.sentence
    return parsed


def create_ops_action(engine: Installation, issuer: str, **fields: Any) -> Read:
    """`createOpsAction`: the receipt of a message that asks for an action."""
    return engine.send(issuer, body("CreateAction", fields))


def vote_on_action(
    engine: Installation, action_id: UUID, voter: str, roles: list[str], vote: str, comment: str = ""
) -> Read:
    """`voteOnAction`."""
    fields = {"action_id": action_id, "voter_id": voter, "voter_roles": roles, "vote": vote, "comment": comment or None}
    return engine.send(
        "ops-tooling", body("CastVote", {name: value for name, value in fields.items() if value is not None})
    )


def execute_action(engine: Installation, action_id: UUID, person: str) -> Read:
    """`executeAction`."""
    return engine.send("ops-tooling", ExecuteAction(action_id=action_id, executed_by=person))


def alert(engine: Installation, alert_id: str) -> Read:
    found = read.get_alert(engine.owner, alert_id)
    assert found is not None
    return found


def alert_in(engine: Installation, alert_id: str, status: str) -> Read:
    """The alert, as soon as it has this status."""
    return wait_for(lambda: found if (found := alert(engine, alert_id))["status"] == status else None)


def decisions(engine: Installation, alert_id: str) -> list[str]:
    """What was decided about an alert, the first first."""
    return [row["action"] for row in read.get_alert_decisions(engine.owner, alert_id)]


def recommendation(engine: Installation, recommendation_id: str) -> Read:
    found = read.get_recommendation(engine.owner, recommendation_id)
    assert found is not None
    return found


def eventually(look: Callable[[], Any], expected: Any) -> None:
    """What `look` finds becomes this."""
    wait_for(lambda: look() == expected)
