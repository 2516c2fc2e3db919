"""The graph of an action's states, and the files that are generated from it."""

from dataclasses import replace
from pathlib import Path

import pytest

from domain.lifecycle import FINAL, MEANINGS, OPEN, TRANSITIONS, ForbiddenTransition, Status, check
from tests.unit.in_memory import InMemory
from tools import generate

ROOT = Path(__file__).resolve().parent.parent.parent

GRAPH = {
    "requested": {"pending_approval", "approved", "rejected", "escalated", "expired", "cancelled"},
    "pending_approval": {"approved", "rejected", "escalated", "expired", "cancelled"},
    "escalated": {"approved", "rejected", "expired", "cancelled"},
    "approved": {
        "executing",
        "expired",
        "cancelled",
        "pending_approval",
        "rejected",
        "escalated",
        "failed",
        "outcome_unknown",
    },
    "executing": {"executed", "failed", "approved", "outcome_unknown"},
    "outcome_unknown": {"executed", "approved", "failed"},
    "failed": {"approved"},
    "rejected": set(),
    "expired": set(),
    "cancelled": set(),
    "executed": set(),
}


def test_the_graph_is_the_one_that_was_designed() -> None:
    assert {
        str(status): {str(after) for before, after in TRANSITIONS if before is status} for status in Status
    } == GRAPH


def test_every_status_is_reachable_and_has_a_meaning() -> None:
    reached = {"requested"}
    for _ in GRAPH:
        reached |= {after for before in reached for after in GRAPH[before]}
    assert reached == {status.value for status in Status} == {status.value for status in MEANINGS}


def test_what_is_final_and_what_is_open() -> None:
    assert {status.value for status in FINAL} == {"executed", "rejected", "expired", "cancelled"}
    assert {status.value for status in OPEN} == {"requested", "pending_approval", "escalated"}


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_a_change_that_the_graph_does_not_have_raises(before: Status, after: Status) -> None:
    if before is after or after.value in GRAPH[before.value]:
        check(before, after)
        return
    with pytest.raises(ForbiddenTransition, match=f"{before} -> {after}"):
        check(before, after)


def test_nothing_leads_back_to_the_beginning_or_out_of_an_end() -> None:
    assert not any(after is Status.REQUESTED for _, after in TRANSITIONS)
    assert not any(before in FINAL for before, _ in TRANSITIONS)


def test_the_page_about_states_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "states.md").read_text() == generate.states_page()


def test_the_schema_has_the_transitions_of_the_code() -> None:
    text = (ROOT / "schema.sql").read_text()
    assert generate.schema(text) == text
    assert text.count("-- generated: transitions") == 1
    emptied = "a\n-- generated: transitions\n    wrong\n        -- generated: end\nb"
    assert "('failed', 'approved')\n        -- generated: end\nb" in generate.schema(emptied)
    assert "wrong" not in generate.schema(emptied)


def test_no_row_takes_a_status_that_the_graph_does_not_lead_to() -> None:
    engine = InMemory()
    action = engine.action(engine.created())
    with pytest.raises(ForbiddenTransition):
        engine.world.put(replace(action, status=Status.EXECUTED))
    assert engine.action(action.id) == action
