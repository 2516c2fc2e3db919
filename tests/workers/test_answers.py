"""The commands that answer about votes say what votes would get, and change nothing."""

import json
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from db import due
from domain.executing import AttemptFinished, AttemptStarted
from domain.outcome import Retry
from tests.world import Installation, top_up
from workers.cli.main import app


class Desk:
    """Somebody who asks at the command line of an installation."""

    def __init__(self, installation: Installation) -> None:
        settings = installation.settings
        self.env = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}

    def says(self, *arguments: Any, code: int = 0) -> str:
        """What a command prints; it ends with this exit code."""
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], env=self.env)
        assert done.exit_code == code, done.output
        return done.output

    def told(self, *arguments: Any, code: int = 0) -> Any:
        """What a command tells programs."""
        return json.loads(self.says(*arguments, "--json", code=code))


@pytest.fixture
def desk(installation: Installation) -> Desk:
    return Desk(installation)


@pytest.fixture
def created(installation: Installation) -> UUID:
    (create,) = installation.tell("sira", top_up(triggered_by="finance-user-3"))
    assert create.action_id is not None
    return create.action_id


def test_why_somebody_may_not_vote_is_told_with_the_code_that_their_vote_gets(
    installation: Installation, desk: Desk, created: UUID
) -> None:
    assert "finance-user-1 may vote on it now" in desk.says("actions", "why-not", created, "finance-user-1")
    assert desk.told("actions", "why-not", created, "finance-user-1")["from"] is None
    assert desk.told("actions", "why-not", created, "cfo-1", code=1)["from"]["role"] == "cfo"
    for person in ("finance-user-3", "ops-admin-1", "nobody"):
        (first, *_) = desk.told("actions", "why-not", created, person, code=1)["refusals"]
        receipt = installation.vote(created, person)
        assert (first["code"], first["sentence"]) == (receipt.code, receipt.sentence)
    said = desk.says("actions", "why-not", created, "cfo-1", code=1)
    for part in ("cfo-1 may not vote on it now", "not_eligible", "2 of finance_ops", "holds", "opens to cfo"):
        assert part in said


def test_a_deadline_that_nobody_swept_is_seen_and_nothing_is_written(
    installation: Installation, desk: Desk, created: UUID
) -> None:
    installation.vote(created, "finance-user-1")
    installation.make_due(created)
    assert desk.told("actions", "why-not", created, "cfo-1")["may"][0] == "approve"
    assert "escalated" in desk.says("actions", "who", created)
    assert installation.action(created)["status"] == "pending_approval"
    assert installation.trail(created) == ["created", "voted"]


def test_an_action_that_waits_to_be_tried_again_is_not_told_as_one_that_nobody_had_executed(
    installation: Installation, desk: Desk
) -> None:
    action_id = installation.approved()
    token = due.draw_token(installation.owner)
    for given in (AttemptStarted(action_id, token, "tests"), AttemptFinished(action_id, token, Retry("busy"))):
        installation.applier.apply([given])
    installation.owner.execute("update actions set decided_at = decided_at - interval '2 days'")
    assert desk.told("actions", "who", action_id)["status"] == "approved"


def test_who_may_still_vote_who_has_and_what_is_missing_is_told(
    installation: Installation, desk: Desk, created: UUID
) -> None:
    installation.vote(created, "finance-user-1", "reject")
    told = desk.told("actions", "who", created)
    voters = {voter["person"]: voter for voter in told["voters"]}
    assert set(voters) == {f"finance-user-{number}" for number in range(1, 5)}
    assert (voters["finance-user-1"]["voted"], voters["finance-user-1"]["counts"]) == ("reject", True)
    assert voters["finance-user-3"]["refusals"][0]["code"] == "separation_of_duties"
    assert told["missing"] == ["2 more of finance_ops"]
    assert [step["people"] for step in told["next_steps"]] == [["cfo-1"]]
    said = desk.says("actions", "who", created)
    for part in ("2 more of finance_ops", "then cfo may approve too", "separation_of_duties", "cfo too: cfo-1"):
        assert part in said


def test_what_is_asked_of_an_action_that_is_not_there_is_told(desk: Desk) -> None:
    for command in (["who", UUID(int=1)], ["why-not", UUID(int=1), "cfo-1"]):
        assert "There is no action" in desk.says("actions", *command, code=1)


def test_of_a_closed_action_it_is_told_who_voted(installation: Installation, desk: Desk, created: UUID) -> None:
    for person in ("finance-user-1", "finance-user-2"):
        installation.vote(created, person)
    told = desk.told("actions", "who", created)
    assert (told["status"], told["missing"], told["next_steps"]) == ("approved", [], [])
    assert [voter["voted"] for voter in told["voters"]] == ["approve", "approve"]
    assert desk.told("actions", "why-not", created, "finance-user-4", code=1)["refusals"][0]["code"] == "action_closed"
