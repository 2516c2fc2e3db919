"""What step made survives save and load unchanged, and a batch costs as many statements as a single message."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import connect, read
from db.load import Loader
from db.save import save
from domain import trail
from domain.content import content_hash_of
from domain.engine import Due, Input, step
from domain.exact_json import MAX_INTEGER, canonical
from domain.executing import AttemptFinished, AttemptStarted
from domain.messages import CastVote, CreateAction
from domain.outcome import Done, Retry
from domain.world import World
from tests.world import Installation, one_at_a_time, top_up
from workers import definition_files

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
NUMBERS = st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(-MAX_INTEGER, MAX_INTEGER)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | TEXT
    | st.sampled_from([MAX_INTEGER, -MAX_INTEGER, 0.1, -0.0, 5e-324, "", "é\u0301😀"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def apply_and_load(installation: Installation, inputs: Sequence[Input]) -> tuple[World, World]:
    """The world after these inputs, as step left it and as the database has it."""
    loader = Loader("ops-approval")
    with installation.pool.connection() as conn:
        with conn.transaction():
            made = loader.world(conn, inputs)
            for item in inputs:
                step(made, item)
            save(conn, made)
        with conn.transaction():
            return made, loader.world(conn, inputs)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extra=JSON, comment=TEXT, metadata=st.dictionaries(TEXT, JSON, max_size=3))
def test_whatever_json_a_message_holds_comes_back_as_it_was(
    installation: Installation, extra: Any, comment: str, metadata: dict[str, Any]
) -> None:
    create = installation.producer("sira").sign(top_up(str(uuid4()), params=top_up().params | {"extra": extra}))
    assert create.action_id is not None
    vote = CastVote(
        action_id=create.action_id, voter_id="finance-user-1", vote="approve", comment=comment, metadata=metadata
    )
    inputs = installation.opened(create, installation.producer("ops-tooling").sign(vote))

    made, found = apply_and_load(installation, inputs)

    action = found.actions[create.action_id]
    assert made.actions == found.actions
    assert made.votes == found.votes
    assert made.records == found.records
    assert {record.outcome for record in found.records.values()} == {"applied"}
    assert canonical(action.params["extra"]) == canonical(extra)
    assert content_hash_of(action) == action.content_hash
    events = read.get_audit_trail(installation.owner, action.id)
    trail.verify(events)
    assert events == made.changes.events


def test_attempts_and_results_come_back_as_they_were(installation: Installation) -> None:
    action_id = installation.approved()
    result = {"big": MAX_INTEGER, "float": 0.1, "empty": "", "é": [None, True, {}], "exact": 1.0}

    made, found = apply_and_load(installation, [AttemptStarted(action_id, 7, "worker é")])
    assert made.attempts == found.attempts
    assert made.actions == found.actions
    made, found = apply_and_load(installation, [AttemptFinished(action_id, 7, Retry("", 0.5))])
    assert made.attempts == found.attempts
    installation.make_due(action_id)
    apply_and_load(installation, [AttemptStarted(action_id, 8, "worker")])
    made, found = apply_and_load(installation, [AttemptFinished(action_id, 8, Done(result))])

    assert made.attempts == found.attempts
    assert made.actions == found.actions
    assert found.actions[action_id].result == result
    assert content_hash_of(found.actions[action_id]) == found.actions[action_id].content_hash
    assert installation.trail(action_id)[-3:] == ["retry_scheduled", "executing", "executed"]


def test_unchanged_rows_are_not_written(installation: Installation) -> None:
    installation.tell("sira", top_up())
    before = installation.scalar("select xmin::text from actions")
    assert installation.tell("sira", top_up())[0].outcome == "duplicate"
    assert installation.scalar("select xmin::text from actions") == before


class Counted:
    """A connection that counts its statements."""

    def __init__(self, conn: connect.Connection) -> None:
        self._conn = conn
        self.statements = 0

    def execute(self, *given: Any) -> Any:
        self.statements += 1
        return self._conn.execute(*given)


def inputs_for(installation: Installation, kind: str, actions: int) -> list[Input]:
    """A batch that does one thing to that many new actions."""
    bodies = [
        top_up(f"{kind} {actions} {number}", agent=f"agent of {kind} {actions} {number}") for number in range(actions)
    ]
    creates = [installation.producer("sira").sign(body) for body in bodies]
    ids = [ticket.action_id for ticket in creates if ticket.action_id is not None]
    votes = [
        installation.producer("ops-tooling").sign(CastVote(action_id=action_id, voter_id=person, vote="approve"))
        for person in ("finance-user-1", "finance-user-2")
        for action_id in ids
    ]
    match kind:
        case "creates with votes":
            return [*installation.opened(*creates, *votes)]
        case "creates of which one at a time is open":
            definition_files.apply(installation.owner, one_at_a_time(), by="tests")
            installation.apply(creates)
            for action_id in ids:
                installation.make_due(action_id)  # escalated by whoever wants the key
            return [*installation.opened(*(installation.producer("sira").sign(_other(body)) for body in bodies))]
        case "votes before their actions":
            installation.apply(votes)
            return [*installation.opened(*creates)]
        case "deadlines":
            installation.apply(creates)
            for action_id in ids:
                installation.make_due(action_id)
            return [Due(action_id) for action_id in ids]
        case _:
            raise AssertionError(kind)


def _other(body: CreateAction) -> CreateAction:
    return body.model_copy(update={"idempotency_key": f"other than {body.idempotency_key}"})


@pytest.mark.parametrize(
    "kind",
    ["creates with votes", "votes before their actions", "deadlines", "creates of which one at a time is open"],
)
def test_the_number_of_statements_does_not_depend_on_the_size_of_the_batch(
    installation: Installation, kind: str
) -> None:
    loader = Loader("ops-approval")
    counts = []
    with closing(connect.connect(installation.settings.servers.database_url, "tests")) as conn:
        for actions in (1, 2, 60):
            inputs = inputs_for(installation, kind, actions)
            with conn.transaction():
                loader.world(conn, [])  # reads the definitions, once
            counted = Counted(conn)
            with conn.transaction():
                world = loader.world(cast("connect.Connection", counted), inputs)
                for item in inputs:
                    step(world, item)
                save(cast("connect.Connection", counted), world)
            assert len(world.changes.actions) == actions
            counts.append(counted.statements)
    assert counts[0] == counts[1] == counts[2]
    assert counts[0] <= 16
