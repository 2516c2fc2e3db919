"""The rules that the database holds by itself, whatever the code does: each is tried with plain SQL."""

import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from importlib.resources import files
from itertools import product
from string import ascii_letters
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege, UniqueViolation
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter, ValidationError

from db import connect
from domain.action import Action
from domain.lifecycle import FINAL, TRANSITIONS, Status
from domain.quorum_tree import Name
from tests.world import Installation, top_up
from workers.sandbox import Sandbox

SCHEMA = files("db").joinpath("schema.sql").read_text()
TABLES = re.findall(r"^create table (\w+)", SCHEMA, re.MULTILINE)
VIEWS = re.findall(r"^create view (\w+)", SCHEMA, re.MULTILINE)

_names = [item.name for item in fields(Action)]
FOR_EVER = [*_names[: _names.index("content_hash") + 1]]
"""What an action is; the rest of its columns is where it stands."""


@pytest.fixture(scope="module")
def company(shared_installation: Installation) -> Installation:
    """Where there is an action, with a vote on it, and a vote that waits for an action that is not there."""
    (created,) = shared_installation.tell("sira", top_up(triggered_by="finance-user-4"))
    assert created.action_id is not None
    shared_installation.vote(created.action_id, "finance-user-1")
    shared_installation.vote(uuid4(), "finance-user-2")
    return shared_installation


@pytest.fixture
def owner(company: Installation) -> Iterator[connect.Connection]:
    """The owner's connection, in a transaction that will be rolled back."""
    with company.owner.transaction(force_rollback=True):
        yield company.owner


@contextmanager
def refused(conn: connect.Connection, error: type[psycopg.Error], match: str) -> Iterator[None]:
    with pytest.raises(error, match=match), conn.transaction():
        yield


def copy(owner: connect.Connection, **changes: Any) -> UUID:
    """Another action like the first, but for these columns, written past the engine."""
    other = uuid4()
    owner.execute(
        "insert into actions select (jsonb_populate_record(a, %s)).* from actions a where idempotency_key is not null",
        [Jsonb({"id": str(other), "idempotency_key": None} | changes)],
    )
    return other


def standing(status: Status) -> dict[str, Any]:
    """The columns that must go with a status."""
    done = status is Status.EXECUTED
    return {
        "status": status.value,
        "executed_at": "2026-01-01T00:00:00Z" if done else None,
        "result": {} if done else None,
    }


@pytest.mark.parametrize("before", Status)
def test_a_status_changes_only_as_the_graph_has_it(owner: connect.Connection, before: Status) -> None:
    for after in Status:
        other = copy(owner, **standing(before))
        change = """
            update actions set (status, executed_at, result)
                             = (select status, executed_at, result from jsonb_populate_record(actions, %s))
             where id = %s
            """
        values = [Jsonb(standing(after)), other]
        if before in FINAL:
            with refused(owner, CheckViolation, "stays as it is"):
                owner.execute(change, values)
        elif before is after or (before, after) in TRANSITIONS:
            owner.execute(change, values)
        else:
            with refused(owner, CheckViolation, "an action cannot go from"):
                owner.execute(change, values)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_of_what_one_may_approve_alone_the_trail_goes_on_after_its_end_and_nothing_else(
    owner: connect.Connection, status: Status
) -> None:
    requirement = owner.execute("select requirement || %s as it from actions", [Jsonb({"break_glass": {}})]).fetchone()
    assert requirement is not None
    other, ordinary = copy(owner, **standing(status), requirement=requirement["it"]), copy(owner, **standing(status))
    told = "event_seq = event_seq + 1, event_hash = sha256('next'), updated_at = updated_at + interval '1 s'"
    owner.execute(f"update actions set {told} where id = %s", [other])  # noqa: S608 - from above
    for more in ("error = 'x'", "votes_approve = 9", "due_at = now()", "decided_at = now()", "last_token = 99"):
        with refused(owner, CheckViolation, "stays as it is"):
            owner.execute(f"update actions set {told}, {more} where id = %s", [other])  # noqa: S608 - as above
    with refused(owner, CheckViolation, "stays as it is"):
        owner.execute(f"update actions set {told} where id = %s", [ordinary])  # noqa: S608 - as above


@pytest.mark.parametrize("vote", ["reject", "abstain", "withdraw"])
def test_glass_is_broken_to_approve_and_with_a_reason(owner: connect.Connection, vote: str) -> None:
    owner.execute("alter table votes disable trigger guard_vote")
    owner.execute("update votes set choice = 'approve', break_glass = 'the float is empty'")
    with refused(owner, CheckViolation, "glass_breaks_to_approve"):
        owner.execute("update votes set choice = %s", [vote])
    for reason in ("", "x" * 4001):
        with refused(owner, CheckViolation, "votes_break_glass_check"):
            owner.execute("update votes set break_glass = %s", [reason])


