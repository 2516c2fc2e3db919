"""An installation with actions in every state, of services that guarantee everything, something and nothing."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from db import due
from domain.executing import AttemptFinished, AttemptStarted, OutcomeFound
from domain.lifecycle import Status
from domain.messages import CancelAction, CreateAction
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from domain.proposal import RecommendAction, RemediateAlert
from tests import world
from tests.world import Installation, top_up
from workers import definition_files
from workers.envelope import SigningKey
from workers.producer import Producer

DEFINITIONS = """
policies:
  - name: Float of a larger kind
    criteria: {params.size: large}
    policy:
      required_quorum: {type: percentage, value: {percentage: 0.5, pool: finance_ops}}
      required_ratio: 0.5
      timeout_seconds: 3600
      escalation_role: cfo
    priority: 99
  - name: Float of no importance
    criteria: {params.size: small}
    policy:
      required_quorum: {type: none}
      required_ratio: 0.5
      timeout_seconds: 3600
      auto_execute: true
    priority: 98
  - name: Float in an emergency
    criteria: {params.size: urgent}
    policy:
      required_quorum: {type: role, value: {role: finance_ops, min_votes: 2}}
      auto_execute: true
      break_glass: {role: cfo, uses: 2, within_seconds: 3600, valid_seconds: 600}
    priority: 97
action_types:
  - {name: ASKED, guarantee: queryable, query_path: /ask, service: float, path: /x, retry_base_seconds: 1}
  - {name: BLIND, guarantee: neither, service: float, path: /x, retry_base_seconds: 1}
