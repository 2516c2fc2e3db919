"""Judging the two servers by what they say of themselves; asks nobody."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from db.connect import WORKER
from db.health import Server
from db.schema import OLDEST_SERVER
from domain.messages import CLOCK_TOLERANCE_SECONDS
from workers.checks.finding import Check, Finding, ok, problem, warning

Info = Mapping[str, Any]
"""What Redis answers to INFO, and `appendfsync` where it tells."""

MIB = 2**20

_CLOCK_WARNING_SECONDS = 2
_OLDEST_REDIS = {"Redis": (7,), "Valkey": (7, 2)}
_MEMORY_WARNING, _MEMORY_PROBLEM = 0.80, 0.95


def postgres(server: Server) -> Finding:
    """It answers, or there would be no facts."""
    return ok(Check.POSTGRES, f"Postgres answers; the database takes {server.database_bytes / MIB:,.0f} MiB.")


def postgres_version(server: Server) -> Finding:
    """Whether the schema runs on it."""
    version = f"PostgreSQL {server.version // 10_000}.{server.version % 10_000}"
    if server.version < OLDEST_SERVER:
        return problem(Check.POSTGRES_VERSION, f"This is {version}. Upgrade it to PostgreSQL 15 or newer.")
    return ok(Check.POSTGRES_VERSION, f"This is {version}.")


def postgres_durability(server: Server) -> Finding:
    """Whether what it committed survives a crash."""
    settings = {"fsync": server.fsync, "synchronous_commit": server.synchronous_commit != "off"}
    off = " and ".join(name for name, is_on in settings.items() if not is_on)
    if off:
        return problem(
            Check.POSTGRES_DURABILITY,
            f"Postgres may lose what it committed when its machine crashes, votes and executions among it: turn on {off} "
            f"in its configuration.",
        )
    if not server.full_page_writes:
        return warning(
            Check.POSTGRES_DURABILITY,
            "full_page_writes is off: a crash may damage the database unless its file system writes whole pages. Turn it on "
            "if you are not sure.",
        )
    return ok(Check.POSTGRES_DURABILITY, "Postgres keeps what it committed.")


def postgres_primary(server: Server) -> Finding:
    """Whether it takes writes."""
    if server.standby:
        return problem(
            Check.POSTGRES_PRIMARY, "This Postgres is a standby and takes no writes. Let DATABASE_URL name the primary."
        )
    return ok(Check.POSTGRES_PRIMARY, "Postgres takes writes.")


def role(server: Server) -> Finding:
    """Whether the engine's processes can work under the login."""
    if not server.may_work:
        return problem(
            Check.ROLE,
            f"The login of DATABASE_URL cannot take on the role {WORKER}. If the database is new, run `ops-approval db "
            f"init` as its owner; else let the owner `grant {WORKER} to` the login.",
        )
    return ok(Check.ROLE, f"The login can take on the role {WORKER}.")


def clock(before: datetime, database: datetime, after: datetime) -> Finding:
    """The database's clock against ours, read before and after; only what the round trip cannot explain counts."""
    round_trip = after - before
    difference = before + round_trip / 2 - database
    seconds = (abs(difference) - round_trip / 2).total_seconds()
    if seconds < _CLOCK_WARNING_SECONDS:
        return ok(Check.CLOCK, "This machine's clock and the database's agree.")
    found = (
        f"This machine's clock is {seconds:,.0f} s {'ahead of' if difference.total_seconds() > 0 else 'behind'} the "
        f"database's. Set both by NTP"
    )
    if seconds < CLOCK_TOLERANCE_SECONDS:
        return warning(Check.CLOCK, f"{found}: from {CLOCK_TOLERANCE_SECONDS} s on messages are refused.")
    return problem(Check.CLOCK, f"{found}: messages signed here may be refused, or expire too early.")


def redis(info: Info) -> Finding:
    """Whether it answers more than questions about itself."""
    if info.get("loading"):
        return problem(Check.REDIS, "Redis is still reading its data and serves nobody yet. Wait, and look again.")
    return ok(Check.REDIS, "Redis answers.")


