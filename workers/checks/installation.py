"""Judging an installation: its keys, its services, its processes, what is stuck, its disk; asks nobody."""

import shlex
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from itertools import groupby

from db.events import Backlog
from db.health import Work
from db.keys import KeyRing
from domain.definitions import Definitions
from domain.internal_types import INTERNAL_TYPES
from domain.keys import VerificationKey
from workers.checks.finding import Check, Finding, ok, problem, warning
from workers.checks.servers import MIB

_KEY_NOTICE = timedelta(days=14)
_NEVER = datetime.max.replace(tzinfo=UTC)
_DISK_PROBLEM_BYTES = 500 * MIB
_DISK_WARNING_BYTES = 2048 * MIB
_DISK_WARNING_SHARE = 0.10
_BEHIND_SECONDS = 60


def keys(ring: KeyRing) -> list[Finding]:
    """Whether each issuer has a key that counts, and goes on counting; of several the one that ends last."""
    if not ring.keys:
        return [
            problem(
                Check.KEYS,
                "No key is registered, so no message counts. Make one with `ops-approval keys create --help`.",
            )
        ]
    issuers = groupby(sorted(ring.keys.values(), key=lambda key: key.issuer), key=lambda key: key.issuer)
    found = [finding for _, its in issuers if (finding := _last_key(list(its), ring.now))]
    return found or [ok(Check.KEYS, f"Every issuer has a key that counts for {_KEY_NOTICE.days} more days.")]


def _last_key(its: list[VerificationKey], now: datetime) -> Finding | None:
    last = max(its, key=lambda key: (key.revoked_at is None, _end(key)))
    if last.person is not None and (last.revoked_at is not None or _end(last) <= now):
        return None  # people leave
    if last.revoked_at is not None or _end(last) <= now:
        return warning(
            Check.KEYS,
            f"No key of {last.issuer} counts any more, so nothing that it sends does. If it still sends, make a key: "
            f"{_making_a_key_like(last)}",
        )
    if _end(last) <= now + _KEY_NOTICE:
        return warning(
            Check.KEYS,
            f"Key {last.kid} of {last.issuer} ends on {_end(last):%Y-%m-%d %H:%M} UTC, and there is no later one. Make it "
            f"and hand it over before: {_making_a_key_like(last)}",
        )
    return None


def _end(key: VerificationKey) -> datetime:
    return key.valid_until or _NEVER


def _making_a_key_like(key: VerificationKey) -> str:
    if key.person is not None:
        return shlex.join(["ops-approval", "keys", "generate", key.person, "FILE", "--person"])
    options = {
        "--type": key.scope.types,
        "--origin": key.scope.origins,
        "--action-type": key.scope.action_types,
        "--role": key.scope.roles,
    }
    words = [word for option, values in options.items() for value in values for word in (option, value)]
    return shlex.join(["ops-approval", "keys", "create", key.issuer, "FILE", *words])


def services(definitions: Definitions, known: Collection[str]) -> Finding:
    """Whether each action type in force can be executed with these settings."""
    defined = (versioned.definition for versioned in definitions.action_types_in_force.values())
    in_force = [action_type for action_type in defined if action_type.name not in INTERNAL_TYPES]
    called = {action_type.service for action_type in in_force if action_type.service is not None}
    missing = sorted(called - set(known))
    if not missing:
        return ok(Check.SERVICES, "The service of each action type has an address.")
    stuck = sorted(action_type.name for action_type in in_force if action_type.service in missing)
    return warning(
        Check.SERVICES,
        f"OPS_APPROVAL_SERVICES has no address here for {', '.join(missing)}: a worker with these settings cannot execute "
        f"{', '.join(stuck)}. Add the addresses, here and at the workers; `up --sandbox` has its own.",
    )


