"""What is looked at, and how a look is told: one sentence that says what is wrong and what to do next."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is, from good to bad."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(StrEnum):
    """What is looked at; the value is its name in logs and in JSON."""

    POSTGRES = "postgres"
    POSTGRES_VERSION = "postgres_version"
    POSTGRES_DURABILITY = "postgres_durability"
    POSTGRES_PRIMARY = "postgres_primary"
    ROLE = "role"
    CLOCK = "clock"
    SCHEMA = "schema"
    REDIS = "redis"
    REDIS_VERSION = "redis_version"
    REDIS_MODE = "redis_mode"
    REDIS_PRIMARY = "redis_primary"
    REDIS_PERSISTENCE = "redis_persistence"
    REDIS_EVICTION = "redis_eviction"
    REDIS_MEMORY = "redis_memory"
    KEYS = "keys"
    SERVICES = "services"
    INGEST = "ingest"
    SCHEDULER = "scheduler"
    OVERDUE = "overdue"
    OUTCOMES = "outcomes"
    MESSAGES = "messages"
    EVENTS = "events"
    DISK = "disk"


WANTED = {
    Check.POSTGRES: "Postgres answers at `DATABASE_URL`",
    Check.POSTGRES_VERSION: "it is PostgreSQL 15 or newer",
    Check.POSTGRES_DURABILITY: "it keeps what it committed: `fsync`, `full_page_writes` and `synchronous_commit` are not off",
    Check.POSTGRES_PRIMARY: "it is not a standby",
    Check.ROLE: "the login can take on the role `ops_worker`",
    Check.CLOCK: "this machine's clock and the database's differ by less than 2 s; 30 s are a problem",
    Check.SCHEMA: "the schema is there, in the version of this release",
    Check.REDIS: "Redis answers at `REDIS_URL`",
    Check.REDIS_VERSION: "it is Redis 7 or Valkey 7.2, or newer",
    Check.REDIS_MODE: "it is a single server, neither a cluster nor a sentinel",
    Check.REDIS_PRIMARY: "it is not a replica",
    Check.REDIS_PERSISTENCE: "it writes an append-only file, without errors, at least each second",
    Check.REDIS_EVICTION: "`maxmemory-policy` is `noeviction`",
    Check.REDIS_MEMORY: "less than 80 % of `maxmemory` is used; 95 % are a problem",
    Check.KEYS: "keys are registered, and each issuer has one that counts for 14 more days",
    Check.SERVICES: "`OPS_APPROVAL_SERVICES` has an address for the service of each action type in force",
    Check.INGEST: "somebody takes messages in, if any wait",
    Check.SCHEDULER: "a scheduler is connected, if anything waits",
    Check.OVERDUE: "no action waits for the engine for more than a minute after its time",
    Check.OUTCOMES: "no action has an unknown outcome",
    Check.MESSAGES: "no message of the last 7 days is a dead letter or in quarantine",
    Check.EVENTS: "what happened is in the stream of events within a minute, where there is a Redis for it",
    Check.DISK: "2 GiB and 10 % of the data directory's disk are free; less than 500 MiB are a problem",
}
"""What each check wants to find."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: Check
    level: Level
    sentence: str


def ok(name: Check, sentence: str) -> Finding:
    """A check that found what it wants."""
    return Finding(name, Level.OK, sentence)


def warning(name: Check, sentence: str) -> Finding:
    """Something that will be a problem, or may be one."""
    return Finding(name, Level.WARNING, sentence)


def problem(name: Check, sentence: str) -> Finding:
    """Something that stops the engine, or lets it lose what it accepted."""
    return Finding(name, Level.PROBLEM, sentence)