"""
STORIES: list[list[Outcome | None]] = [
    [Done({"ok": True})],
    [Rejected("no")],
    [Retry("busy"), Done()],
    [Unknown("lost")],
    [None],
    [],
]
TYPES = ("ADJUST_FLOAT", "ASKED", "BLIND")
PEOPLE = ("finance-user-1", "finance-user-2")


def fill(installation: Installation) -> None:
    """Let everything happen that can."""
    for of_kind, definition in definition_files.parse(DEFINITIONS, "busy.yaml"):
        params = {"kind": of_kind, "name": definition.name, "definition": definition.model_dump(mode="json")}
        asked = installation.agreed("CHANGE_DEFINITION", params | {"replaces": 0, "reason": "busy"}, "definitions")
        assert installation.perform(asked) == "executed"
    for number, person in enumerate((None, "cfo-1")):
        public = SigningKey.generate(f"busy-{number}", "busy").public_jwk["x"]
        whose: dict[str, Any] = (
            {"person_id": person} if person else {"issuer": "busy", "scope": {"types": ["CreateAction"]}}
        )
        params = whose | {"kid": f"busy-{number}", "public_key": public, "reason": "busy"}
        asked = installation.agreed("ENROL_KEY" if person else "REGISTER_KEY", params, "definitions")
        assert installation.perform(asked) == "executed"
    for kind in TYPES:
        for outcomes in STORIES:
            attempt(installation, approved(installation, kind), outcomes)
    found = approved(installation, "ASKED")
    attempt(installation, found, [Unknown("lost")])
    for outcome in (Retry("it did not happen"), Done()):
        call_again(installation, found, outcome)
    _take_back(installation)
    _settle(installation)
    _approve_alone(installation)
    _propose(installation)
    _wait_for_people(installation)
    _act_for_somebody(installation)
    _nonsense(installation)


def _take_back(installation: Installation) -> None:
    """One action that its creator cancels, and one that an admin does."""
    for issuer, person in (("sira", "sira-system"), ("ops-tooling", "ops-admin-1")):
        body = CancelAction(action_id=create(installation), cancelled_by=person, reason="a mistake")
        assert installation.tell(issuer, body)[0].outcome == "applied"


def _settle(installation: Installation) -> None:
    """Have people try a failed action again, and say of two calls what became of them."""
    for kind, outcome, params in (
        ("RETRY", Rejected("no"), {}),
        ("RESOLVE_OUTCOME", Unknown("lost"), {"outcome": "executed", "result": {"ok": True}}),
        ("ROLL_BACK", Done({"ok": True}), {}),
    ):
        subject = approved(installation, "BLIND")
        attempt(installation, subject, [outcome])
        asked = installation.agreed(kind, {"action_id": str(subject), "reason": "looked into"} | params)
        installation.perform(asked)


def _approve_alone(installation: Installation) -> None:
    """What one person approved alone was right, in the eyes of others, and what they did again was not."""
    for choice in ("approve", "reject"):
        body = top_up(str(uuid4()), auto_execute=None, params=top_up().params | {"size": "urgent"})
        (receipt,) = installation.tell("sira", body)
        assert receipt.action_id is not None, receipt
        assert installation.vote(receipt.action_id, "cfo-1", break_glass="it is night").outcome == "applied"
        attempt(installation, receipt.action_id, [Done({"ok": True})])
        asked = installation.scalar("select id from actions where caused_by = %s", receipt.action_id)
        for person in ("ops-admin-1", "ops-admin-2"):
            assert installation.vote(asked, person, choice).outcome == "applied"
        if choice == "approve":
            assert installation.perform(asked) == "executed"


def _propose(installation: Installation) -> None:
    """Alerts and recommendations that led to actions, which are taken back, and others that led to none or wait."""
    agent = {"tenant_type": "agent", "tenant_id": "agent-123"}
    said = {"confidence": 0.95, "params": {"agent_id": "agent-123", "adjustment": "top_up", "amount": 1}}
    low = {"alert_type": "float_low", "severity": "critical", "metric": {}, **agent}
    fraud = {"alert_type": "fraud_score_high", "tenant_type": "merchant", "tenant_id": "m-1"}
    told = installation.tell(
        "alerts",
        RemediateAlert.model_validate({"alert": low | {"id": "asked"}}),
        RemediateAlert.model_validate({"alert": low | {"id": "low"}, "recommendation": said}),
        RemediateAlert.model_validate({"alert": low | {"id": "soon after"}, "recommendation": said}),
        RemediateAlert.model_validate({"alert": low | fraud | {"id": "fraud"}, "recommendation": {"confidence": 0.95}}),
    )
    recommended = said | agent | {"recommendation_type": "ADJUST_FLOAT", "explanation": None}
    told += installation.tell(
        "sira",
        RecommendAction.model_validate(recommended | {"id": "sure"}),
        RecommendAction.model_validate(recommended | {"id": "applied", "confidence": 0.5}),
    )
    asked = {"origin": "ops_ui", "action_type": "ADJUST_FLOAT", "created_by": "ops-admin-1"}
    asked |= {f"target_{name}": value for name, value in agent.items()}
    asked["params"] = installation.scalar("select params from sira_dash_recommendations where id = 'applied'")
    told += installation.tell("ops-tooling", CreateAction.model_validate(asked))
    installation.tell("sira", RecommendAction.model_validate(recommended | {"id": "waits", "confidence": 0.5}))
    made = [receipt.action_id for receipt in told if receipt.action_id is not None]
    assert len(made) == 4
    for action_id in made:
        body = CancelAction(action_id=action_id, cancelled_by="ops-admin-1", reason="done by hand")
        assert installation.tell("ops-tooling", body)[0].outcome == "applied"


def create(installation: Installation, action_type: str = "ADJUST_FLOAT", **params: str) -> UUID:
    key = str(uuid4())
    body = top_up(key, action_type=action_type, params=top_up(alert=key).params | params)
    (receipt,) = installation.tell("sira", body)
    assert receipt.action_id is not None, receipt
    return receipt.action_id


def approved(installation: Installation, action_type: str) -> UUID:
    """An approved action whose execution was asked for."""
    policy = {"size": "large"} if action_type == "ASKED" else {}
    action_id = create(installation, action_type, **policy)
    voters = PEOPLE if action_type != "BLIND" else ("ops-admin-1", "ops-admin-2")
    for person in voters:
        assert installation.vote(action_id, person).outcome == "applied"
    assert installation.ask_to_execute(action_id).outcome == "applied"
    return action_id


def attempt(installation: Installation, action_id: UUID, outcomes: Sequence[Outcome | None]) -> None:
    """One attempt for each outcome; None is a worker that says nothing."""
    for outcome in outcomes:
        token = start(installation, action_id)
        if outcome is not None:
            (told,) = installation.applier.apply([AttemptFinished(action_id, token, outcome)]).receipts
            assert told.outcome == "applied"


def start(installation: Installation, action_id: UUID) -> int:
    installation.make_due(action_id)
    token = due.draw_token(installation.owner)
    (started,) = installation.applier.apply([AttemptStarted(action_id, token, "w")]).receipts
    assert started.outcome == "applied", started
    return token


def call_again(installation: Installation, action_id: UUID, outcome: Outcome) -> None:
    """Find out what became of the call, or make the next one."""
    if installation.action(action_id)["status"] == "approved":
        attempt(installation, action_id, [outcome])
        return
    with installation.owner.transaction():  # let the call's time pass, which nobody else may
        installation.owner.execute("set local session_replication_role = replica")
        move = "update attempts set started_at = started_at - interval '1 minute' where action_id = %s"
        installation.owner.execute(move, [action_id])
    token = installation.scalar("select last_token from actions where id = %s", action_id)
    (told,) = installation.applier.apply([OutcomeFound(action_id, token, outcome)]).receipts
    assert told.outcome == "applied", told


def _wait_for_people(installation: Installation) -> None:
    create(installation)
    rejected, expired, escalated = (create(installation) for _ in range(3))
    pending = create(installation, content="seen")
    shown = installation.action(pending)["content_hash"]
    installation.vote(pending, "finance-user-1", content_hash=shown, comment="yes")
    installation.vote(pending, "finance-user-2", "abstain")
    installation.vote(pending, "finance-user-2", "withdraw")
    for person in PEOPLE:
        installation.vote(rejected, person, "reject")
    for waiting in (escalated, expired):
        installation.make_due(waiting)
        installation.applier.sweep([Status.REQUESTED])
    installation.make_due(expired)
    installation.applier.sweep([Status.ESCALATED])
    installation.vote(escalated, "cfo-1")
    create(installation, size="small")


def _act_for_somebody(installation: Installation) -> None:
    """One approval by the delegate of one who is away, and by another of whom a delegate voted for nothing."""
    installation.tell("directory", world.directory(2, None, **{"pay-admin-1": PEOPLE, "cfo-1": PEOPLE[:1]}))
    action_id = create(installation)
    for person, choice in (("cfo-1", "reject"), ("pay-admin-1", "approve"), (PEOPLE[0], "approve")):
        assert installation.vote(action_id, person, choice).outcome == "applied"
    assert installation.action(action_id)["status"] == "approved"


def _nonsense(installation: Installation) -> None:
    """A parked vote, a refused one, the same twice, a key that nobody knows, and an approval by one who left."""
    installation.vote(uuid4(), "finance-user-1")
    installation.vote(create(installation), "merchant-viewer")
    same = top_up("twice")
    installation.tell("sira", same, same)
    stranger = Producer(installation.client, SigningKey.generate("nobody-1", "nobody"))
    installation.apply([stranger.sign(same)])
    left = create(installation)
    for person in ("finance-user-3", "finance-user-4"):
        installation.vote(left, person)
    people = {person: roles for person, roles in world.PEOPLE.items() if person != "finance-user-4"}
    installation.tell("directory", world.directory(3, people))
    installation.ask_to_execute(left)
    token = due.draw_token(installation.owner)
    (reopened,) = installation.applier.apply([AttemptStarted(left, token, "w")]).receipts
    assert reopened.code == "not_approved"
