"""`ops-approval doctor` and the checks at start, on real servers that are well, ill or gone."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from db import connect, schema
from tests.workers.test_alerts import remediate
from tests.workers.test_cli import run
from tests.world import Installation, prepare, top_up, wait_for
from workers import definition_files
from workers.checks import gather
from workers.checks.finding import Check, Finding, Level
from workers.cli import up
from workers.scheduler import Scheduler
from workers.settings import Settings
from workers.stack import Servers

SERVICES = json.dumps(dict.fromkeys(up.SERVICES, "http://127.0.0.1:1"))


def look(installation: Installation, **changes: str) -> dict[Check, Finding]:
    """What the doctor finds."""
    services = json.loads(SERVICES)
    settings = Settings(
        DATABASE_URL=changes.get("database_url", installation.settings.database_url),
        REDIS_URL=changes.get("redis_url", installation.settings.redis_url),
        services=services,
    )
    return {finding.name: finding for finding in gather.everything(settings)}


def troubles(found: dict[Check, Finding]) -> set[Check]:
    """What is not as it should be, beside the tests' Postgres, which runs without fsync."""
    return {name for name, finding in found.items() if finding.level is not Level.OK} - {Check.POSTGRES_DURABILITY}


@contextmanager
def configured(client: redis.Redis, **settings: str) -> Iterator[None]:
    """Redis with other settings for a while."""
    before = {name: str(client.config_get(name)[name]) for name in settings}
    try:
        for name, value in settings.items():
            client.config_set(name, value)
        yield
    finally:
        for name, old in before.items():
            client.config_set(name, old)


@pytest.fixture
def durable() -> Iterator[Path]:
    """The data directory of running servers that keep what they commit, with an installation on them."""
    directory = Path(tempfile.mkdtemp(prefix="ops-doctor-", dir="/tmp"))
    directory.chmod(0o711)
    try:
        with Servers(directory) as servers:
            with connect.connect(servers.urls.database_url, "tests", role=None) as conn:
                schema.init(conn)
                definition_files.apply(conn, definition_files.shipped(), by="tests")
                prepare(conn)
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_everything_is_looked_at_and_only_the_missing_fsync_is_found(installation: Installation) -> None:
    found = look(installation)
    assert set(found) == set(Check)
    assert not troubles(found)
    assert found[Check.POSTGRES_DURABILITY].level is Level.PROBLEM


def test_servers_of_up_are_well_and_their_disk_is_seen(durable: Path) -> None:
    done = run("doctor", OPS_APPROVAL_DATA=str(durable), OPS_APPROVAL_SERVICES=SERVICES)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + len(Check) + 1
    assert next(line for line in lines if " disk " in line).rstrip().endswith("free.")
    told = json.loads(run("doctor", "--json", OPS_APPROVAL_DATA=str(durable)).stdout)
    assert told["verdict"] == "warning"
    assert [finding["name"] for finding in told["findings"] if finding["level"] != "ok"] == ["services"]


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("appendonly", "no", Check.REDIS_PERSISTENCE),
        ("appendfsync", "no", Check.REDIS_PERSISTENCE),
        ("maxmemory-policy", "allkeys-lru", Check.REDIS_EVICTION),
        ("maxmemory", "1mb", Check.REDIS_MEMORY),
    ],
)
def test_a_redis_that_may_lose_messages_is_found_out(
    installation: Installation, name: str, value: str, check: Check
) -> None:
    with configured(installation.client, **{name: value}):
        assert troubles(look(installation)) == {check}


