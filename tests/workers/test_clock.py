"""The database's clock steps back, as where another server takes over: nothing good is lost, and nothing is reported."""

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from datetime import timedelta

import pytest

from db import connect
from db.load import Loader
from domain.lifecycle import Status
from domain.outcome import Done, Retry, Unknown
from tests import busy
from tests.world import ROOM, Installation, top_up
from workers import definition_files
from workers.apply import Applier

_CLOCK = """
    create function ops_approval.clock_timestamp() returns timestamptz stable language sql
        return pg_catalog.clock_timestamp() - current_setting('test.back')::interval;
    update ops_approval.keys set valid_from = valid_from - interval '1 day';
    update ops_approval.grants set starts_at = starts_at - interval '1 day';
"""

StepBack = Callable[[float], None]


@pytest.fixture
def step_back(installation: Installation) -> Iterator[StepBack]:
    """Let the clock that the engine reads be so many seconds slow; not that by which transactions begin."""
    installation.owner.execute(_CLOCK)
    url = installation.settings.database_url
    with closing(connect.connect(url, "slow", search_path="ops_approval,pg_catalog")) as conn:
        installation.applier = Applier(lambda: nullcontext(conn), Loader("ops-approval", ROOM))

        def step_back(seconds: float) -> None:
            conn.execute("select set_config('test.back', %s, false)", [str(timedelta(seconds=seconds))])

        step_back(0)
        yield step_back


def test_the_vote_that_decides_is_counted(installation: Installation, step_back: StepBack) -> None:
    (made,) = installation.tell("sira", top_up())
    assert made.action_id is not None
    assert installation.vote(made.action_id, "finance-user-1").outcome == "applied"
    step_back(5)
    assert installation.vote(made.action_id, "finance-user-2").outcome == "applied"
    assert installation.trail(made.action_id) == ["created", "voted", "voted", "approved"]
    assert installation.broken() == []


def test_attempts_follow_each_other(installation: Installation, step_back: StepBack) -> None:
    action_id = busy.approved(installation, "ADJUST_FLOAT")
    for seconds, outcome in ((5, Unknown("lost")), (10, Retry("busy")), (15, Done())):
        step_back(seconds)
        busy.attempt(installation, action_id, [outcome])
    assert installation.action(action_id)["status"] == "executed"
    assert installation.broken() == []


def test_a_new_definition_is_used(installation: Installation, step_back: StepBack) -> None:
    definition_files.apply(installation.owner, definition_files.parse(busy.DEFINITIONS, "busy.yaml"), by="tests")
    step_back(5)
    busy.create(installation, "BLIND")
    assert installation.broken() == []


def test_a_vote_is_counted_after_a_step_began(installation: Installation, step_back: StepBack) -> None:
    """Though by the clock it was counted before the step began, and after the deadline that came before."""
    (made,) = installation.tell("sira", top_up(timeout_seconds=300))
    assert made.action_id is not None
    step_back(-310)
    installation.applier.sweep([Status.REQUESTED])
    step_back(-305)
    assert installation.vote(made.action_id, "cfo-1", "abstain").outcome == "applied"
    assert installation.broken() == []
