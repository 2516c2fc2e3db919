"""Breaking glass on real servers: through queue, workers and handlers, with its ratification, and two at once."""

from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from db import invariants, read
from domain.executing import AttemptStarted
from domain.lifecycle import Status
from domain.messages import CastVote, Message
from domain.policy import Policy
from domain.ratifying import ratification_id
from tests.workers.test_cli import run
from tests.workers.test_races import race, two_workers
from tests.world import KEYS, PEOPLE, Installation, directory, top_up, wait_for
from workers import invariants as rules
from workers.producer import Ticket
from workers.sandbox import Sandbox

POLICY = Policy.model_validate(
    {
        "name": "Emergency",
        "criteria": {"action_type": "ADJUST_FLOAT"},
        "policy": {
            "required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}},
            "auto_execute": True,
            "break_glass": {"role": "cfo", "uses": 1, "within_seconds": 86400, "valid_seconds": 600},
        },
        "priority": 1000,
    }
)
REASON = "agents stand without float"


@pytest.fixture
def company(installation: Installation) -> Installation:
    definition = POLICY.model_dump(mode="json")
    params = {"kind": "policy", "name": POLICY.name, "replaces": 0, "definition": definition, "reason": "nights"}
    assert installation.perform(installation.agreed("CHANGE_DEFINITION", params, "definitions")) == "executed"
    return installation


@pytest.fixture
def urls(company: Installation) -> dict[str, str]:
    return {"DATABASE_URL": company.settings.database_url, "REDIS_URL": company.settings.redis_url}


def created(company: Installation, key: str = "one") -> UUID:
    (receipt,) = company.tell("sira", top_up(key, auto_execute=None))
    assert receipt.action_id is not None, receipt
    return receipt.action_id


def breaking(company: Installation, action_id: UUID, person: str = "cfo-1") -> Ticket:
    body = {"action_id": action_id, "voter_id": person, "vote": "approve", "break_glass": REASON}
    return company.producer("ops-tooling").sign(CastVote.model_validate(body))


def ratification(company: Installation, action_id: UUID) -> UUID:
    found = company.scalar("select id from actions where caused_by = %s and action_type = 'RATIFY'", action_id)
    assert isinstance(found, UUID)
    return found


def assert_nothing_is_broken(company: Installation) -> None:
    assert invariants.broken(company.owner) == []
    assert [found for _, found in rules.check(company.owner) if found is not None] == []


@pytest.mark.parametrize(("said", "end"), [("approve", "ratified"), ("reject", "ratification_refused")])
def test_one_approves_alone_the_service_is_called_once_and_others_say_whether_that_was_right(
    company: Installation, sandbox: Sandbox, said: str, end: str
) -> None:
    with company.at_work(sandbox.url):
        action_id = company.send("sira", top_up(auto_execute=None))["action_id"]
        company.producer("ops-tooling").resend([ticket := breaking(company, action_id)])
        company.wait_until(action_id, "executed")
        asked = ratification(company, action_id)
        assert str(asked) in wait_for(lambda: read.get_receipt(company.owner, ticket.content_sha256))["sentence"]
        for person in ("ops-admin-1", "ops-admin-2"):
            assert company.send_vote(asked, person, said)["outcome"] == "applied"
        company.wait_until(asked, "executed" if said == "approve" else "rejected")
    assert company.trail(action_id) == ["created", "voted", "glass_broken", "approved", "executing", "executed", end]
    assert len(sandbox.effects()) == 1
    again = company.apply([breaking(company, created(company, "two"))]).receipts[0].code
    assert again == ("break_glass_used_up" if said == "approve" else "break_glass_not_allowed")
    assert_nothing_is_broken(company)


def test_a_refusal_before_the_first_attempt_keeps_it_from_being_made(company: Installation) -> None:
    action_id = created(company)
    assert company.apply([breaking(company, action_id)]).receipts[0].outcome == "applied"
    for person in ("ops-admin-1", "ops-admin-2"):
        company.vote(ratification(company, action_id), person, "reject")
    (receipt,) = company.applier.apply([AttemptStarted(action_id, 99, "tests")]).receipts
    assert receipt.code == "not_approved"
    assert company.trail(action_id)[-2:] == ["ratification_refused", "reopened"]
    assert_nothing_is_broken(company)


def test_nobody_ratifying_in_time_is_a_refusal_that_a_sweep_finds(company: Installation) -> None:
    action_id = created(company)
    company.apply([breaking(company, action_id)])
    asked = ratification(company, action_id)
    company.make_due(asked)
    company.applier.sweep([Status.REQUESTED])
    assert company.action(asked)["status"] == "expired"
    assert company.trail(action_id)[-2:] == ["ratification_refused", "reopened"]