@pytest.mark.parametrize("column", FOR_EVER)
def test_what_an_action_is_never_changes(owner: connect.Connection, column: str) -> None:
    found = owner.execute(f"select pg_typeof({column})::text as type from actions").fetchone()  # noqa: S608 - as below
    assert found is not None
    other = {
        "uuid": "gen_random_uuid()",
        "jsonb": """'{"other": 1}'""",
        "bytea": "'\\x00'",
        "boolean": f"not {column}",
        "integer": f"{column} + 1",
        "numeric": f"{column} + 0.1",
        "text": f"coalesce({column}, '') || 'x'",
        "timestamp with time zone": f"{column} + interval '1 s'",
    }[found["type"]]
    with refused(owner, CheckViolation, "never changes"):
        owner.execute(f"update actions set {column} = {other}")  # noqa: S608 - names from above


@pytest.mark.parametrize("column", ["last_token", "event_seq"])
def test_tokens_and_event_numbers_only_rise(owner: connect.Connection, column: str) -> None:
    owner.execute(f"update actions set {column} = 9")  # noqa: S608 - as above
    with refused(owner, CheckViolation, "only rise"):
        owner.execute(f"update actions set {column} = 8")  # noqa: S608 - as above


def test_an_action_is_complete(owner: connect.Connection) -> None:
    for wrong in (
        {"status": "executed"},
        {"due_at": None},
        {"required_ratio": 0.49},
        {"status": "executing", "due_at": None},
    ):
        with refused(owner, CheckViolation, "violates"):
            copy(owner, **wrong)
    with refused(owner, UniqueViolation, "duplicate"):
        copy(owner, idempotency_key="alert-1-sira-rec")
    copy(owner, idempotency_key="alert-1-sira-rec", issuer="another")


@pytest.mark.parametrize(
    "rewriting",
    [
        "update events set actor = 'x'",
        "delete from events",
        "truncate events",
        "truncate actions cascade",
        "update definitions set created_by = 'x'",
        "delete from definitions",
        "truncate definitions",
    ],
)
def test_history_is_not_rewritten_not_even_by_the_owner(owner: connect.Connection, rewriting: str) -> None:
    with refused(owner, InsufficientPrivilege, "append-only"):
        owner.execute(rewriting)


def test_events_are_one_of_each_number(owner: connect.Connection) -> None:
    again = "insert into events (action_id, seq, event, actor, at, data, prev_hash, hash) select action_id, {}, event, actor, at, data, prev_hash, hash from events"
    with refused(owner, UniqueViolation, "duplicate"):
        owner.execute(again.format("seq"))
    with refused(owner, CheckViolation, "violates"):
        owner.execute(again.format("0"))


def test_a_message_gets_one_outcome(owner: connect.Connection) -> None:
    again = "update messages set sentence = 'changed my mind' where outcome = %s"
    with refused(owner, CheckViolation, "one outcome"):
        owner.execute(again, ["applied"])
    owner.execute("update messages set outcome = 'refused', code = 'expired' where outcome = 'parked'")
    with refused(owner, CheckViolation, "one outcome"):
        owner.execute(again, ["refused"])


@pytest.mark.parametrize("column", ["issuer", "jti", "token", "kid", "type", "content_sha256"])
def test_a_message_stays_what_it_is(owner: connect.Connection, column: str) -> None:
    other = "sha256('x')" if column == "content_sha256" else "'sira-1'"
    with refused(owner, CheckViolation, "stays what it is"):
        owner.execute(f"update messages set {column} = {other} where outcome = 'parked'")  # noqa: S608


def test_an_identity_is_owned_by_one_message(owner: connect.Connection) -> None:
    again = """
        insert into messages (content_sha256, issuer, jti, outcome, code, sentence)
        select sha256('x'), issuer, jti, 'refused', %s, '' from messages where type = 'CreateAction'
    """
    with refused(owner, UniqueViolation, "duplicate"):
        owner.execute(again, ["expired"])
    owner.execute(again, ["identity_conflict"])


def test_one_attempt_is_under_way_and_one_succeeds(owner: connect.Connection) -> None:
    def attempt(number: int, token: int, state: str) -> None:
        owner.execute(
            """
            insert into attempts (action_id, number, token, state, worker, started_at, lease_until, finished_at)
            select id, %s, %s, %s, 'w', now(), now(), case when %s = 'started' then null else now() end from actions
            """,
            [number, token, state, state],
        )

    attempt(1, 1, "started")
    with refused(owner, UniqueViolation, "one_attempt_at_a_time"):
        attempt(2, 2, "started")
    attempt(2, 2, "retry")
    attempt(3, 3, "succeeded")
    with refused(owner, UniqueViolation, "one_success"):
        attempt(4, 4, "succeeded")
    with refused(owner, UniqueViolation, "token"):
        attempt(4, 3, "retry")
    with refused(owner, CheckViolation, "finished_is_said"):
        owner.execute("update attempts set state = 'retry' where number = 1")


