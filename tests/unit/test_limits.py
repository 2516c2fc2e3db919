"""Nobody, and no machine, floods the engine: an hour's share is counted, and who asks for more is told when to come again."""

from typing import Any

import pytest

from domain.definitions import Definitions
from domain.keys import Scope
from domain.limits import Limits
from domain.messages import Receipt
from domain.refusals import Code
from tests.unit.in_memory import InMemory, body_of


@pytest.fixture
def engine() -> InMemory:
    engine = InMemory()
    engine.world.limits = Limits(creates_per_hour=2, votes_per_hour=3, executions_per_hour=1)
    return engine


def outcomes(receipts: list[Receipt]) -> list[Any]:
    return [receipt.code or receipt.outcome for receipt in receipts]


def test_who_creates_too_much_is_told_when_to_come_again(engine: InMemory) -> None:
    told = [engine.create({"idempotency_key": f"k{number}"}) for number in range(3)]
    assert outcomes(told) == ["applied", "applied", Code.RATE_LIMITED]
    assert "The limit is 2 of CreateAction" in told[2].sentence
    assert "2025-11-12T11:00:00.000000Z" in told[2].sentence  # an hour after the first


def test_asking_for_the_same_again_takes_nothing_and_is_answered_beyond_the_limit(engine: InMemory) -> None:
    told = [engine.create({"idempotency_key": key}) for key in ("k1", "k1", "k2", "k3", "k1", "k2")]
    assert outcomes(told) == ["applied", "duplicate", "applied", Code.RATE_LIMITED, "duplicate", "duplicate"]


def test_a_recommendation_is_counted_as_siras_and_the_same_again_is_answered_beyond_the_limit(engine: InMemory) -> None:
    scope = Scope(types=("RecommendAction",), origins=("sira",), action_types=("*",))

    def recommend(rec_id: str) -> Receipt:
        said = {"id": rec_id, "tenant_type": "agent", "tenant_id": rec_id, "recommendation_type": "TOP_UP"}
        more = {"params": {"agent_id": rec_id}, "confidence": 0.5, "explanation": {}}
        return engine.tell(body_of("RecommendAction", said | more), scope=scope)

    told = [recommend(rec_id) for rec_id in ("r-1", "r-2", "r-3", "r-1")]
    assert outcomes(told) == ["applied", "applied", Code.RATE_LIMITED, "duplicate"]


def test_what_is_refused_takes_nothing(engine: InMemory) -> None:
    for number in range(5):
        assert engine.create({"idempotency_key": f"bad{number}", "action_type": "NONE"}).code is not Code.RATE_LIMITED
    assert outcomes([engine.create({"idempotency_key": "k1"})]) == ["applied"]


def test_everybody_has_a_share_of_their_own_at_each_issuer(engine: InMemory) -> None:
    created = [engine.created({"idempotency_key": f"k{number}"}) for number in range(2)]
    assert engine.create({"idempotency_key": "k3"}).code is Code.RATE_LIMITED
    assert outcomes([engine.create({"idempotency_key": "k3", "created_by": "f1"})]) == ["applied"]
    assert outcomes([engine.create({"idempotency_key": "k3"}, issuer="elsewhere")]) == ["applied"]
    assert outcomes([engine.vote(created[0], "f1"), engine.vote(created[0], "f2")]) == ["applied", "applied"]


def test_an_issuers_machines_have_one_share_whatever_it_calls_them(engine: InMemory) -> None:
    told = [engine.create({"idempotency_key": f"k{number}", "created_by": f"machine-{number}"}) for number in range(3)]
    assert outcomes(told) == ["applied", "applied", Code.RATE_LIMITED]


def test_a_recommendation_that_was_refused_takes_from_the_share_when_it_comes_again(engine: InMemory) -> None:
    scope = Scope(types=("RecommendAction",), origins=("sira",), action_types=("*",))
    definitions, engine.world.definitions = engine.world.definitions, Definitions()

    def recommend(rec_id: str) -> Receipt:
        said = {"id": rec_id, "tenant_type": "agent", "tenant_id": rec_id, "recommendation_type": "TOP_UP"}
        more = {"params": {"agent_id": rec_id}, "confidence": 0.95, "explanation": {}}
        return engine.tell(body_of("RecommendAction", said | more), scope=scope)

    assert {recommend(rec_id).code for rec_id in ("r-1", "r-2", "r-3")} == {Code.UNKNOWN_ACTION_TYPE}
    engine.world.definitions = definitions
    assert outcomes([recommend(rec_id) for rec_id in ("r-1", "r-2", "r-3")]) == [
        "applied",
        "applied",
        Code.RATE_LIMITED,
    ]


def test_votes_count_also_those_that_wait_for_their_action_and_those_that_replace_others(engine: InMemory) -> None:
    action = engine.created()
    never = body_of(
        "CastVote", {"action_id": "00000000-0000-5000-8000-000000000000", "voter_id": "f1", "vote": "approve"}
    )
    told = [
        engine.vote(action, "f1"),
        engine.tell(never),
        engine.vote(action, "f1", "reject"),
        engine.vote(action, "f1"),
    ]
    assert outcomes(told) == ["applied", "parked", "applied", Code.RATE_LIMITED]


def test_executions_count_too(engine: InMemory) -> None:
    first, second = engine.approved(), engine.created({"idempotency_key": "k2"})
    for person in ("f1", "f2"):
        engine.vote(second, person)
    told = [engine.ask_to_execute(first), engine.ask_to_execute(second), engine.ask_to_execute(second, "f3")]
    assert outcomes(told) == ["applied", Code.RATE_LIMITED, "applied"]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "many", None])
def test_a_limit_is_a_number_of_at_least_one(limit: Any) -> None:
    with pytest.raises(ValueError, match="creates_per_hour"):
        Limits.model_validate({"creates_per_hour": limit})