def test_a_redis_that_refuses_config_is_judged_by_its_info(installation: Installation) -> None:
    installation.client.acl_setuser("managed", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
    url = f"{installation.settings.redis_url}&username=managed&password=x"
    try:
        found = look(installation, redis_url=url)
        assert not troubles(found)
        installation.client.acl_setuser("managed", enabled=True, commands=["-info"])
        found = look(installation, redis_url=url)
        assert troubles(found) == {Check.REDIS_VERSION}
        assert "NoPermissionError" in found[Check.REDIS_VERSION].sentence
    finally:
        installation.client.acl_deluser("managed")


def test_a_key_that_ends_soon_is_named(installation: Installation) -> None:
    installation.owner.execute("update keys set valid_until = now() + interval '3 days' where kid = 'sira-1'")
    found = look(installation)
    assert troubles(found) == {Check.KEYS}
    assert "sira-1" in found[Check.KEYS].sentence


def test_with_the_schema_of_another_release_nothing_more_is_read_from_it(installation: Installation) -> None:
    installation.owner.execute("update schema_version set version = 99")
    found = look(installation)
    assert troubles(found) == {Check.SCHEMA}
    assert "version 99" in found[Check.SCHEMA].sentence
    assert Check.KEYS not in found
    assert Check.REDIS_EVICTION in found


def test_a_database_without_a_schema_is_told_to_be_initialised(installation: Installation) -> None:
    installation.owner.execute("drop schema ops_approval cascade")
    assert "db init" in look(installation)[Check.SCHEMA].sentence


def test_a_login_that_cannot_take_on_the_workers_role_is_found_out(installation: Installation) -> None:
    url = installation.settings.database_url.replace("ops_owner@", "stranger@")
    installation.owner.execute("create role stranger login noinherit")
    try:
        assert troubles(look(installation, database_url=url)) == {Check.ROLE}
        installation.owner.execute("grant ops_worker to stranger")
        assert not troubles(look(installation, database_url=url))
    finally:
        installation.owner.execute("drop role stranger")


def test_what_is_stuck_is_counted(installation: Installation) -> None:
    late, unknown = installation.approved(key="a", alert="a"), installation.approved(key="b", alert="b")
    installation.make_due(late)
    for status in ("executing", "outcome_unknown"):
        installation.owner.execute("update actions set status = %s where id = %s", [status, unknown])
    installation.owner.execute(
        "insert into messages (content_sha256, outcome, code, sentence) values (sha256('x'), 'dead', 'x', 'x')"
    )
    installation.producer("sira").send(top_up("c"))
    found = look(installation)
    stuck = {Check.INGEST, Check.SCHEDULER, Check.OVERDUE, Check.OUTCOMES, Check.MESSAGES}
    assert troubles(found) == stuck
    assert "Messages wait, 1," in found[Check.INGEST].sentence
    with connect.connect(installation.settings.database_url, connect.SCHEDULER):
        assert troubles(look(installation)) == stuck - {Check.SCHEDULER}


def test_an_alert_that_waits_for_sira_is_counted_too(installation: Installation) -> None:
    text = "remediation_rules: [{name: float_low, auto_action: {action_type: ADJUST_FLOAT}}]"
    definition_files.apply(installation.owner, definition_files.parse(text, "here"), by="tests")
    installation.tell("alerts", remediate("a-1", None))
    assert troubles(look(installation)) == {Check.SCHEDULER}
    with installation.owner.transaction():
        installation.owner.execute("set local session_replication_role = replica")
        installation.owner.execute("update proposals set due_at = due_at - interval '1 day'")
    assert troubles(look(installation)) == {Check.SCHEDULER, Check.OVERDUE}


def test_a_stream_that_is_behind_is_found_out(installation: Installation) -> None:
    installation.approved()
    assert not troubles(look(installation)) - {Check.SCHEDULER}
    for key in ("before there was a stream", "after"):
        with installation.owner.transaction():
            installation.owner.execute("set local session_replication_role = replica")
            installation.owner.execute("update events set at = at - interval '2 minutes'")
        found = look(installation)
        assert troubles(found) - {Check.SCHEDULER} == {Check.EVENTS}
        assert found[Check.EVENTS].sentence.startswith("4 events")
        installation.put_out()
        assert not troubles(look(installation)) - {Check.SCHEDULER}
        installation.approved(key=key)


def test_an_installation_without_redis_has_no_stream(installation: Installation) -> None:
    settings = Settings(DATABASE_URL=installation.settings.database_url, BROKER_URL="amqp://nowhere")
    (told,) = [finding for finding in gather.everything(settings) if finding.name is Check.EVENTS]
    assert (told.level, "no REDIS_URL" in told.sentence) == (Level.OK, True)


def test_an_ingest_that_leads_is_seen(installation: Installation) -> None:
    with installation.at_work("http://127.0.0.1:1"):
        wait_for(lambda: look(installation)[Check.INGEST].sentence.startswith("Ingest is running"))


def test_without_redis_postgres_is_still_looked_at(own_servers: tuple[Servers, Installation]) -> None:
    servers, installation = own_servers
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    done = run("doctor", **urls)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 problem" in done.stdout.splitlines()[-1]
    assert "fsync" in done.stdout.splitlines()[-2]
    servers.kill_redis()
    done = run("doctor", "--json", **urls)
    assert done.returncode == 3, done.stdout + done.stderr
    told = json.loads(done.stdout)
    levels = {finding["name"]: finding["level"] for finding in told["findings"]}
    assert told["verdict"] == "unavailable"
    assert (levels["redis"], levels["postgres"], levels["keys"]) == ("problem", "ok", "ok")
    servers.start_redis()
    servers.kill_postgres()
    found = look(installation)
    assert found[Check.POSTGRES].level is Level.PROBLEM
    assert found[Check.REDIS_EVICTION].level is Level.OK
    servers.start_postgres()


@pytest.mark.parametrize(
    ("database_url", "redis_url", "code", "problems"),
    [
        ("postgresql://ops:hunter2@127.0.0.1:1/x", "redis://:hunter2@127.0.0.1:1/0", 3, 2),
        ("postgres//ops:hunter2@127.0.0.1/x", "rediss//:hunter2@127.0.0.1/0", 2, 0),
        ("postgresql://ops:%hunter2@127.0.0.1/x", "redis://:/hunter2@127.0.0.1/0", 2, 0),
    ],
)
def test_no_password_is_printed(database_url: str, redis_url: str, code: int, problems: int) -> None:
    done = run("doctor", DATABASE_URL=database_url, REDIS_URL=redis_url)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.count("problem ") == problems
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_ingest_and_scheduler_log_a_redis_that_drops_messages_and_go_on(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[str]:
        return [str(entry["sentence"]) for entry in logs if entry.get("name") == "redis_eviction"]

    scheduler = Scheduler(installation.settings, installation.broker)
    with configured(installation.client, **{"maxmemory-policy": "allkeys-lru"}), capture_logs() as logs:
        with installation.at_work("http://127.0.0.1:1"):
            assert installation.send("sira", top_up())["outcome"] == "applied"
            assert len(told()) == 1
        monkeypatch.setattr(scheduler, "tick", lambda _conn: scheduler.stopping.set())
        scheduler.run()
    assert len(told()) == 2
    assert all("noeviction" in sentence for sentence in told())
    assert {entry["log_level"] for entry in logs if entry["event"] == "check"} == {"error"}