@pytest.mark.parametrize("person", ["sira-system", "Finance-User-4", "agent-123"])
def test_who_created_triggered_or_is_the_target_does_not_vote(owner: connect.Connection, person: str) -> None:
    with refused(owner, CheckViolation, "does not vote"):
        owner.execute("update votes set person_id = %s", [person])
    with refused(owner, CheckViolation, "does not vote"):
        owner.execute(
            "insert into votes select (jsonb_populate_record(v, %s)).* from votes v", [Jsonb({"person_id": person})]
        )


@pytest.mark.parametrize(
    ("excluded", "allowed"), [(["agent-123"], True), (["finance-user-4"], False), (["fİnance-user-4"], True)]
)
def test_whom_the_requirement_does_not_keep_out_may_vote(
    owner: connect.Connection, excluded: list[str], *, allowed: bool
) -> None:
    requirement = owner.execute(
        "select requirement || %s as r from actions", [Jsonb({"excluded": excluded})]
    ).fetchone()
    assert requirement is not None
    other = copy(owner, requirement=requirement["r"])
    vote = "insert into votes select (jsonb_populate_record(v, %s)).* from votes v"
    told = [Jsonb({"action_id": str(other), "person_id": "finance-user-4"})]
    if allowed:
        assert owner.execute(vote, told).rowcount == 1
    else:
        with refused(owner, CheckViolation, "does not vote"):
            owner.execute(vote, told)


def test_whom_the_database_keeps_out_for_their_name_the_engine_keeps_out_too(owner: connect.Connection) -> None:
    """Else a vote that counts could not be written. The engine takes more for one name: the database knows no letter but A to Z."""
    every = [letter for letter in map(chr, range(sys.maxunicode + 1)) if is_name(letter)]
    found = owner.execute(
        "select array_agg(letter) as same from unnest(%s::text[]) as letter group by folded(letter)", [every]
    ).fetchall()
    assert sum(len(row["same"]) for row in found) > 100_000
    assert {letter for row in found for letter in row["same"] if len(row["same"]) > 1} == {*ascii_letters}
    assert [row["same"] for row in found if len({letter.casefold() for letter in row["same"]}) > 1] == []


def is_name(text: str) -> bool:
    try:
        return TypeAdapter(Name).validate_python(text) == text
    except ValidationError:
        return False


NOT_YET, BEFORE = True, False  # whether this transaction is the one that writes it