def test_a_ratification_that_nobody_gave_in_time_is_a_refusal_though_no_sweep_came(company: Installation) -> None:
    company.tell("directory", directory(2, PEOPLE | {"cfo-2": ("cfo",)}))
    action_id, other = created(company), created(company, "two")
    company.apply([breaking(company, action_id)])
    company.make_due(ratification(company, action_id))
    (receipt,) = company.applier.apply([AttemptStarted(action_id, 99, "tests")]).receipts
    assert receipt.code == "not_approved"
    assert company.trail(action_id)[-2:] == ["ratification_refused", "reopened"]
    assert company.apply([breaking(company, other, "cfo-2")]).receipts[0].outcome == "applied"
    company.make_due(ratification(company, other))
    assert company.apply([breaking(company, created(company, "three"), "cfo-2")]).receipts[0].code == (
        "break_glass_not_allowed"
    )
    assert company.trail(other)[-2:] == ["ratification_refused", "reopened"]
    assert_nothing_is_broken(company)


def test_nor_does_what_the_person_approved_alone_elsewhere_begin_under_it(company: Installation) -> None:
    definition = POLICY.model_dump(mode="json")
    definition["policy"]["break_glass"]["uses"] = 2
    params = {"kind": "policy", "name": POLICY.name, "replaces": 1, "definition": definition, "reason": "more"}
    assert company.perform(company.agreed("CHANGE_DEFINITION", params, "definitions")) == "executed"
    one, two = created(company), created(company, "two")
    company.apply([breaking(company, one), breaking(company, two)])
    company.make_due(ratification(company, one))
    (receipt,) = company.applier.apply([AttemptStarted(two, 99, "tests")]).receipts
    assert receipt.code == "not_approved"
    assert_nothing_is_broken(company)


def test_a_role_granted_anew_breaks_glass_again(company: Installation) -> None:
    for snapshot, people in ((2, PEOPLE | {"cfo-1": ()}), (3, PEOPLE)):
        if snapshot == 2:
            action_id = created(company)
            company.apply([breaking(company, action_id)])
            for person in ("ops-admin-1", "ops-admin-2"):
                company.vote(ratification(company, action_id), person, "reject")
        assert company.tell("directory", directory(snapshot, people))[0].outcome == "applied"
    answer = company.apply([breaking(company, created(company, "two"))]).receipts[0].code
    assert answer == "break_glass_used_up"  # and no longer break_glass_not_allowed


def test_a_vote_on_the_ratification_counts_though_it_came_before(company: Installation) -> None:
    action_id = created(company)
    ticket = breaking(company, action_id)
    (message,) = company.opened(ticket)
    assert isinstance(message, Message)
    asked = ratification_id(message)
    assert company.vote(asked, "ops-admin-1").outcome == "parked"
    company.apply([ticket])
    assert company.trail(asked) == ["created", "voted"]


def test_two_at_once_with_one_use_left_break_glass_once(company: Installation) -> None:
    workers = two_workers(company)
    for number in range(5):
        both = [breaking(company, created(company, f"{number} {side}"), f"cfo-{number}") for side in "ab"]
        people = PEOPLE | {f"cfo-{number}": ("cfo",)}
        assert company.tell("directory", directory(number + 2, people))[0].outcome == "applied"
        race(*(partial(worker.apply_tokens, [one.token]) for worker, one in zip(workers, both, strict=True)))
        assert sorted(company.answers(*both)) == ["applied", "break_glass_used_up"]
    assert company.scalar("select count(*) from events where event = 'glass_broken'") == 5
    assert company.scalar("select count(*) from actions where action_type = 'RATIFY'") == 5
    assert_nothing_is_broken(company)


def test_the_command_line_breaks_glass_and_tells_of_it(
    company: Installation, urls: dict[str, str], tmp_path: Path
) -> None:
    action_id, key = created(company), tmp_path / "key.json"
    KEYS["ops-tooling"].write(key)
    assert "may alone    cfo, once in 1 d, good for 10 min" in run("actions", "show", str(action_id), **urls).stdout
    voting = ["vote", str(action_id), "--as", "cfo-1", "--break-glass", REASON, "--key", str(key)]
    wrong = run(*voting, "reject", **urls)
    assert (wrong.returncode, "break_glass" in wrong.stderr) == (2, True)
    assert run(*voting, "approve", **urls).returncode == 0
    company.drain()
    assert "approved, not ratified yet" in run("actions", "list", **urls).stdout
    assert f"glass        broken by cfo-1 as cfo (not ratified yet): {REASON}" in shown(action_id, urls)
    asked = ratification(company, action_id)
    for person in ("ops-admin-1", "ops-admin-2"):
        company.vote(asked, person, "reject")
    told = shown(action_id, urls)
    assert f"glass        broken by cfo-1 as cfo: {REASON}" in told
    assert f"glass        ratification refused ({asked} is rejected)" in told
    assert "pending_approval, ratification refused" in run("actions", "list", **urls).stdout


def shown(action_id: UUID, urls: dict[str, str]) -> str:
    return run("actions", "show", str(action_id), **urls).stdout
