"""Real servers for the tests: one Postgres and one Valkey for the whole run, a database of its own for each test.

They are the embedded ones, or what `TEST_POSTGRES_BIN` (a directory of PostgreSQL's programs) and `TEST_REDIS_SERVER` (the
path of a redis-server or valkey-server) name. Tests of the embedded servers themselves use those in any case.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis
import structlog
from hypothesis import Phase, settings

from db import connect, schema
from tests.installed import InstalledPostgres, InstalledRedis, versions
from tests.rabbitmq import RabbitMQ, program
from tests.world import Installation, prepare
from workers import definition_files
from workers.sandbox import Sandbox
from workers.stack import Servers
from workers.stack.postgres import Postgres
from workers.stack.valkey import Valkey

TEMPLATE = "template_ops_approval"

# For searching longer than the suite does: make test ARGS="tests/workers/test_fuzz.py --hypothesis-profile=long".
settings.register_profile("long", max_examples=10_000, deadline=None)
# No test is wrong because a machine is slow.
settings.register_profile("suite", deadline=None)
# For many runs of the same tests: make mutants.
settings.register_profile(
    "mutants", max_examples=30, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("suite")

# Logs of failed tests are shown; the default's tracebacks with every local variable take seconds to draw.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


_started: dict[str, str] = {}


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Tell with each test which servers run: what is told of a run as a whole is lost where several processes share it."""
    item.user_properties += _started.items()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """One Postgres and one Valkey."""
    with _servers() as servers:
        _started.update(versions(servers.urls))
        _make_template(servers.urls.database_url)
        yield servers


@contextmanager
def _servers() -> Iterator[Servers]:
    directory = Path(tempfile.mkdtemp(prefix="ops-test-", dir="/tmp"))
    directory.chmod(0o711)
    servers = Servers(directory, durable=False, postgres=_postgres(), valkey=_valkey())
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _postgres() -> Callable[..., Postgres]:
    directory = os.environ.get("TEST_POSTGRES_BIN")
    return partial(InstalledPostgres, directory=Path(directory)) if directory else Postgres


def _valkey() -> Callable[..., Valkey]:
    path = os.environ.get("TEST_REDIS_SERVER")
    return partial(InstalledRedis, path=Path(path)) if path else Valkey


def _make_template(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f'create database "{TEMPLATE}"')
    with connect.connect(_database(url, TEMPLATE), "tests", role=None) as conn:
        schema.init(conn)
        definition_files.apply(conn, definition_files.shipped(), by="tests")
        prepare(conn)


def _database(url: str, name: str) -> str:
    return url.replace("/ops_approval?", f"/{name}?")


_count = iter(range(1, 1_000_000))


@contextmanager
def _installation(servers: Servers) -> Iterator[Installation]:
    name = f"test_{next(_count)}"
    admin = servers.urls.database_url
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f'create database "{name}" template "{TEMPLATE}" strategy file_copy')
    client = redis.Redis.from_url(servers.urls.redis_url)
    client.flushall()
    installation = Installation(_database(admin, name), servers.urls.redis_url, client)
    try:
        yield installation
    finally:
        installation.close()
        client.close()
        with psycopg.connect(admin, autocommit=True) as conn:
            conn.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def installation(servers: Servers) -> Iterator[Installation]:
    """A database with schema, shipped definitions, keys and a directory; and an empty Redis database."""
    with _installation(servers) as installation:
        yield installation


@pytest.fixture(scope="module")
def shared_installation(servers: Servers) -> Iterator[Installation]:
    """One for all tests of a module, which roll back whatever they do to it."""
    with _installation(servers) as installation:
        yield installation


@pytest.fixture
def twin(servers: Servers) -> Iterator[Installation]:
    """A second database, like the first in everything, on the same Redis."""
    with _installation(servers) as twin:
        yield twin


@pytest.fixture
def own_servers() -> Iterator[tuple[Servers, Installation]]:
    """Servers of the test's own, to be killed and started again, with an installation on them."""
    with _servers() as servers:
        _make_template(servers.urls.database_url)
        with _installation(servers) as installation:
            yield servers, installation


@pytest.fixture(scope="session")
def rabbitmq_of_the_run() -> Iterator[RabbitMQ]:
    """One RabbitMQ node, where it is installed."""
    if (path := program()) is None:
        pytest.skip("rabbitmq-server is not installed")
    with tempfile.TemporaryDirectory(prefix="ops-test-") as directory, RabbitMQ(path, Path(directory)) as node:
        _started["rabbitmq"] = f"RabbitMQ {node.version()}"
        yield node


@pytest.fixture
def rabbitmq(rabbitmq_of_the_run: RabbitMQ) -> RabbitMQ:
    """RabbitMQ, running whatever the test before did to it."""
    rabbitmq_of_the_run.start()
    return rabbitmq_of_the_run


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The services that execute actions, with a ledger of every effect."""
    with Sandbox() as sandbox:
        yield sandbox