@pytest.mark.parametrize(
    ("told", "allowed"),
    [
        ([], True),
        ([("approved", NOT_YET)], True),
        ([("approved", BEFORE)], False),
        ([("rejected", BEFORE)], False),
        ([("approved", BEFORE), ("executing", BEFORE), ("failed", BEFORE)], False),
        ([("approved", BEFORE), ("reopened", BEFORE)], True),
        ([("approved", BEFORE), ("reopened", NOT_YET)], True),
        ([("approved", BEFORE), ("reopened", NOT_YET), ("approved", NOT_YET)], True),
        ([("approved", BEFORE), ("reopened", BEFORE), ("approved", BEFORE)], False),
    ],
)
@pytest.mark.parametrize("decided_at", [None, "1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_a_vote_that_was_decided_on_stays_and_none_follows_whatever_the_clocks_say(
    owner: connect.Connection, told: list[tuple[str, bool]], decided_at: str | None, *, allowed: bool
) -> None:
    other = copy(owner, decided_at=decided_at)
    vote = "insert into votes select (jsonb_populate_record(v, %s)).* from votes v where v.action_id <> %s"
    owner.execute(vote, [Jsonb({"action_id": str(other)}), other])
    for seq, (event, now) in enumerate(told, start=1):
        owner.execute(
            """
            insert into events (action_id, seq, event, actor, at, data, prev_hash, hash, xid)
            values (%s, %s, %s, 'x', now(), '{}', sha256(''), sha256(''), case when %s then pg_current_xact_id() else '3' end)
            """,
            [other, seq, event, now],
        )
    owner.execute("set local role ops_worker")
    for write, values in (
        ("update votes set choice = 'reject' where action_id = %s", [other]),
        (vote, [Jsonb({"action_id": str(other), "person_id": "finance-user-2"}), other]),
    ):
        if allowed:
            assert owner.execute(write.encode(), values).rowcount == 1
        else:
            with refused(owner, CheckViolation, "decided already"):
                owner.execute(write.encode(), values)


@pytest.mark.parametrize(("voting", "directory"), list(product(["CastVote", "*"], ["SyncDirectory", "*"])))
def test_a_key_that_votes_and_syncs_the_directory_is_refused(
    owner: connect.Connection, voting: str, directory: str
) -> None:
    with refused(owner, CheckViolation, "voting_and_directory_apart"):
        owner.execute("update keys set scope = %s where kid = 'sira-1'", [Jsonb({"types": [voting, directory]})])


@pytest.fixture
def worker(owner: connect.Connection) -> connect.Connection:
    owner.execute("set local role ops_worker")
    return owner


@pytest.fixture
def reader(owner: connect.Connection) -> connect.Connection:
    owner.execute("set local role ops_reader")
    return owner


def test_every_process_is_a_worker_whoever_it_logs_in_as(company: Installation) -> None:
    url = company.settings.servers.database_url
    with closing(connect.connect(url, "tests")) as conn, company.pool.connection() as pooled:
        for each in (conn, pooled):
            assert each.execute("select current_user::text as name").fetchone() == {"name": "ops_worker"}


@pytest.mark.parametrize("table", TABLES)
def test_a_worker_deletes_nothing(worker: connect.Connection, table: str) -> None:
    for statement in (f"delete from {table}", f"truncate {table} cascade"):  # noqa: S608 - names from the schema
        with refused(worker, InsufficientPrivilege, "permission denied"):
            worker.execute(statement)


@pytest.mark.parametrize(
    "rewriting",
    [
        "update events set actor = 'x'",
        "update definitions set body = '{}'",
        "update keys set revoked_at = null",
        "update attempts set token = 1",
        "update grants set person_id = 'cfo-1'",
        "update grants set role = 'cfo'",
        "update messages set received_at = now()",
        "update messages set content_sha256 = sha256('x')",
        "update schema_version set version = 2",
        "alter table events disable trigger append_only",
    ],
)
def test_a_worker_cannot_rewrite_history_or_who_may_do_what(worker: connect.Connection, rewriting: str) -> None:
    with refused(worker, InsufficientPrivilege, "permission denied|must be owner"):
        worker.execute(rewriting)


@pytest.mark.parametrize("table", TABLES)
def test_a_reader_reads_no_table_that_has_views_and_writes_nothing(reader: connect.Connection, table: str) -> None:
    if table in {"messages", "keys", "actions", "votes", "events"}:
        with refused(reader, InsufficientPrivilege, "permission denied"):
            reader.execute(f"select 1 from {table}")  # noqa: S608 - names from the schema
    else:
        reader.execute(f"select * from {table}")  # noqa: S608 - names from the schema
    for statement in (f"delete from {table}", f"insert into {table} default values"):  # noqa: S608 - as above
        with refused(reader, InsufficientPrivilege, "permission denied"):
            reader.execute(statement)


@pytest.mark.parametrize("view", VIEWS)
def test_a_reader_reads_every_view(reader: connect.Connection, view: str) -> None:
    columns = {column.name for column in reader.execute(f"select * from {view}").description or ()}  # noqa: S608 - as above
    assert columns
    assert not columns & {"token", "public_key", "scope", "excerpt", "body_sha256", "metadata"}
    row = reader.execute(
        "select has_table_privilege(%s, 'insert, update, delete, truncate') as writes", [view]
    ).fetchone()
    assert row == {"writes": False}


def test_every_view_has_its_sentence(owner: connect.Connection) -> None:
    told = owner.execute(
        """
        select c.relname, obj_description(c.oid) as sentence from pg_class c
         where c.relnamespace = 'ops_approval'::regnamespace and c.relkind = 'v'
        """
    ).fetchall()
    assert {row["relname"] for row in told} == set(VIEWS)
    assert [row["relname"] for row in told if not (row["sentence"] or "").endswith(".")] == []


def test_every_table_has_its_sentence(owner: connect.Connection) -> None:
    lines = SCHEMA.splitlines()
    assert len(TABLES) >= 10
    for table in TABLES:
        above = lines[lines.index(f"create table {table} (") - 1]
        assert above.startswith("-- "), table
        assert above.endswith("."), table
    made = owner.execute("select tablename from pg_tables where schemaname = 'ops_approval'").fetchall()
    assert {row["tablename"] for row in made} == set(TABLES)


def test_what_was_decided_on_stays_what_it_was(installation: Installation, sandbox: Sandbox) -> None:
    """Not even a worker whose code went astray rewrites votes, attempts or results after the fact."""
    action = installation.approved()
    installation.executor(sandbox.url).execute(action)
    with connect.connect(installation.settings.servers.database_url, "tests worker") as worker:
        for change in (
            "update votes set choice = 'reject'",
            "update attempts set state = 'rejected'",
            "update actions set result = '{}'",
            "update actions set executed_by = 'nobody'",
            "update actions set event_seq = event_seq + 5",
        ):
            with refused(worker, CheckViolation, "."):
                worker.execute(change)
