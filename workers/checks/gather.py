"""Looking at what an installation stands on. Each check stands alone: one that fails hides no other, and is told as one."""

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar, cast

import psycopg
import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from db import connect, health, leader, schema
from db.connect import Connection
from db.definitions import load_definitions
from db.events import read_backlog
from db.keys import load_key_ring
from db.schema import SchemaError
from workers import logs, stack
from workers.checks import installation, servers
from workers.checks.finding import Check, Finding, Level, ok, problem
from workers.queue import MESSAGES
from workers.settings import Settings

_log = structlog.get_logger(__name__)

Facts = TypeVar("Facts")

_NAME = "ops-approval doctor"
_PATIENCE_SECONDS = 5


def alone(name: Check, check: Callable[[], Finding | list[Finding]]) -> list[Finding]:
    """What a check finds; whatever it raises is a problem of its own."""
    try:
        found = check()
    except Exception as error:  # noqa: BLE001 - whoever wants to know what is wrong must be told the rest
        return [_failed(name, error)]
    return found if isinstance(found, list) else [found]


def _failed(name: Check, error: Exception) -> Finding:
    """By its class alone: the text of an error may quote data."""
    sqlstate = getattr(error, "sqlstate", None)
    what = type(error).__name__ + (f", SQLSTATE {sqlstate}" if sqlstate else "")
    return problem(name, f"This could not be looked at ({what}). Try again; if it stays, report it as a defect.")


def _each(
    read: Callable[[], Facts], unread: Check, judges: Mapping[Check, Callable[[Facts], Finding]]
) -> list[Finding]:
    """Facts that are read once and judged by many; if they cannot be read, the check `unread` says so."""
    try:
        facts = read()
    except Exception as error:  # noqa: BLE001 - as above
        return [_failed(unread, error)]
    return [finding for name, judge in judges.items() for finding in alone(name, partial(judge, facts))]


def postgres_at_start(conn: Connection) -> list[Finding]:
    """The server and the clock; needs no schema."""
    return [
        *_each(lambda: health.read_server(conn), Check.POSTGRES_VERSION, servers.OF_POSTGRES),
        *alone(Check.CLOCK, lambda: servers.clock(datetime.now(UTC), health.read_clock(conn), datetime.now(UTC))),
    ]


def redis_at_start(client: redis.Redis) -> list[Finding]:
    """The server; it need not answer."""
    try:
        client.ping()
    except redis.BusyLoadingError:
        pass  # INFO says so
    except redis.RedisError as error:
        return [_unreachable(Check.REDIS, "Redis", "REDIS_URL", error)]
    return _each(lambda: _info(client), Check.REDIS_VERSION, servers.OF_REDIS)


def _info(client: redis.Redis) -> servers.Info:
    """INFO, because managed servers refuse CONFIG; and what CONFIG adds where it is allowed."""
    info: dict[str, Any] = client.info()
    with suppress(redis.ResponseError):
        info |= cast("dict[str, Any]", client.config_get("appendfsync"))
    return info


def log(findings: Iterable[Finding]) -> None:
    """Log what is not as it should be; a process goes on all the same."""
    for finding in findings:
        if finding.level is not Level.OK:
            level = logging.ERROR if finding.level is Level.PROBLEM else logging.WARNING
            _log.log(level, "check", name=finding.name.value, found=finding.level.value, sentence=finding.sentence)


def at_start(conn: Connection, settings: Settings) -> list[Finding]:
    """What each process looks at when it starts."""
    of_redis, _ = _of_redis(settings)
    return [*postgres_at_start(conn), *of_redis]


def everything(settings: Settings) -> list[Finding]:
    """All checks of an installation, as it runs now; a server that does not answer takes only its own with it."""
    of_redis, queued = _of_redis(settings)
    return [*_of_postgres(settings, queued), *of_redis, *alone(Check.DISK, lambda: _disk(settings))]


def _of_redis(settings: Settings) -> tuple[list[Finding], int | None]:
    """Its findings, and how many messages wait, where it tells; nothing where RabbitMQ is in its place."""
    if settings.broker_url:
        return [], None
    patience = {"socket_connect_timeout": _PATIENCE_SECONDS, "socket_timeout": _PATIENCE_SECONDS}
    with closing(redis.Redis.from_url(settings.servers.redis_url, retry=Retry(NoBackoff(), 0), **patience)) as client:
        found = redis_at_start(client)
        try:
            return found, client.llen(f"dramatiq:{MESSAGES}")
        except redis.RedisError:
            return found, None


def _of_postgres(settings: Settings, queued: int | None) -> list[Finding]:
    url = settings.servers.database_url
    found: list[Finding] = []
    try:
        with connect.connect(url, _NAME, role=None) as conn:
            found += postgres_at_start(conn)
        if all(finding.level is Level.OK for finding in found if finding.name is Check.ROLE):
            # As the engine's processes see it, whoever logs in.
            with connect.connect(url, _NAME, statement_timeout=f"{_PATIENCE_SECONDS}s") as conn:
                found += _of_database(conn, settings, queued)
    except psycopg.OperationalError as error:
        found.append(_unreachable(Check.POSTGRES, "Postgres", "DATABASE_URL", error))
    return found


def _of_database(conn: Connection, settings: Settings, queued: int | None) -> list[Finding]:
    found = alone(Check.SCHEMA, lambda: _schema(conn))
    if found[0].level is not Level.OK:
        return found
    found += alone(Check.KEYS, lambda: installation.keys(load_key_ring(conn)))
    found += alone(Check.SERVICES, lambda: installation.services(load_definitions(conn), settings.services))
    if settings.ingest and queued is not None:
        found += alone(Check.INGEST, lambda: installation.ingest(queued, led=leader.is_led(conn)))
    found += _each(lambda: health.read_work(conn), Check.OVERDUE, installation.OF_WORK)
    if settings.stream is None:
        return [*found, installation.no_stream()]
    return found + alone(Check.EVENTS, lambda: installation.events(read_backlog(conn)))


def _schema(conn: Connection) -> Finding:
    try:
        schema.check(conn)
    except SchemaError as error:
        return problem(Check.SCHEMA, str(error))
    return ok(Check.SCHEMA, f"The schema is version {schema.VERSION}, as this release needs it.")


def _disk(settings: Settings) -> Finding:
    if settings.servers != stack.urls_for(settings.data):
        return installation.disk_elsewhere()
    if not settings.data.exists():
        return problem(Check.DISK, f"There is no {settings.data}. Start `ops-approval up`, or name another --data.")
    usage = shutil.disk_usage(settings.data)
    return installation.disk(usage.free, usage.total)


def _unreachable(name: Check, server: str, variable: str, error: Exception) -> Finding:
    reason = (logs.why_no_connection(error) or type(error).__name__).rstrip(".")
    return problem(
        name, f"{server} does not answer ({reason}). Start it, or `ops-approval up`, or correct {variable} or --data."
    )
