"""Wrong use of the command line: a sentence that says what to do, the right exit code, and never a traceback."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from db import due
from domain.executing import AttemptFinished, AttemptStarted
from domain.outcome import Retry, Unknown
from tests.world import Installation, top_up
from workers import definition_files
from workers.envelope import SigningKey
from workers.producer import Producer

COMMAND = [sys.executable, "-c", "from workers.cli.main import main; main()"]
SECRET = "hunter2"  # noqa: S105 - it guards nothing
QUERYABLE = {"guarantee": "queryable", "query_path": "/ask"}
NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1/0"}


def run(*arguments: str, typed: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in {*NOWHERE, "BROKER_URL"} and "OPS_APPROVAL" not in name
    }
    return subprocess.run(
        [*COMMAND, *arguments],
        env=clean | env,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "env", "code", "says"),
    [
        (["actions", "list"], NOWHERE, 3, "Postgres does not answer"),
        (["db", "check"], NOWHERE | {"DATABASE_URL": "foo"}, 2, "DATABASE_URL"),
        (["actions", "list"], {"DATABASE_URL": NOWHERE["DATABASE_URL"]}, 2, "REDIS_URL"),
        (["create", "X", "--as", "eve"], {"OPS_APPROVAL_DATA": "/nonexistent"}, 2, "--key"),
        (["create", "X", "--as", "eve", "--params", "[1]"], NOWHERE, 2, "JSON object"),
        (["create", "X", "--as", "eve", "--origin", "module!"], NOWHERE, 2, "origin"),
        (["vote", str(UUID(int=1)), "approve"], {"OPS_APPROVAL_DATA": "/nonexistent"}, 2, "--key"),
        (["vote", str(UUID(int=1)), "approve", "--review", "--json"], NOWHERE, 2, "--content-hash"),
        (["vote", "5", "approve", "--as", "eve"], NOWHERE, 2, "actions list"),
        (["actions", "who", "ACTION"], NOWHERE, 2, "'ACTION' is no action's id"),
        (["create", "", "--as", "eve"], NOWHERE, 2, "action_type: it is empty."),
        (["directory", "sync", "/nonexistent.json"], NOWHERE, 2, "cannot be read: No such file or directory."),
        (["policies", "explain", "/nonexistent.json"], NOWHERE, 2, "cannot be read: No such file or directory."),
        (["policies", "lint", "/etc"], NOWHERE, 2, "/etc cannot be read: Is a directory."),
        (["policies", "apply", "/nonexistent.yaml"], NOWHERE, 2, "cannot be read"),
        (["keys", "create", " ", "/tmp/x", "--type", "SyncDirectory"], NOWHERE, 2, "printable"),  # noqa: S108 - not written
        (["keys", "create", "x", "/tmp/x", "--type", "CastVot"], NOWHERE, 2, "CastVote"),  # noqa: S108 - as above
        (["keys", "create", "person:x", "/tmp/x", "--type", "SyncDirectory"], NOWHERE, 2, "keys enrol"),  # noqa: S108 - as above
        (["keys", "register", "x", "/nonexistent", "--type", "SyncDirectory"], NOWHERE, 2, "cannot be read"),
        (
            ["keys", "create", "x", "x", "--type", "CastVote", "--role", "*"],
            NOWHERE,
            2,
            "CastVote unless it has --action-type.",
        ),
        (["keys", "enrol", "x", "/etc/hostname"], NOWHERE, 2, "not the public half"),
        (["actions", "list"], {"OPS_APPROVAL_SERVICES": "{"}, 2, "OPS_APPROVAL_SERVICES is not JSON"),
        (
            ["actions", "list"],
            {"OPS_APPROVAL_LIMITS": '{"votes": 5}'},
            2,
            "OPS_APPROVAL_LIMITS votes: there is no such",
        ),
        (["events", "tail"], NOWHERE | {"REDIS_URL": "foo"}, 2, "REDIS_URL: that is no address; write redis://"),
    ],
)
def test_wrong_use_is_told_and_never_traced(arguments: list[str], env: dict[str, str], code: int, says: str) -> None:
    done = run(*arguments, **env)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("DATABASE_URL", f"postgres//u:{SECRET}@h"),
        ("REDIS_URL", f"radish://:{SECRET}@h"),
        ("BROKER_URL", f"amqp://u:{SECRET}@h:port"),
        ("BROKER_URL", f"redis://u:{SECRET}@h"),
    ],
)
def test_an_address_that_cannot_be_understood_is_named_and_not_quoted(name: str, address: str, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    SigningKey.generate("ops-tooling-1", "ops-tooling").write(key)
    command = (["db", "check"], ["vote", str(UUID(int=1)), "approve", "--as", "ana", "--key", str(key)])
    done = run(*command[name != "DATABASE_URL"], **NOWHERE | {name: address})
    assert (done.returncode, name in done.stderr) == (2, True), done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_database_is_told_to_be_initialised_and_then_serves(
    installation: Installation, tmp_path: Path
) -> None:
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    with psycopg.connect(urls["DATABASE_URL"], autocommit=True) as conn:
        conn.execute("drop schema ops_approval cascade")
    for arguments, code in ((["db", "check"], 1), (["actions", "list"], 2)):
        done = run(*arguments, **urls)
        assert (done.returncode, "db init" in done.stderr) == (code, True), done.stderr
    assert run("db", "init", **urls).returncode == 0
    assert "nothing was changed" in run("db", "init", **urls).stdout
    assert run("db", "check", **urls).returncode == 0
    key = tmp_path / "billing.json"
    may = ("--type", "CreateAction", "--origin", "module", "--action-type", "*")
    made = run("keys", "create", "billing", str(key), *may, **urls)
    assert made.returncode == 0, made.stderr
    assert key.stat().st_mode & 0o777 == 0o600
    assert "No unfinished actions" in run("actions", "list", **urls).stdout


def test_what_is_stored_and_not_understood_is_not_told_as_a_setting(installation: Installation) -> None:
    installation.owner.execute(
        "insert into definitions (kind, name, version, body, created_by) values ('policy', 'Newer', 1, %s, 'ana')",
        [json.dumps({"name": "Newer", "criteria": {}, "policy": {"required_quorum": {"type": "newer"}}})],
    )
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    told = run("policies", "list", **urls)
    assert told.returncode == 2
    assert told.stderr.startswith("Error: Something stored is not understood (Policy: policy.required_quorum:")
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize("group", [(), ("policies",)])
def test_help_lists_commands_with_a_whole_sentence_on_a_terminal_of_80_columns(group: tuple[str, ...]) -> None:
    _, _, listed = run(*group, "--help", COLUMNS="80").stdout.partition("Commands:")
    assert listed
    assert "..." not in listed


def test_help_names_options_in_full_on_a_terminal_of_80_columns() -> None:
    told = run("create", "--help", COLUMNS="80").stdout
    assert all(option in told for option in ("--idempotency-key", "--timeout-seconds", "--no-auto-execute"))


def test_what_is_approved_expires_with_its_approval_and_not_with_the_time_for_votes(installation: Installation) -> None:
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    (created,) = installation.tell("sira", top_up())
    action_id = created.action_id
    assert action_id is not None
    for person in ("finance-user-1", "finance-user-2"):
        installation.vote(action_id, person)
    due_at = installation.action(action_id)["due_at"]
    assert due_at != installation.action(action_id)["expires_at"]
    (line,) = run("actions", "list", **urls).stdout.splitlines()[1:]
    assert line.endswith(f"{due_at:%Y-%m-%d %H:%M:%S}")


def test_a_receipt_is_found_by_the_hash_of_its_token(installation: Installation) -> None:
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    unknown = Producer(installation.client, SigningKey.generate("nobody-1", "nobody")).send(top_up())
    installation.drain()
    assert "unknown_key" in run("receipts", "show", unknown.content_sha256.hex(), **urls).stdout
    assert run("receipts", "show", "0" * 64, **urls).returncode == 1


def test_attempts_are_listed_with_those_first_of_which_nobody_knows(installation: Installation) -> None:
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    assert "No attempts" in run("attempts", "list", **urls).stdout
    neither = {"name": "ADJUST_FLOAT", "guarantee": "neither", "service": "float", "path": "/x"}
    definition_files.apply(
        installation.owner, definition_files.parse(json.dumps({"action_types": [neither]}), "x"), by="tests"
    )
    unknown, under_way = installation.approved(key="a"), installation.approved(key="b")
    for action_id, outcome in ((unknown, Unknown("no answer")), (under_way, None)):
        token = due.draw_token(installation.owner)
        installation.applier.apply([AttemptStarted(action_id, token, "tests")])
        if outcome is not None:
            installation.applier.apply([AttemptFinished(action_id, token, outcome)])
    listed = json.loads(run("attempts", "list", "--json", **urls).stdout)
    assert [(row["action_id"], row["state"]) for row in listed] == [
        (str(unknown), "unknown"),
        (str(under_way), "started"),
    ]
    assert "no answer" in run("attempts", "show", str(unknown), **urls).stdout
    assert "RESOLVE_OUTCOME" in run("actions", "show", str(unknown), **urls).stdout
    assert run("attempts", "show", str(UUID(int=1)), **urls).returncode == 1


def test_it_is_shown_when_an_action_is_tried_again_or_its_service_is_asked(installation: Installation) -> None:
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    path = {"name": "ADJUST_FLOAT", "service": "float", "path": "/x"}
    for guarantee, shown in (({"guarantee": "neither"}, "next try"), (QUERYABLE, "next asked")):
        text = json.dumps({"action_types": [path | guarantee]})
        definition_files.apply(installation.owner, definition_files.parse(text, "x"), by="tests")
        action_id = installation.approved(key=shown)
        token = due.draw_token(installation.owner)
        outcome = Unknown("no answer") if guarantee == QUERYABLE else Retry("busy")
        for given in (AttemptStarted(action_id, token, "tests"), AttemptFinished(action_id, token, outcome)):
            installation.applier.apply([given])
        told = run("actions", "show", str(action_id), **urls).stdout
        assert shown in told
        assert "waits for" not in told


def test_broken_invariants_are_listed_and_the_others_hold(installation: Installation) -> None:
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    action_id = installation.approved()
    held = run("invariants", "check", **urls)
    assert (held.returncode, "broken" in held.stdout) == (0, False), held
    assert all(re.fullmatch(r"ok +\d+\. [A-Z].+[a-z]\.", line) for line in held.stdout.splitlines()), held.stdout
    installation.owner.execute("update actions set last_token = 7")
    broken = run("invariants", "check", **urls)
    assert (broken.returncode, "Keep the database" in broken.stderr) == (1, True)
    assert f"{action_id} its last token is 7" in broken.stdout
    found = json.loads(run("invariants", "check", "--json", **urls).stdout)
    assert [invariant["name"] for invariant in found if not invariant["holds"]] == ["04_tokens_rise"]
