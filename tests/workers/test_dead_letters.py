"""What an operator does with messages that were not applied: look, try again, give up; on the command line."""

import json
import re
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from db import keys
from domain.exact_json import MAX_BYTES
from tests.workers.test_cli import run
from tests.world import SCOPES, Installation, top_up
from workers.envelope import SigningKey
from workers.producer import Producer, Ticket
from workers.queue import enqueue

Command = Callable[..., CompletedProcess[str]]
SECRET = "only-for-who-asks"  # noqa: S105 - it is a param


@pytest.fixture
def messages(installation: Installation) -> Command:
    """`ops-approval messages …` on this installation."""
    urls = {"DATABASE_URL": installation.settings.database_url, "REDIS_URL": installation.settings.redis_url}
    return lambda *arguments: run("messages", *arguments, **urls)


@pytest.fixture
def dead(installation: Installation) -> Ticket:
    """A message that the database refused for a reason that is mended by now."""
    installation.owner.execute("alter table actions add constraint mended check (created_by <> 'unlucky')")
    body = top_up("dead", created_by="unlucky", params=top_up().params | {"note": SECRET})
    ticket = installation.producer("sira").send(body)
    installation.drain()
    assert installation.answers(ticket) == ["dead_letter"]
    installation.owner.execute("alter table actions drop constraint mended")
    return ticket


def id_of(installation: Installation, ticket: Ticket) -> str:
    return str(installation.scalar("select id from messages where content_sha256 = %s", ticket.content_sha256))


def stranger(installation: Installation, key: SigningKey) -> Ticket:
    """A message that came before its key was registered."""
    ticket = Producer(installation.client, key).send(top_up("early"))
    installation.drain()
    assert installation.answers(ticket) == ["unknown_key"]
    return ticket


def test_a_dead_letter_is_looked_into_and_requeued_as_often_as_one_likes(
    installation: Installation, dead: Ticket, messages: Command
) -> None:
    (listed,) = json.loads(messages("list", "--json").stdout)
    number = str(listed["id"])
    assert (listed["outcome"], listed["issuer"], listed["kept"]) == ("dead", "sira", True)
    assert number in messages("list").stdout
    assert SECRET not in messages("list").stdout
    assert SECRET in messages("show", number).stdout
    assert re.search(r"^  received_at    [0-9: -]{19} UTC$", messages("show", number).stdout, re.MULTILINE)
    assert json.loads(messages("show", number, "--json").stdout)["claims"]["jti"] == dead.jti

    for _ in range(2):
        assert "1 of 1 requeued" in messages("requeue", number).stdout
    installation.drain()
    assert installation.answers(dead) == ["applied"]
    assert dead.action_id is not None
    assert installation.trail(dead.action_id) == ["created"]
    again = messages("requeue", number)
    assert (again.returncode, "it has its answer, applied" in again.stdout) == (1, True)
    assert "No dead or quarantined messages" in messages("list").stdout


def test_what_was_signed_with_a_key_not_known_yet_is_requeued_once_it_is(
    installation: Installation, messages: Command
) -> None:
    key = SigningKey.generate("new-1", "new")
    early = stranger(installation, key)
    enqueue(installation.client, ["no envelope at all", f"{'A' * MAX_BYTES}.e30.e30"])
    installation.drain()
    assert "claims to say" in messages("show", id_of(installation, early)).stdout
    keys.add_key(installation.owner, "new-1", "new", key.public_bytes, SCOPES["sira"])
    done = messages("requeue", "--state", "quarantined")
    assert (done.returncode, "1 of 3 requeued" in done.stdout) == (1, True)
    assert done.stdout.count("not kept") == 2
    installation.drain()
    assert installation.answers(early) == ["applied"]
    assert installation.count("quarantined") == 2


def test_what_is_dropped_stays_refused_whoever_sends_it_again(
    installation: Installation, dead: Ticket, messages: Command
) -> None:
    key = SigningKey.generate("new-1", "new")
    early = stranger(installation, key)
    gone = messages("drop", "--state", "dead", "--state", "quarantined", "--why", "a test of ours")
    assert (gone.returncode, "2 of 2 dropped" in gone.stdout) == (0, True), gone.stderr
    keys.add_key(installation.owner, "new-1", "new", key.public_bytes, SCOPES["sira"])
    installation.producer("sira").resend([dead, early])
    installation.drain()
    assert installation.answers(dead, early) == ["dropped", "dropped"]
    assert installation.scalar("select count(*) from actions") == 0
    number = id_of(installation, dead)
    assert "a test of ours" in messages("show", number).stdout
    assert messages("requeue", number).returncode == 1
    assert messages("drop", number, "--why", "again").returncode == 0


def test_what_has_its_answer_is_neither_requeued_nor_dropped(installation: Installation, messages: Command) -> None:
    applied = installation.producer("sira").send(top_up())
    installation.drain()
    number = id_of(installation, applied)
    done = messages("drop", number, "--why", "a mistake")
    assert (done.returncode, "it has its answer, applied" in done.stdout) == (1, True)
    assert installation.answers(applied) == ["applied"]


def test_only_messages_of_a_code_are_chosen_where_one_is_named(
    installation: Installation, dead: Ticket, messages: Command
) -> None:
    stranger(installation, SigningKey.generate("new-1", "new"))
    listed = json.loads(messages("list", "--code", "unknown_key", "--json").stdout)
    assert [row["code"] for row in listed] == ["unknown_key"]
    states = ("--state", "dead", "--state", "quarantined", "--code", "unknown_key", "--why", "no")
    assert "1 of 1 dropped" in messages("drop", *states).stdout
    assert installation.answers(dead) == ["dead_letter"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["requeue"], 2, "--state dead"),
        (["requeue", "1", "--state", "dead"], 2, "--state dead"),
        (["requeue", "999"], 1, "no message 999"),
        (["show", "999"], 1, "messages list"),
        (["drop", "1"], 2, "--why"),
    ],
)
def test_what_was_meant_must_be_said(messages: Command, arguments: list[str], code: int, says: str) -> None:
    done = messages(*arguments)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
