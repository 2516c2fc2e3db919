"""Breaking glass: one person approves alone, with a reason, so often and for so long; others say afterwards if it was right."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import deciding
from domain.action import Action
from domain.action_type import Inverse
from domain.break_glass import BreakGlass
from domain.definitions import Definitions, Versioned
from domain.directory import Directory, Grant
from domain.engine import step
from domain.executing import Perform
from domain.messages import parse_body
from domain.outcome import Done
from domain.policy import Policy, Rules
from domain.refusals import Refusal
from tests.unit.in_memory import HOUR, NOW, RULES, TYPE, WHOLE, InMemory, answer, body_of
from tests.unit.test_sync import snapshot

DAY = 24 * HOUR
GLASS_BROKEN = {"break_glass": "the float is empty and nobody answers"}
GLASS = {"role": "duty", "uses": 2, "within_seconds": DAY, "valid_seconds": 600}
ROLES = {
    "duty": ["duty"],
    "other": ["duty"],
    "f1": ["finance_ops"],
    "f2": ["finance_ops", "duty"],
    "a1": ["ops_admin"],
    "a2": ["ops_admin"],
    "a3": ["ops_admin"],
}


def company(roles: Mapping[str, list[str]] = ROLES, **acting: str) -> Directory:
    """The people, and who (name) may act for whom."""
    held = [Grant(person, role, NOW - timedelta(days=9)) for person in roles for role in roles[person]]
    return Directory.of([*held, *(Grant(who, None, NOW, None, whom) for who, whom in acting.items())], ROLES)


def engine_with(*, auto_execute: bool | None = None, **glass: Any) -> InMemory:
    """A policy for top-ups, and one for all else, by which two ops_admin ratify; both name who breaks glass."""
    engine = InMemory({"break_glass": GLASS | glass, "auto_execute": auto_execute})
    engine.world.directory = company()
    two_admins = {"type": "role", "value": {"role": "ops_admin", "min_votes": 2}}
    put_in_force(
        engine, {"action_type": {"$ne": "TOP_UP"}}, {"required_quorum": two_admins, "break_glass": GLASS | glass}
    )
    return engine


def put_in_force(engine: InMemory, criteria: dict[str, Any], rules: dict[str, Any]) -> None:
    policy = Policy.model_validate({"name": "Above", "criteria": criteria, "policy": rules, "priority": 999})
    known = engine.world.definitions
    version = known.newest_version("policy", "Above") + 1
    engine.world.definitions = Definitions((*known.policies, Versioned(version, policy)), known.action_types)


def created(engine: InMemory, key: str = "one", **changes: Any) -> UUID:
    return engine.created({"idempotency_key": key} | changes)


def broken(engine: InMemory, action: UUID, person: str = "duty") -> str:
    return answer(engine.vote(action, person, **GLASS_BROKEN))


def ratification(engine: InMemory, action: UUID) -> Action:
    (found,) = [item for item in engine.world.actions.values() if item.caused_by == action]
    return found


def executed(engine: InMemory, action: UUID, token: int = 1) -> None:
    assert engine.start(action, token) == "applied"
    assert engine.finish(action, token, Done({})) == "applied"


def refused(engine: InMemory, action: UUID) -> None:
    for person in ("a1", "a2"):
        assert answer(engine.vote(ratification(engine, action).id, person, "reject")) == "applied"


def test_who_breaks_glass_approves_alone_and_others_are_asked_to_ratify_it() -> None:
    engine = engine_with()
    action = created(engine)
    assert broken(engine, action) == "applied"
    assert engine.events(action) == ["created", "voted", "glass_broken", "approved"]
    told, approved = [event.data for event in engine.world.changes.events if event.action_id == action][2:]
    assert told == {
        "person": "duty",
        "role": "duty",
        "reason": "the float is empty and nobody answers",
        "uses_left": 1,
    }
    assert approved["reason"] == "break_glass:duty"
    asked = ratification(engine, action)
    assert (asked.action_type, asked.created_by, asked.issuer) == ("RATIFY", "duty", "ops-approval")
    assert asked.params == {"action_id": str(action), "reason": "the float is empty and nobody answers"}
    assert asked.auto_execute
    assert asked.policy_name == "Above"
    assert asked.requirement.break_glass is None


def test_an_approval_without_breaking_glass_is_an_ordinary_vote() -> None:
    engine = engine_with()
    action = created(engine)
    assert answer(engine.vote(action, "duty")) == "not_eligible"
    assert answer(engine.vote(action, "f2")) == "applied"
    assert engine.status(action) == "pending_approval"


def test_rejections_do_not_stand_in_its_way() -> None:
    engine = engine_with()
    action = created(engine)
    engine.vote(action, "f1", "reject")
    assert broken(engine, action, "f2") == "applied"
    assert engine.status(action) == "approved"


def test_glass_is_broken_by_who_holds_the_role_and_no_other() -> None:
    engine = engine_with()
    action = created(engine)
    receipt = engine.vote(action, "f1", break_glass="now")
    assert answer(receipt) == "break_glass_not_allowed"
    assert "'f1' needs duty, and a key that may speak for it." in receipt.sentence
    body = body_of("CastVote", {"action_id": action, "voter_id": "f2", "vote": "approve", "break_glass": "now"})
    narrow = engine.message(body, scope=WHOLE.model_copy(update={"roles": ("finance_ops",)}))
    assert answer(step(engine.world, narrow)) == "break_glass_not_allowed"
    assert engine.events(action) == ["created"]


def test_where_no_policy_names_a_role_nobody_breaks_glass() -> None:
    engine = InMemory()
    engine.world.directory = company()
    receipt = engine.vote(engine.created(), "f2", break_glass="now")
    assert answer(receipt) == "break_glass_not_allowed"
    assert "Nobody approves this action alone" in receipt.sentence


def test_who_acts_for_a_holder_of_the_role_breaks_no_glass() -> None:
    engine = engine_with()
    engine.world.directory = company(f1="duty")
    assert broken(engine, created(engine), "f1") == "break_glass_not_allowed"


@pytest.mark.parametrize("part", ["created_by", "triggered_by", "target"])
def test_who_has_a_part_in_it_or_acts_for_such_a_person_breaks_no_glass(part: str) -> None:
    engine = engine_with()
    engine.world.directory = company(ROLES | {"duty": ["duty", "ops_admin"]}, other="duty")
    changes = {"params": {"agent_id": "duty", "amount": 5}} if part == "target" else {part: "duty"}
    action = created(engine, **changes)
    assert [broken(engine, action, person) for person in ("duty", "other")] == ["separation_of_duties"] * 2
    assert broken(engine, action, "f2") == "applied"


def test_what_the_engine_carries_out_itself_is_never_approved_alone() -> None:
    engine = engine_with()
    definition = Policy.model_validate({"name": "New", "criteria": {}, "policy": RULES}).model_dump(mode="json")
    params = {"kind": "policy", "name": "New", "replaces": 0, "definition": definition, "reason": "we grew"}
    scope = WHOLE.model_copy(update={"types": ("CreateAction",), "action_types": ("CHANGE_DEFINITION",)})
    asked = {"origin": "ops_ui", "action_type": "CHANGE_DEFINITION", "params": params, "created_by": "a1"}
    receipt = step(engine.world, engine.message(body_of("CreateAction", asked), scope=scope))
    assert receipt.action_id is not None, receipt
    assert engine.action(receipt.action_id).requirement.break_glass is None
    assert broken(engine, receipt.action_id) == "break_glass_not_allowed"


def test_what_is_decided_is_not_approved_alone() -> None:
    engine = engine_with()
    action = created(engine)
    assert [broken(engine, action), broken(engine, action, "other")] == ["applied", "action_closed"]


def test_what_is_not_there_yet_is_not_approved_alone() -> None:
    engine = engine_with()
    assert broken(engine, UUID(int=1)) == "unknown_action"
    assert engine.world.parked == {}


def test_what_a_vote_must_bring_is_asked_of_this_one_too() -> None:
    engine = InMemory({"break_glass": GLASS, "require_content_hash": True})
    engine.world.directory = company()
    action = created(engine)
    assert broken(engine, action) == "content_hash_required"
    assert engine.world.broken == {}


def test_so_often_in_so_long_and_again_when_that_is_past() -> None:
    engine = engine_with(within_seconds=10 * HOUR)
    assert broken(engine, created(engine, "one")) == "applied"
    engine.wait(HOUR / 2)
    assert broken(engine, created(engine, "two")) == "applied"
    assert [event.data["uses_left"] for event in engine.world.changes.events if event.event == "glass_broken"] == [1, 0]
    action = created(engine, "three")
    receipt = engine.vote(action, "duty", break_glass="again")
    assert answer(receipt) == "break_glass_used_up"
    assert "2 in 10 h; 'duty' did so last at 2025-11-12T10:30:00.000000Z" in receipt.sentence
    assert "may again from 2025-11-12T20:00:00.000000Z on" in receipt.sentence
    assert broken(engine, action, "other") == "applied"
    engine.wait(10 * HOUR - HOUR / 2 - 1)
    action = created(engine, "four")
    assert broken(engine, action) == "break_glass_used_up"
    engine.wait(1)
    assert broken(engine, action) == "applied"
    assert broken(engine, created(engine, "five")) == "break_glass_used_up"


def test_a_refused_attempt_is_no_use() -> None:
    engine = engine_with(uses=1)
    action = created(engine)
    later = (NOW - timedelta(hours=1)).isoformat()
    engine.vote(action, "f2")
    assert answer(engine.vote(action, "f2", cast_at=later, break_glass="now")) == "superseded"
    assert broken(engine, action, "f2") == "applied"


def test_such_an_approval_lapses_sooner() -> None:
    engine = engine_with()
    action, other = created(engine, "one"), created(engine, "two")
    broken(engine, action)
    for person in ("f1", "f2"):
        engine.vote(other, person)
    assert engine.action(action).due_at == NOW + timedelta(seconds=600)
    engine.wait(600)
    assert engine.sweep(action) == "applied"
    assert (engine.status(action), engine.status(other)) == ("expired", "approved")


def test_it_is_told_in_words() -> None:
    told = [str(BreakGlass.model_validate(GLASS | {"uses": uses})) for uses in (1, 2)]
    assert told == [f"duty, {times} in 1 d, good for 10 min" for times in ("once", "2 times")]


def test_who_may_once_is_told_when_again() -> None:
    engine = engine_with(uses=1)
    broken(engine, created(engine, "one"))
    receipt = engine.vote(created(engine, "two"), "duty", break_glass="again")
    assert answer(receipt) == "break_glass_used_up"
    assert "last at 2025-11-12T10:00:00.000000Z, and may again from 2025-11-13T10:00:00.000000Z" in receipt.sentence


def test_the_receipt_names_the_action_and_what_ratifies_it_is_named_after_the_message() -> None:
    engine = engine_with()
    action = created(engine)
    message = engine.message(
        body_of("CastVote", {"action_id": action, "voter_id": "duty", "vote": "approve"} | GLASS_BROKEN)
    )
    receipt = step(engine.world, message)
    asked = ratification(engine, action)
    assert (receipt.action_id, asked.idempotency_key) == (action, message.content_sha256.hex())
    assert str(asked.id) in receipt.sentence


@pytest.mark.parametrize("when", ["before it is executed", "after it was executed"])
def test_others_ratify_it_before_or_after_it_is_executed(when: str) -> None:
    engine = engine_with(auto_execute=True)
    action = created(engine)
    broken(engine, action)
    if when == "after it was executed":
        executed(engine, action)
    asked = ratification(engine, action)
    for person in ("a1", "a2"):
        assert answer(engine.vote(asked.id, person)) == "applied"
    assert engine.start(asked.id, 2) == "applied"
    assert answer(step(engine.world, Perform(asked.id, 2))) == "applied"
    assert engine.status(asked.id) == "executed"
    assert engine.action(asked.id).result == {"action_id": str(action), "person": "duty"}
    assert engine.events(action)[-1] == "ratified"
    assert engine.world.changes.events[-2].data == {"person": "duty", "agreed_in": str(asked.id)}
    if when == "before it is executed":
        executed(engine, action, 3)
    assert broken(engine, created(engine, "two")) == "applied"


def test_who_has_a_part_in_what_was_approved_alone_does_not_ratify_it() -> None:
    engine = engine_with()
    engine.world.directory = company(ROLES | {"duty": ["duty", "ops_admin"]}, a2="duty")
    action = created(engine, triggered_by="a1")
    broken(engine, action)
    asked = ratification(engine, action)
    answers = [answer(engine.vote(asked.id, person)) for person in ("a1", "a2", "duty", "a3")]
    assert answers == ["separation_of_duties"] * 3 + ["applied"]


@pytest.mark.parametrize("end", ["rejected", "expired"])
def test_a_refusal_is_told_after_the_end_and_suspends_who_broke_glass(end: str) -> None:
    engine = engine_with(auto_execute=True)
    action = created(engine)
    broken(engine, action)
    executed(engine, action)
    if end == "rejected":
        refused(engine, action)
    else:
        engine.wait(DAY)
        assert engine.sweep(ratification(engine, action).id) == "applied"
    assert engine.events(action)[-2:] == ["executed", "ratification_refused"]
    assert engine.world.changes.events[-1].data == {
        "person": "duty",
        "refused_in": str(ratification(engine, action).id),
        "reason": end,
    }
    receipt = engine.vote(another := created(engine, "two"), "duty", break_glass="again")
    assert answer(receipt) == "break_glass_not_allowed"
    assert f"A ratification was refused to 'duty' at {engine.world.now:%Y-%m-%dT%H:%M:%S}" in receipt.sentence
    assert "duty must be granted anew" in receipt.sentence
    assert broken(engine, another, "other") == "applied"


def test_a_role_that_is_taken_away_and_granted_anew_breaks_glass_again() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    refused(engine, action)
    with_role = {person: [{"role": role} for role in roles] for person, roles in ROLES.items()}
    assert snapshot(engine, 1, **with_role) == "applied"
    assert broken(engine, created(engine, "two")) == "break_glass_not_allowed"
    assert snapshot(engine, 2, **with_role | {"duty": []}) == "applied"
    engine.wait(1)
    assert snapshot(engine, 3, **with_role) == "applied"
    assert broken(engine, created(engine, "three")) == "applied"


def test_another_role_that_is_granted_after_a_refusal_breaks_no_glass() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    refused(engine, action)
    engine.wait(1)
    with_roles = {person: [{"role": role} for role in roles] for person, roles in ROLES.items()}
    assert snapshot(engine, 1, **with_roles | {"duty": [{"role": "duty"}, {"role": "cfo"}]}) == "applied"
    assert broken(engine, created(engine, "two")) == "break_glass_not_allowed"


def test_what_is_refused_before_it_is_executed_is_not_executed() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    engine.ask_to_execute(action, "a3")
    refused(engine, action)
    assert engine.start(action, 1) == "not_approved"
    assert engine.events(action)[-2:] == ["ratification_refused", "reopened"]
    for person in ("f1", "f2"):
        engine.vote(action, person)
    assert engine.status(action) == "approved"
    assert engine.world.changes.events[-1].data["reason"] == "quorum_and_ratio_reached"


@pytest.mark.parametrize("loss", ["role", "key", "distance"])
def test_who_could_not_break_glass_any_more_is_found_before_the_first_attempt(loss: str) -> None:
    engine = engine_with()
    action = created(engine, triggered_by="a1")
    broken(engine, action)
    engine.ask_to_execute(action, "a3")
    if loss == "role":
        engine.world.directory = company(ROLES | {"duty": []})
    elif loss == "distance":
        engine.world.directory = company(duty="a1")
    else:
        engine.world.compromised.add("tooling-1")
    assert engine.start(action, 1) == "not_approved"
    assert engine.events(action)[-1] == "reopened"


def test_it_is_decided_again_from_its_record() -> None:
    engine = engine_with()
    action = created(engine)
    broken(engine, action)
    (decided,) = [event for event in engine.world.changes.events if event.event == "approved"]
    found = engine.action(action)
    assert deciding.decide_from_record(found, decided, (), set()).reason == "break_glass:duty"
    assert deciding.decide_from_record(found, decided, (), {"tooling-1"}).verdict == "pending"
    changes: list[dict[str, Any]] = [
        {"breaks_glass": False},
        {"may_break_glass": False},
        {"roles_held": []},
        {"roles": ["*"]},
    ]
    for change in changes:
        (cast,) = decided.data["votes"]
        other = {**decided.data, "votes": [cast | change]}
        forged = type(decided)(**{name: getattr(decided, name) for name in decided.__slots__} | {"data": other})
        assert deciding.decide_from_record(found, forged, (), set()).verdict == "pending", change


def test_the_record_says_of_nobody_else_whether_they_might_have_broken_glass() -> None:
    """That depends on what was refused to them elsewhere, which is not read where they did not."""
    engine = engine_with()
    action = created(engine)
    engine.vote(action, "f2")
    broken(engine, action)
    (decided,) = [event for event in engine.world.changes.events if event.event == "approved"]
    told = {vote["person"]: vote["may_break_glass"] for vote in decided.data["votes"]}
    assert told == {"duty": True, "f2": False}


def test_what_asks_to_ratify_is_asked_for_by_the_engine_alone_and_cancelled_by_nobody() -> None:
    engine = engine_with()
    action = created(engine)
    params = {"action_id": str(action), "reason": "I was right"}
    assert answer(engine.create({"action_type": "RATIFY", "params": params})) == "out_of_scope"
    broken(engine, action)
    asked = ratification(engine, action).id
    for person in ("duty", "a3"):
        body = body_of("CancelAction", {"action_id": asked, "cancelled_by": person})
        assert answer(engine.tell(body)) == "canceller_not_allowed"
    assert engine.status(asked) == "requested"


def test_nothing_is_undone_by_a_ratification_that_nobody_asked_for_by_breaking_glass() -> None:
    engine = engine_with()
    params = {"action_id": str(UUID(int=1)), "reason": "x"}
    kind = TYPE.model_copy(update={"inverse": Inverse(action_type="RATIFY", params=params)})
    policies = engine.world.definitions.policies
    engine.world.definitions = Definitions(policies, (Versioned(1, kind),))
    action = created(engine)
    broken(engine, action)
    engine.ask_to_execute(action, "a1")
    executed(engine, action)
    refused(engine, action)
    about = {"action_id": str(action), "reason": "a mistake"}
    undone = created(engine, "two", origin="ops_ui", action_type="ROLL_BACK", params=about, created_by="a1")
    for person in ("a2", "a3"):
        engine.vote(undone, person)
    engine.ask_to_execute(undone, "a1")
    assert engine.start(undone, 2) == "applied"
    step(engine.world, Perform(undone, 2))
    assert engine.status(undone) == "failed"
    assert [item.created_by for item in engine.world.actions.values() if item.action_type == "RATIFY"] == ["duty"]


def test_a_policy_that_cannot_be_compared_does_not_spare_anybody_the_ratification() -> None:
    engine = engine_with()
    action = created(engine)
    put_in_force(engine, {"params.reason": {"$gt": 5}}, RULES)
    assert broken(engine, action) == "applied"
    assert ratification(engine, action).policy_name == "Default"


@pytest.mark.parametrize("vote", ["reject", "abstain", "withdraw"])
@pytest.mark.parametrize("reason", ["now", "", "  ", 1, "x" * 4001])
def test_glass_is_broken_to_approve_and_with_a_reason(vote: str, reason: Any) -> None:
    said = {"action_id": str(UUID(int=1)), "voter_id": "duty", "break_glass": reason}
    kinds = [vote] if reason == "now" else [vote, "approve"]
    for kind in kinds:
        refusal = parse_body("CastVote", said | {"vote": kind})
        assert isinstance(refusal, Refusal)
        assert "break_glass" in refusal.sentence


@pytest.mark.parametrize(
    "glass",
    [
        {"uses": 0},
        {"uses": True},
        {"within_seconds": 0},
        {"valid_seconds": 0},
        {"role": ""},
        {"role": "*"},
        {"role": None},
        {"more": 1},
    ],
)
def test_a_policy_says_who_how_often_and_for_how_long(glass: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="break_glass"):
        Rules.model_validate(RULES | {"break_glass": GLASS | glass})
    with pytest.raises(ValueError, match="break_glass"):
        Rules.model_validate(
            RULES | {"break_glass": {name: GLASS[name] for name in GLASS if name not in glass} | {"x": 1}}
        )


def test_nobody_approves_alone_what_they_asked_for() -> None:
    with pytest.raises(ValueError, match="do not go together"):
        Rules.model_validate(RULES | {"break_glass": GLASS, "allow_self_approval": True})
