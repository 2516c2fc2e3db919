"""Whatever lies in the queue: nobody dies of it, each has its one row, and the good messages beside it are applied."""

import time
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.messages import CastVote, Outcome, content_sha256
from domain.refusals import Code, groups
from tests.fuzz.entries import Bad, bad_calls, bad_entries, carrying, known_bad
from tests.fuzz.payloads import Honest
from tests.world import KEYS, Installation, top_up
from workers.producer import Ticket
from workers.queue import token_of

HONEST = Honest(KEYS["ops-tooling"], int(time.time()))
QUARANTINE_CODES = set(next(iter(groups().values())))
KEPT_TOKENS = {Code.UNKNOWN_KEY, Code.KEY_NOT_VALID}
"""What these were said of may be tried again, when the key is known."""

_numbers = count()

# Some of what is put into the queue is large; a failure shows it all the same.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

# In the suite half of Hypothesis's 100 examples, because each drains a queue; tests/conftest.py has a longer profile.
fuzzed = settings(
    max_examples=settings().max_examples // 2,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def good_messages(installation: Installation) -> list[Ticket]:
    """An action and the two votes that approve it, signed and not yet sent."""
    create = installation.producer("sira").sign(top_up(f"good {next(_numbers)}"))
    votes = [
        CastVote.model_validate({"action_id": create.action_id, "voter_id": person, "vote": "approve"})
        for person in ("finance-user-1", "finance-user-2")
    ]
    return [create, *map(installation.producer("ops-tooling").sign, votes)]


def mixed(bad: Iterable[Any], good: Iterable[Any], places: Iterable[int]) -> list[Any]:
    """The bad with the good between them."""
    queue = list(bad)
    for item, place in zip(good, places, strict=True):
        queue.insert(place % (len(queue) + 1), item)
    return queue


def check_good(installation: Installation, tickets: list[Ticket]) -> None:
    """All applied, in whatever order they came, and the action is approved."""
    assert installation.answers(*tickets) == ["applied"] * 3
    action_id = tickets[0].action_id
    assert action_id is not None
    assert installation.trail(action_id) == ["created", "voted", "voted", "approved"]


def total(installation: Installation) -> int:
    return int(installation.scalar("select count(*) from messages"))


def rows_of(installation: Installation, hashes: set[bytes]) -> dict[bytes, dict[str, Any]]:
    """The row of each content that has one, by its hash."""
    statement = "select * from messages where content_sha256 = any(%s)"
    rows = installation.owner.execute(statement, [list(hashes)]).fetchall()
    return {row["content_sha256"]: row for row in rows}


def check_quarantined(row: Mapping[str, Any]) -> None:
    """Nobody is believed to have sent it, and its beginning can be shown."""
    assert (row["issuer"], row["jti"], row["action_id"]) == (None, None, None)
    assert row["code"] in QUARANTINE_CODES
    assert row["token"] is None or row["code"] in KEPT_TOKENS
    assert len(row["excerpt"]) <= 400
    assert row["excerpt"].isprintable()


def check_row(installation: Installation, bad: Bad, row: Mapping[str, Any]) -> None:
    """One of the outcomes that it may have, with a code of ours, under a name that was proved."""
    assert row["outcome"] in bad.outcomes, (row["code"], row["sentence"])
    assert row["sentence"].isprintable()
    if row["outcome"] == Outcome.QUARANTINED:
        check_quarantined(row)
        return
    assert row["issuer"] == HONEST.key.issuer
    assert bad.identity in {None, (row["issuer"], row["jti"])}
    if row["outcome"] == Outcome.REFUSED:
        assert Code(row["code"]) not in QUARANTINE_CODES
    if row["outcome"] == Outcome.APPLIED:
        installation.trail(row["action_id"])


def content(entry_id: bytes, entry: bytes | None) -> bytes:
    """Under what an entry is recorded: its token, or itself, or its id where that is all there is."""
    if entry is None:
        return b"no body: " + entry_id
    token = token_of(entry)
    return entry if token is None else token.encode(errors="surrogatepass")


def enqueue_raw(installation: Installation, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
    for entry_id, entry in entries:
        if entry is not None:
            installation.client.hset("dramatiq:messages.msgs", entry_id, entry)
        installation.client.rpush("dramatiq:messages", entry_id)


PLACES = st.tuples(*[st.integers(0, 14)] * 3)
SOME = st.lists(st.integers(0, 14), max_size=2, unique=True)


@fuzzed
@example(bad=known_bad(HONEST), places=(0, 20, 40), names=b"\xff\x00", again=[0], twice=[2], batch=11)
@given(
    bad=st.lists(bad_entries(HONEST), min_size=1, max_size=12),
    places=PLACES,
    names=st.binary(max_size=4),
    again=SOME,
    twice=SOME,
    batch=st.integers(1, 16),
)
def test_a_bad_entry_has_one_row_and_holds_up_nobody(
    installation: Installation,
    bad: list[Bad],
    places: tuple[int, ...],
    names: bytes,
    again: list[int],
    twice: list[int],
    batch: int,
) -> None:
    """`again`: under another id too; `twice`: its id comes once more, by when its body may be gone."""
    good = good_messages(installation)
    queue = mixed(bad, (Bad(carrying(ticket.token)) for ticket in good), places)
    entries = [(b"%d" % number + names, item.entry) for number, item in enumerate(queue)]
    told = {content_sha256(content(*entry)): item for entry, item in zip(entries, queue, strict=True)}
    entries += [(b"again %d" % number + names, entries[number % len(queue)][1]) for number in again]
    doubled = [entries[number % len(queue)] for number in twice]
    certain = {content_sha256(content(*entry)) for entry in entries}
    possible = certain | {content_sha256(content(entry_id, None)) for entry_id, _ in doubled}
    others = total(installation) - len(rows_of(installation, possible))

    enqueue_raw(installation, entries + doubled)
    installation.drain(batch)

    assert installation.queued() == 0
    check_good(installation, good)
    rows = rows_of(installation, possible)
    assert certain <= set(rows)
    assert total(installation) == others + len(rows)
    for content_hash, item in told.items():
        if item in bad:
            check_row(installation, item, rows[content_hash])


@fuzzed
@given(calls=st.lists(bad_calls(), min_size=1, max_size=6), places=PLACES, size=st.integers(1, 9))
def test_the_stock_actor_called_with_anything_has_one_row_and_holds_up_nobody(
    installation: Installation, calls: list[tuple[list[Any], dict[str, Any]]], places: tuple[int, ...], size: int
) -> None:
    good = good_messages(installation)
    queue = mixed(calls, [([ticket.token], {}) for ticket in good], places)
    receipts = [
        receipt
        for start in range(0, len(queue), size)
        for receipt in installation.applier.apply_calls(queue[start : start + size]).receipts
    ]
    check_good(installation, good)
    sent = {ticket.content_sha256 for ticket in good}
    answered = zip(queue, receipts, strict=True)
    hashes = {repr(call): receipt.content_sha256 for call, receipt in answered if receipt.content_sha256 not in sent}
    rows = rows_of(installation, set(hashes.values()))
    assert len(rows) == len({repr(call) for call in calls})
    for row in rows.values():
        assert row["outcome"] == Outcome.QUARANTINED
        check_quarantined(row)