def redis_version(info: Info) -> Finding:
    """Whether it is one that the engine is made for."""
    product = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get(f"{product.lower()}_version", "of an unknown version"))
    if tuple(int(part) for part in re.findall(r"\d+", version)) < _OLDEST_REDIS[product]:
        return problem(
            Check.REDIS_VERSION, f"This is {product} {version}. Upgrade it to Redis 7 or Valkey 7.2, or newer."
        )
    return ok(Check.REDIS_VERSION, f"This is {product} {version}.")


def redis_mode(info: Info) -> Finding:
    """Whether it is a server that dramatiq's scripts run on."""
    mode = info.get("redis_mode") or info.get("server_mode")  # as newer Valkeys call it
    if mode == "cluster" or info.get("cluster_enabled"):
        return problem(
            Check.REDIS_MODE,
            "This Redis is a cluster, which dramatiq does not support. Use a single Redis, with a replica.",
        )
    if mode == "sentinel":
        return problem(
            Check.REDIS_MODE, "This is a sentinel and keeps nothing. Let REDIS_URL name the primary it watches."
        )
    return ok(Check.REDIS_MODE, "Redis is a single server.")


def redis_primary(info: Info) -> Finding:
    """Whether it takes writes."""
    if info.get("role", "master") != "master":
        return problem(
            Check.REDIS_PRIMARY, "This Redis is a replica and takes no writes. Let REDIS_URL name the primary."
        )
    return ok(Check.REDIS_PRIMARY, "Redis takes writes.")


def redis_persistence(info: Info) -> Finding:
    """Whether messages that producers were told are queued survive a crash."""
    name = Check.REDIS_PERSISTENCE
    if not info.get("aof_enabled"):
        return problem(
            name, "Redis forgets accepted messages when it crashes. Set `appendonly yes` in its configuration."
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        return problem(
            name, "Redis could not write its append-only file. Look at its log, and whether its disk is full."
        )
    if info.get("appendfsync") == "no":
        return warning(
            name,
            "Redis may lose the last half minute when its machine crashes. Set `appendfsync everysec`, or `always`.",
        )
    return ok(name, "Redis keeps messages in its append-only file.")


def redis_eviction(info: Info) -> Finding:
    """Whether it drops messages when its memory is full."""
    policy = str(info.get("maxmemory_policy", "not known"))
    if policy == "noeviction":
        return ok(Check.REDIS_EVICTION, "Redis drops nothing when its memory is full.")
    if policy.startswith("volatile-"):
        return warning(
            Check.REDIS_EVICTION,
            f"maxmemory-policy is {policy}: when its memory is full Redis drops keys that expire, which no message does. Set "
            f"it to noeviction to be safe.",
        )
    return problem(
        Check.REDIS_EVICTION,
        f"maxmemory-policy is {policy}: when its memory is full Redis drops messages and tells nobody. Set it to noeviction.",
    )


def redis_memory(info: Info) -> Finding:
    """How near to its limit it is; at the limit producers are refused."""
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not limit:
        return ok(Check.REDIS_MEMORY, f"Redis uses {used / MIB:,.0f} MiB and has no limit but its machine's.")
    told = f"Redis uses {used / limit:.0%} of the {limit / MIB:,.0f} MiB that it may"
    if used / limit < _MEMORY_WARNING:
        return ok(Check.REDIS_MEMORY, f"{told}.")
    advice = "at the limit producers are refused. See that workers run and take messages in, or raise maxmemory."
    level = warning if used / limit < _MEMORY_PROBLEM else problem
    return level(Check.REDIS_MEMORY, f"{told}: {advice}")


OF_POSTGRES: dict[Check, Callable[[Server], Finding]] = {
    Check.POSTGRES: postgres,
    Check.POSTGRES_VERSION: postgres_version,
    Check.POSTGRES_DURABILITY: postgres_durability,
    Check.POSTGRES_PRIMARY: postgres_primary,
    Check.ROLE: role,
}
OF_REDIS: dict[Check, Callable[[Info], Finding]] = {
    Check.REDIS: redis,
    Check.REDIS_VERSION: redis_version,
    Check.REDIS_MODE: redis_mode,
    Check.REDIS_PRIMARY: redis_primary,
    Check.REDIS_PERSISTENCE: redis_persistence,
    Check.REDIS_EVICTION: redis_eviction,
    Check.REDIS_MEMORY: redis_memory,
}
