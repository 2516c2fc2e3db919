"""What the event of a decision says is enough to decide it again, and says who could not have decided it."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from domain import deciding
from domain.directory import Directory, Grant
from domain.quorum import Decision
from tests.unit.in_memory import HOUR, NOW, InMemory, directory

LONG_SINCE = NOW - timedelta(days=9)


def again(engine: InMemory, action: UUID, pools: Iterable[Grant] = ()) -> Decision:
    (approved,) = [
        event for event in engine.world.changes.events if (event.action_id, event.event) == (action, "approved")
    ]
    return deciding.decide_from_record(engine.action(action), approved, pools, set())


def test_a_vote_for_somebody_else_counts_again() -> None:
    engine = InMemory()
    known = engine.world.directory
    engine.world.directory = Directory.of([*known.grants, Grant("deputy", None, LONG_SINCE, None, "f2")], ["deputy"])
    action = engine.approved(("f1", "deputy"))
    assert again(engine, action) == deciding.judge(engine.world, engine.action(action))


def test_a_step_that_was_reached_counts_again() -> None:
    engine = InMemory()
    action = engine.created()
    engine.wait(HOUR)
    engine.vote(action, "cfo")
    engine.vote(action, "f1")
    assert engine.status(action) == "approved"
    assert again(engine, action).reason == "escalation_approved:cfo"


def test_a_share_is_one_of_all_who_held_the_role() -> None:
    engine = InMemory({"required_quorum": {"type": "percentage", "value": {"percentage": 0.5, "pool": "finance_ops"}}})
    action = engine.approved()
    assert again(engine, action, engine.world.directory.grants).verdict == "approved"
    more = directory({f"f{number}": ["finance_ops"] for number in range(9)})
    assert again(engine, action, more.grants).verdict == "pending"


def test_the_event_tells_the_ratio_and_the_tally() -> None:
    engine = InMemory({"required_ratio": 0.66})
    action = engine.created()
    for person, vote in (("f3", "reject"), ("f1", "approve"), ("f2", "approve")):
        engine.vote(action, person, vote)
    told = engine.world.changes.events[-1].data
    assert (told["votes_approve"], told["votes_reject"], told["approval_ratio"]) == (2, 1, "0.6667")