def ingest(queued: int, *, led: bool) -> Finding:
    """Whether somebody takes in what waits in the queue."""
    if led:
        return ok(Check.INGEST, f"Ingest is running; messages that wait: {queued}.")
    if queued:
        return problem(
            Check.INGEST, f"Messages wait, {queued}, and nobody takes them in. Start a worker, or read its log."
        )
    return ok(Check.INGEST, "No message waits, and no ingest is running.")


def scheduler(work: Work) -> Finding:
    """Whether somebody minds the time."""
    if work.schedulers:
        return ok(Check.SCHEDULER, "A scheduler is connected.")
    if work.timed:
        return problem(
            Check.SCHEDULER,
            f"No scheduler is connected: the deadlines and retries of {work.timed} actions and alerts pass unseen. Start one, or read "
            f"its log.",
        )
    return ok(Check.SCHEDULER, "Nothing waits for a time, and no scheduler is connected.")


def overdue(work: Work) -> Finding:
    """Whether sweeps do what is due."""
    if work.overdue:
        return warning(
            Check.OVERDUE,
            f"{work.overdue} actions and alerts should have been touched more than a minute ago. See that a worker and a "
            f"scheduler run, and read their logs; `ops-approval actions list` shows the actions.",
        )
    return ok(Check.OVERDUE, "Nothing is overdue.")


def outcomes(work: Work) -> Finding:
    """Whether people must find out what became of an execution."""
    if work.outcomes_unknown:
        return warning(
            Check.OUTCOMES,
            f"Actions of which nobody knows whether they happened: {work.outcomes_unknown}. Find out at the service, and settle "
            "each with a RESOLVE_OUTCOME: `ops-approval actions list --status outcome_unknown`",
        )
    return ok(Check.OUTCOMES, "Every outcome is known.")


def messages(work: Work) -> Finding:
    """Whether messages were put aside that somebody should look at."""
    if work.dead or work.quarantined:
        return warning(
            Check.MESSAGES,
            f"Of the messages of the last 7 days {work.dead} are dead letters and {work.quarantined} are in quarantine. Look "
            f"at them: `ops-approval messages list --state dead`, or `--state quarantined`",
        )
    return ok(Check.MESSAGES, "No message of the last 7 days was put aside.")


OF_WORK: dict[Check, Callable[[Work], Finding]] = {
    Check.SCHEDULER: scheduler,
    Check.OVERDUE: overdue,
    Check.OUTCOMES: outcomes,
    Check.MESSAGES: messages,
}


def events(waiting: Backlog) -> Finding:
    """Whether other systems are told what happens."""
    if waiting.oldest_seconds > _BEHIND_SECONDS:
        return warning(
            Check.EVENTS,
            f"{waiting.events} events are not in the stream that other systems follow, the first since "
            f"{waiting.oldest_seconds:.0f} s. See that a worker and a scheduler run with REDIS_URL, and read their logs.",
        )
    return ok(Check.EVENTS, f"The stream of events is up to date; events on their way there: {waiting.events}.")


def no_stream() -> Finding:
    """Without Redis other systems read the database."""
    return ok(Check.EVENTS, "There is no REDIS_URL, so no stream of events: other systems read the database.")


def disk(free_bytes: int, total_bytes: int) -> Finding:
    """How much room the embedded servers have."""
    told = f"{free_bytes / MIB:,.0f} MiB ({free_bytes / total_bytes:.0%}) of the data directory's disk are free"
    if free_bytes < _DISK_PROBLEM_BYTES:
        return problem(Check.DISK, f"{told}: the servers will stop. Make room now.")
    if free_bytes < _DISK_WARNING_BYTES or free_bytes / total_bytes < _DISK_WARNING_SHARE:
        return warning(Check.DISK, f"{told}. Make room before the servers stop.")
    return ok(Check.DISK, f"{told}.")


def disk_elsewhere() -> Finding:
    """The disks of servers that are not ours."""
    return ok(Check.DISK, "The disks of these servers cannot be seen from here: watch them where they are.")
