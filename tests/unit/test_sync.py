"""Snapshots of the directory: who is in one holds what it says, and who or what is missing from it ends."""

from datetime import timedelta
from typing import Any

from domain.keys import Scope
from tests.unit.in_memory import NOW, InMemory, answer, body_of

DAY = timedelta(days=1)


def snapshot(engine: InMemory, number: int, **people: list[dict[str, Any]]) -> str:
    listed = [{"id": person, "grants": grants} for person, grants in people.items()]
    body = body_of("SyncDirectory", {"snapshot": number, "people": listed})
    return answer(engine.tell(body, scope=Scope(types=("SyncDirectory",))))


def roles(engine: InMemory, person: str) -> set[str]:
    return set(engine.world.directory.roles_of(person, engine.world.now))


def test_a_snapshot_replaces_the_whole_directory() -> None:
    engine = InMemory()
    assert snapshot(engine, 1, ana=[{"role": "cfo"}], bob=[{"role": "ops_admin"}]) == "applied"
    assert snapshot(engine, 2, ana=[{"role": "pay_admin"}]) == "applied"
    assert roles(engine, "ana") == {"pay_admin"}
    assert roles(engine, "bob") == set()
    assert not engine.world.directory.has("bob", engine.world.now)


def test_an_older_snapshot_that_comes_late_changes_nothing() -> None:
    engine = InMemory()
    snapshot(engine, 5, ana=[{"role": "cfo"}])
    for number in (4, 5):
        assert snapshot(engine, number, ana=[{"role": "ops_admin"}]) == "stale_snapshot"
    assert roles(engine, "ana") == {"cfo"}


def test_a_grant_that_stays_keeps_its_beginning() -> None:
    engine = InMemory()
    snapshot(engine, 1, ana=[{"role": "cfo"}])
    engine.wait(60)
    snapshot(engine, 2, ana=[{"role": "cfo"}])
    (grant,) = engine.world.directory.grants
    assert grant.starts_at == NOW
    assert engine.world.changes.directory is not None
    assert engine.world.changes.directory.added == ()


def test_a_grant_that_ends_at_the_moment_of_a_snapshot_that_has_it_still_begins_anew() -> None:
    engine = InMemory()
    snapshot(engine, 1, ana=[{"role": "cfo", "ends_at": (NOW + DAY).isoformat()}])
    engine.wait(DAY.total_seconds())
    assert roles(engine, "ana") == set()
    snapshot(engine, 2, ana=[{"role": "cfo"}])
    assert roles(engine, "ana") == {"cfo"}
    assert engine.world.changes.directory is not None
    assert engine.world.changes.directory.ended == ()


def test_from_now_on_means_now_even_if_a_later_beginning_was_told_before() -> None:
    engine = InMemory()
    snapshot(engine, 1, ana=[{"role": "cfo", "starts_at": (NOW + DAY).isoformat()}])
    assert roles(engine, "ana") == set()
    snapshot(engine, 2, ana=[{"role": "cfo"}])
    assert roles(engine, "ana") == {"cfo"}


def test_a_grant_that_is_over_is_not_kept_again_by_every_snapshot() -> None:
    engine = InMemory()
    over = {"role": "cfo", "starts_at": (NOW - 2 * DAY).isoformat(), "ends_at": (NOW - DAY).isoformat()}
    for number in (1, 2):
        assert snapshot(engine, number, ana=[over]) == "applied"
        assert engine.world.changes.directory is not None
        assert engine.world.changes.directory.added == ()
