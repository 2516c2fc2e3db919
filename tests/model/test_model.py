"""Whatever happens in whatever order, the engine on a real database and `engine.step` on a world in memory agree.

Hypothesis invents stories of producers, people, workers and time, and shortens those in which the two sides differ. The
suite tells a few; `make test ARGS="tests/model --hypothesis-profile=long"` tells 2,000 of 50 steps.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from db import keys
from tests.model import words
from tests.model.emergencies import Emergencies
from tests.model.sides import Database
from tests.world import Installation
from workers import definition_files

stories = settings(
    max_examples=settings().max_examples // 5,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def database(installation: Installation) -> Iterator[Database]:
    definitions = Path(__file__).with_name("definitions.yaml")
    definition_files.apply(installation.owner, definition_files.read(definitions), by="tests")
    for kid, (key, scope) in words.DESK_KEYS.items():
        keys.add_key(installation.owner, kid, "desk", key.public_bytes, scope)
    with installation.owner.transaction():  # before anybody is known, as every run begins with an empty directory
        installation.owner.execute("set local session_replication_role = replica")
        keys.enrol_key(installation.owner, "person:f1", "f1", words.SIGNERS["person:f1"].public_bytes)
    database = Database(installation)
    yield database
    database.close()


def test_the_database_and_a_world_in_memory_tell_the_same_story(database: Database) -> None:
    class Told(Emergencies):
        def __init__(self) -> None:
            super().__init__(database)

    run_state_machine_as_test(Told, settings=stories)
