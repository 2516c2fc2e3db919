"""What each fact is judged as, on both sides of each limit; and that a check that fails hides no other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.health import Server, Work
from db.keys import KeyRing
from domain.action_type import ActionType
from domain.definitions import Definitions, Versioned
from domain.keys import Scope, VerificationKey
from tools import generate
from workers import definition_files
from workers.checks import gather, installation, servers
from workers.checks.finding import WANTED, Check, Finding, Level, ok
from workers.checks.servers import MIB

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SERVER = Server(
    version=150_004,
    fsync=True,
    full_page_writes=True,
    synchronous_commit="on",
    standby=False,
    may_work=True,
    database_bytes=12 * MIB,
)
INFO = {
    "redis_version": "7.0.0",
    "redis_mode": "standalone",
    "role": "master",
    "loading": 0,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "appendfsync": "everysec",
    "maxmemory_policy": "noeviction",
    "maxmemory": 1000,
    "used_memory": 799,
}
WORK = Work(schedulers=1, timed=3, overdue=0, outcomes_unknown=0, dead=0, quarantined=0)


def test_a_healthy_server_is_all_right() -> None:
    found = [judge(SERVER) for judge in servers.OF_POSTGRES.values()]
    found += [judge(INFO) for judge in servers.OF_REDIS.values()]
    found += [judge(WORK) for judge in installation.OF_WORK.values()]
    assert {finding.level for finding in found} == {Level.OK}
    assert [finding.name for finding in found] == [*servers.OF_POSTGRES, *servers.OF_REDIS, *installation.OF_WORK]


@pytest.mark.parametrize(
    ("check", "change", "level", "says"),
    [
        (Check.POSTGRES, {}, "ok", "12 MiB"),
        (Check.POSTGRES_VERSION, {"version": 150_000}, "ok", "15.0"),
        (Check.POSTGRES_VERSION, {"version": 140_019}, "problem", "14.19. Upgrade"),
        (Check.POSTGRES_DURABILITY, {"synchronous_commit": "local"}, "ok", ""),
        (Check.POSTGRES_DURABILITY, {"fsync": False}, "problem", "turn on fsync in"),
        (Check.POSTGRES_DURABILITY, {"synchronous_commit": "off"}, "problem", "turn on synchronous_commit in"),
        (Check.POSTGRES_DURABILITY, {"full_page_writes": False}, "warning", "full_page_writes is off"),
        (Check.POSTGRES_PRIMARY, {"standby": True}, "problem", "name the primary"),
        (Check.ROLE, {"may_work": False}, "problem", "grant ops_worker to"),
    ],
)
def test_postgres_is_judged_by_its_settings(check: Check, change: dict[str, Any], level: str, says: str) -> None:
    found = servers.OF_POSTGRES[check](replace(SERVER, **change))
    assert (found.name, found.level) == (check, level)
    assert says in found.sentence


VALKEY = {"redis_version": "7.2.4", "redis_mode": None, "server_mode": "standalone"}


@pytest.mark.parametrize(
    ("check", "change", "level", "says"),
    [
        (Check.REDIS, {"loading": 1}, "problem", "Wait"),
        (Check.REDIS_VERSION, {"redis_version": "6.2.14"}, "problem", "Redis 6.2.14. Upgrade"),
        (Check.REDIS_VERSION, {"redis_version": 7.0}, "ok", "Redis 7.0"),
        (Check.REDIS_VERSION, {"redis_version": "10.0.1"}, "ok", "Redis 10.0.1"),
        (Check.REDIS_VERSION, VALKEY | {"valkey_version": "7.2.0"}, "ok", "Valkey 7.2.0"),
        (Check.REDIS_VERSION, VALKEY | {"valkey_version": "7.1.9"}, "problem", "Valkey 7.1.9. Upgrade"),
        (Check.REDIS_VERSION, {"redis_version": None}, "problem", "Upgrade"),
        (Check.REDIS_MODE, VALKEY, "ok", ""),
        (Check.REDIS_MODE, {"redis_mode": "cluster"}, "problem", "cluster"),
        (Check.REDIS_MODE, VALKEY | {"server_mode": "cluster"}, "problem", "cluster"),
        (Check.REDIS_MODE, {"cluster_enabled": 1}, "problem", "cluster"),
        (Check.REDIS_MODE, {"redis_mode": "sentinel"}, "problem", "sentinel"),
        (Check.REDIS_PRIMARY, {"role": "slave"}, "problem", "name the primary"),
        (Check.REDIS_PERSISTENCE, {"aof_enabled": 0}, "problem", "appendonly yes"),
        (Check.REDIS_PERSISTENCE, {"aof_last_write_status": "err"}, "problem", "disk"),
        (Check.REDIS_PERSISTENCE, {"appendfsync": "no"}, "warning", "appendfsync everysec"),
        (Check.REDIS_PERSISTENCE, {"appendfsync": "always"}, "ok", ""),
        (Check.REDIS_PERSISTENCE, {"appendfsync": None}, "ok", ""),
        (Check.REDIS_EVICTION, {"maxmemory_policy": "allkeys-lru"}, "problem", "allkeys-lru"),
        (Check.REDIS_EVICTION, {"maxmemory_policy": "volatile-lru"}, "warning", "volatile-lru"),
        (Check.REDIS_MEMORY, {"used_memory": 800}, "warning", "80%"),
        (Check.REDIS_MEMORY, {"used_memory": 949}, "warning", "95%"),
        (Check.REDIS_MEMORY, {"used_memory": 950}, "problem", "95%"),
        (Check.REDIS_MEMORY, {"maxmemory": 0}, "ok", "no limit"),
    ],
)
def test_redis_is_judged_by_its_info(check: Check, change: dict[str, Any], level: str, says: str) -> None:
    found = servers.OF_REDIS[check](INFO | change)
    assert (found.name, found.level) == (check, level)
    assert says in found.sentence


def test_a_redis_that_hides_its_persistence_and_policy_is_not_trusted() -> None:
    hiding = {name: INFO[name] for name in ("redis_version", "role")}
    for check in (Check.REDIS_PERSISTENCE, Check.REDIS_EVICTION):
        assert servers.OF_REDIS[check](hiding).level is Level.PROBLEM


@pytest.mark.parametrize(
    ("ahead_seconds", "round_trip_seconds", "level", "says"),
    [
        (1.9, 0, "ok", "agree"),
        (2, 0, "warning", "2 s ahead of"),
        (-2, 0, "warning", "2 s behind"),
        (29.9, 0, "warning", "30 s"),
        (30, 0, "problem", "30 s ahead of"),
        (-30, 0, "problem", "30 s behind"),
        (3, 4, "ok", "agree"),  # of 3 s the round trip may explain 2
        (4, 4, "warning", "2 s ahead of"),
        (31, 4, "warning", "29 s ahead of"),
    ],
)
def test_clocks_differ_by_what_the_round_trip_cannot_explain(
    ahead_seconds: float, round_trip_seconds: float, level: str, says: str
) -> None:
    half = timedelta(seconds=round_trip_seconds / 2)
    middle = NOW + timedelta(seconds=ahead_seconds)
    found = servers.clock(middle - half, NOW, middle + half)
    assert found.level == level
    assert says in found.sentence


def key(kid: str, issuer: str, days: float | None = None, *, revoked: bool = False) -> VerificationKey:
    """A key that ends in so many days."""
    return VerificationKey(
        kid=kid,
        issuer=issuer,
        public_key=bytes(32),
        scope=Scope(types=("CreateAction",), origins=("alert",), action_types=("*",)),
        valid_from=NOW - timedelta(days=400),
        valid_until=NOW + timedelta(days=days) if days is not None else None,
        revoked_at=NOW if revoked else None,
    )


def judge_keys(*keys: VerificationKey) -> list[Finding]:
    return installation.keys(KeyRing({key.kid: key for key in keys}, NOW))


@pytest.mark.parametrize(
    "keys",
    [
        [key("a-1", "a")],
        [key("a-1", "a", 14.01)],
        [key("a-1", "a", 3), key("a-2", "a", 300)],
        [key("a-1", "a", -3), key("a-2", "a")],
        [key("a-1", "a", revoked=True), key("a-2", "a")],
    ],
)
def test_an_issuer_with_a_key_that_goes_on_counting_is_all_right(keys: list[VerificationKey]) -> None:
    (found,) = judge_keys(*keys)
    assert found.level is Level.OK


@pytest.mark.parametrize(
    "keys",
    [
        [key("a-2", "a", 14)],
        [key("a-1", "a", 10), key("a-2", "a", 14)],
        [key("a-1", "a", revoked=True), key("a-2", "a", 14)],
        [key("a-2", "a", 14), key("b-1", "b")],
    ],
)
def test_the_last_key_of_an_issuer_that_ends_soon_is_named_with_its_day_and_the_command(
    keys: list[VerificationKey],
) -> None:
    (found,) = judge_keys(*keys)
    assert found.level is Level.WARNING
    assert "Key a-2 of a ends on 2026-12-08 12:00 UTC" in found.sentence
    command = "ops-approval keys create a FILE --type CreateAction --origin alert --action-type '*'"
    assert found.sentence.endswith(command)


@pytest.mark.parametrize("keys", [[key("a-1", "a", 0)], [key("a-1", "a", revoked=True), key("a-2", "a", -1)]])
def test_an_issuer_none_of_whose_keys_counts_is_named(keys: list[VerificationKey]) -> None:
    (found,) = judge_keys(*keys)
    assert found.level is Level.WARNING
    assert "No key of a counts" in found.sentence


def test_an_installation_without_keys_has_a_problem() -> None:
    (found,) = judge_keys()
    assert found.level is Level.PROBLEM
    assert "keys create" in found.sentence


def test_action_types_whose_service_has_no_address_are_named() -> None:
    action_types = (item for _, item in definition_files.shipped() if isinstance(item, ActionType))
    shipped = Definitions(action_types=tuple(Versioned(1, action_type) for action_type in action_types))
    every = {"float", "merchants", "operations", "payments", "payouts", "risk"}
    assert installation.services(shipped, every).level is Level.OK
    found = installation.services(shipped, every - {"float", "merchants"})
    assert found.level is Level.WARNING
    assert "float, merchants" in found.sentence
    assert "ADJUST_FLOAT, ADJUST_MERCHANT_FEE, FREEZE_MERCHANT" in found.sentence
    assert "PAUSE_PAYOUT" not in found.sentence


@pytest.mark.parametrize(
    ("queued", "led", "level"), [(0, True, "ok"), (9, True, "ok"), (0, False, "ok"), (1, False, "problem")]
)
def test_messages_that_nobody_takes_in_are_told(queued: int, *, led: bool, level: str) -> None:
    assert installation.ingest(queued, led=led).level == level


@pytest.mark.parametrize(
    ("check", "change", "level", "says"),
    [
        (Check.SCHEDULER, {"schedulers": 0}, "problem", "3 actions"),
        (Check.SCHEDULER, {"schedulers": 0, "timed": 0}, "ok", ""),
        (Check.OVERDUE, {"overdue": 1}, "warning", "actions list"),
        (Check.OUTCOMES, {"outcomes_unknown": 1}, "warning", "--status outcome_unknown"),
        (Check.MESSAGES, {"dead": 1}, "warning", "messages list --state dead"),
        (Check.MESSAGES, {"quarantined": 1}, "warning", "1 are in quarantine"),
    ],
)
def test_what_is_stuck_is_told_with_what_to_do(check: Check, change: dict[str, int], level: str, says: str) -> None:
    found = installation.OF_WORK[check](replace(WORK, **change))
    assert (found.name, found.level) == (check, level)
    assert says in found.sentence


@pytest.mark.parametrize(
    ("free_mib", "total_mib", "level"),
    [
        (2048, 20_480, "ok"),
        (2047, 4096, "warning"),
        (3000, 30_001, "warning"),  # under 10 %
        (500, 4096, "warning"),
        (499, 4096, "problem"),
    ],
)
def test_a_disk_is_judged_by_what_is_free(free_mib: int, total_mib: int, level: str) -> None:
    assert installation.disk(free_mib * MIB, total_mib * MIB).level == level


def test_a_check_that_fails_is_a_problem_of_its_own_and_quotes_nothing() -> None:
    def fails() -> Finding:
        raise KeyError("secret")

    (found,) = gather.alone(Check.KEYS, fails)
    assert (found.name, found.level) == (Check.KEYS, Level.PROBLEM)
    assert "KeyError" in found.sentence
    assert "secret" not in found.sentence
    assert gather.alone(Check.DISK, lambda: ok(Check.DISK, "Fine.")) == [ok(Check.DISK, "Fine.")]


def test_the_page_about_operations_has_the_checks_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert set(WANTED) == set(Check)
    assert generate.operations(text) == text
    emptied = "a\n<!-- generated: checks -->\nwrong\n<!-- generated: end -->\nb"
    assert "| `clock` |" in generate.operations(emptied)
    assert "wrong" not in generate.operations(emptied)
