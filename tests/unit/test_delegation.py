"""Acting for somebody: one vote, one seat, for a range of time, and never passed on."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.directory import Directory, Grant
from domain.engine import step
from domain.messages import parse_body
from domain.refusals import Refusal
from tests.unit.in_memory import HOUR, NOW, WHOLE, InMemory, answer, body_of
from tests.unit.test_sync import snapshot

ROLES = {"f1": "finance_ops", "f2": "finance_ops", "f3": "finance_ops", "cfo": "cfo", "boss": "ops_admin"}
PEOPLE = {*ROLES, "deputy", "second"}


def acting(*pairs: tuple[str, str], until: datetime | None = None, roles: dict[str, str] | None = None) -> Directory:
    """The company, and who (first) may act for whom (second)."""
    held = ROLES if roles is None else roles
    grants = [Grant(person, role, NOW) for person, role in held.items()]
    return Directory.of([*grants, *(Grant(who, None, NOW, until, whom) for who, whom in pairs)], PEOPLE)


def company(*pairs: tuple[str, str], until: datetime | None = None, **rules: Any) -> InMemory:
    engine = InMemory(rules)
    engine.world.directory = acting(*pairs, until=until)
    return engine


def votes(engine: InMemory, action: Any, *people: str, vote: str = "approve") -> list[str]:
    return [answer(engine.vote(action, person, vote)) for person in people]


def test_a_delegate_fills_the_seat_of_whom_they_act_for() -> None:
    engine = company(("deputy", "f1"))
    action = engine.created()
    assert votes(engine, action, "deputy", "f2") == ["applied", "applied"]
    assert engine.status(action) == "approved"


def test_vote_and_decision_tell_for_whom_it_could_be() -> None:
    engine = company(("deputy", "f1"))
    action = engine.created()
    votes(engine, action, "deputy", "f2")
    voted, decided = engine.world.changes.events[1].data, engine.world.changes.events[-1].data
    assert (voted["roles"], voted["acts_for"]) == (["*"], {"f1": ["*", "finance_ops"]})
    assert decided["votes"][0]["acts_for"] == {"f1": ["*", "finance_ops"]}
    assert decided["votes"][0]["acted_for"] == {"f1": ["finance_ops"]}


def test_who_holds_a_role_and_acts_for_another_has_one_vote() -> None:
    engine = company(("f1", "f2"))
    action = engine.created()
    votes(engine, action, "f1")
    assert (engine.status(action), engine.action(action).votes_approve) == ("pending_approval", 1)


def test_two_delegates_of_one_person_sit_for_them_once() -> None:
    engine = company(("deputy", "f1"), ("second", "f1"))
    action = engine.created()
    assert votes(engine, action, "deputy", "second") == ["applied", "applied"]
    assert (engine.status(action), engine.action(action).votes_approve) == ("pending_approval", 1)
    votes(engine, action, "f2")
    assert engine.status(action) == "approved"


def test_a_seat_of_ones_own_is_left_to_make_room_for_who_is_acted_for() -> None:
    """The deputy can only sit for f1, so f2, who could too, must take the seat of their own."""
    engine = company(("deputy", "f1"), ("f2", "f1"))
    action = engine.created()
    votes(engine, action, "f2", "deputy")
    assert engine.status(action) == "approved"


@pytest.mark.parametrize("order", [("deputy", "f1"), ("f1", "deputy")])
@pytest.mark.parametrize("own", ["reject", "abstain"])
def test_ones_own_vote_supersedes_that_of_a_delegate_in_either_order(order: tuple[str, str], own: str) -> None:
    engine = company(("deputy", "f1"))
    action = engine.created()
    for person in order:
        assert answer(engine.vote(action, person, own if person == "f1" else "approve")) == "applied"
    found = engine.action(action)
    assert (found.votes_approve, found.votes_reject, found.votes_abstain) == (0, own == "reject", own == "abstain")
    engine.vote(action, "f1", "withdraw")
    assert engine.action(action).votes_approve == 1


def test_whose_delegator_votes_counts_for_themselves_from_then_on() -> None:
    engine = company(("f2", "cfo"), required_quorum={"type": "specific_users", "value": {"users": ["f2", "cfo"]}})
    action = engine.created()
    votes(engine, action, "f2", "cfo")
    assert engine.status(action) == "approved"


def test_what_one_may_do_for_others_is_not_passed_on() -> None:
    engine = company(("deputy", "second"), ("second", "f1"))
    action = engine.created()
    assert votes(engine, action, "deputy", "second") == ["not_eligible", "applied"]


def test_people_named_one_by_one_can_be_acted_for() -> None:
    engine = company(("deputy", "boss"), required_quorum={"type": "specific_users", "value": {"users": ["boss"]}})
    action = engine.created()
    assert votes(engine, action, "deputy") == ["applied"]
    assert engine.status(action) == "approved"


def test_a_veto_can_be_cast_for_whom_one_acts() -> None:
    engine = company(("deputy", "boss"), veto_roles=["ops_admin"])
    action = engine.created()
    assert votes(engine, action, "deputy", vote="approve") == ["not_eligible"]
    assert votes(engine, action, "deputy", vote="reject") == ["applied"]
    assert engine.world.changes.events[-1].data["reason"] == "vetoed:ops_admin"


def test_a_step_is_approved_by_who_acts_for_its_role() -> None:
    engine = company(("deputy", "cfo"))
    action = engine.created()
    engine.wait(HOUR)
    assert votes(engine, action, "f1", "deputy") == ["applied", "applied"]
    assert engine.world.changes.events[-1].data["reason"] == "escalation_approved:cfo"


@pytest.mark.parametrize(
    ("claimed", "expected"), [(["finance_ops"], "applied"), (["cfo"], "role_not_held"), ([], "applied")]
)
def test_a_role_of_whom_one_acts_for_may_be_claimed(claimed: list[str], expected: str) -> None:
    engine = company(("deputy", "f1"))
    action = engine.created()
    assert answer(engine.vote(action, "deputy", voter_roles=claimed)) == expected


@pytest.mark.parametrize(
    ("roles", "expected"), [(("finance_ops",), "applied"), (("cfo",), "not_eligible"), ((), "not_eligible")]
)
def test_a_key_speaks_for_the_roles_of_others_no_more_than_for_ones_own(roles: tuple[str, ...], expected: str) -> None:
    engine = company(("deputy", "f1"))
    body = body_of("CastVote", {"action_id": engine.created(), "voter_id": "deputy", "vote": "approve"})
    message = engine.message(body, scope=WHOLE.model_copy(update={"roles": roles}))
    assert answer(step(engine.world, message)) == expected


def test_before_its_beginning_and_after_its_end_nobody_is_acted_for() -> None:
    engine = company(("deputy", "f1"), until=NOW + timedelta(seconds=60))
    action = engine.created()
    engine.world.now = NOW - timedelta(seconds=1)
    assert votes(engine, action, "deputy") == ["not_eligible"]
    engine.world.now = NOW
    assert votes(engine, action, "deputy") == ["applied"]
    assert engine.action(action).votes_approve == 1
    engine.wait(60)
    votes(engine, action, "f2")  # at this decision the deputy acts for nobody any more
    assert (engine.status(action), engine.action(action).votes_approve) == ("pending_approval", 1)
    assert votes(engine, action, "deputy") == ["not_eligible"]


def test_a_role_that_is_lost_is_lost_to_who_acts_for_its_holder() -> None:
    engine = company(("deputy", "f1"))
    action = engine.created()
    votes(engine, action, "deputy")
    roles = ROLES | {"f1": "nothing", "second": "finance_ops"}
    engine.world.directory = acting(("deputy", "f1"), roles=roles)
    votes(engine, action, "f2")
    assert (engine.status(action), engine.action(action).votes_approve) == ("pending_approval", 1)


@pytest.mark.parametrize("part", ["created_by", "triggered_by", "target_tenant_id"])
def test_who_may_act_for_one_who_is_kept_out_is_kept_out(part: str) -> None:
    engine = company(("f1", "boss"))
    params = {"params": {"agent_id": "boss", "amount": 5}} if part == "target_tenant_id" else {part: "boss"}
    action = engine.created(params)
    receipt = engine.vote(action, "f1")
    assert answer(receipt) == "separation_of_duties"
    assert "That is 'boss' here, and 'f1' may act for them." in receipt.sentence
    assert votes(engine, action, "f2", "f3") == ["applied", "applied"]


def test_who_may_act_later_for_one_who_is_kept_out_counts_no_more() -> None:
    engine = company()
    action = engine.created({"triggered_by": "boss"})
    votes(engine, action, "f1")
    engine.world.directory = acting(("f1", "boss"))
    votes(engine, action, "f2")
    assert (engine.status(action), engine.action(action).votes_approve) == ("pending_approval", 1)


def test_before_the_first_attempt_a_delegate_of_who_is_kept_out_is_looked_for_again() -> None:
    engine = company()
    action = engine.approved(("f1", "f2"), triggered_by="boss")
    engine.ask_to_execute(action, "boss")
    engine.world.directory = acting(("f1", "boss"))
    assert engine.start(action, 1) == "not_approved"
    assert engine.events(action)[-1] == "reopened"


def test_nobody_sits_for_one_who_is_kept_out_as_a_delegate() -> None:
    engine = company(("deputy", "f1"), ("f1", "boss"))
    action = engine.created({"triggered_by": "boss"})
    assert votes(engine, action, "deputy") == ["not_eligible"]


def test_who_is_away_is_not_waited_for_twice() -> None:
    """Whoever could vote counts once for what is in reach, their delegates not beside them."""
    three = {"type": "role", "value": {"role": "finance_ops", "min_votes": 4}}
    engine = company(("deputy", "f1"), ("second", "f2"), required_quorum=three, escalation_role=None)
    assert engine.events(engine.created()) == ["created", "unreachable"]


def test_a_snapshot_says_who_may_act_for_whom_and_since_when() -> None:
    engine = InMemory()
    bounds = {"starts_at": (NOW + timedelta(days=1)).isoformat(), "ends_at": (NOW + timedelta(days=2)).isoformat()}
    people: dict[str, Any] = {"ana": [{"role": "cfo"}], "bob": [{"acts_for": "ana"} | bounds]}
    assert snapshot(engine, 1, **people) == "applied"
    moments = {hours: engine.world.directory.delegators("bob", NOW + timedelta(hours=hours)) for hours in (0, 24, 48)}
    assert moments == {0: frozenset(), 24: {"ana"}, 48: frozenset()}
    assert engine.world.directory.roles_of("bob", NOW + timedelta(days=1)) == frozenset()
    assert snapshot(engine, 2, ana=[{"role": "cfo"}], bob=[]) == "applied"
    assert engine.world.changes.directory is not None
    assert [grant.acts_for for grant in engine.world.changes.directory.ended] == ["ana"]


@pytest.mark.parametrize(
    "grant",
    [
        {},
        {"acts_for": ""},
        {"acts_for": None},
        {"acts_for": "bob"},
        {"acts_for": "nobody here"},
        {"acts_for": ["ana"]},
        {"acts_for": "ana", "role": "cfo"},
        {"acts_for": "ana", "starts_at": "2026-02-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_grant_gives_a_role_or_the_right_to_act_for_somebody_else_who_is_here(grant: dict[str, Any]) -> None:
    people = [{"id": "ana"}, {"id": "bob", "grants": [grant]}]
    refusal = parse_body("SyncDirectory", {"snapshot": 1, "people": people})
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_body"
