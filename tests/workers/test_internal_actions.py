"""What the engine does about actions itself, on real servers: agreed to, executed in one transaction, at most once."""

import json
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from db import due, read
from domain.executing import AttemptFinished, AttemptStarted
from domain.internal import made_by
from domain.lifecycle import OPEN
from domain.messages import CastVote, CreateAction
from domain.outcome import Done, Outcome, Rejected, Retry, Unknown
from tests.workers.test_answers import Desk
from tests.workers.test_exclusive import started
from tests.workers.test_races import race
from tests.world import PEOPLE, Installation, directory, top_up
from workers import definition_files
from workers.cli.showing import print_action
from workers.sandbox import Sandbox

GIVES_UP = {"name": "ADJUST_FLOAT", "guarantee": "neither", "service": "float", "path": "/float/adjustments"}
INVERSES = "select count(*) from actions where caused_by = %s and action_type = 'ADJUST_FLOAT'"
TAKES_BACK = {"action_type": "ADJUST_FLOAT", "copies": ["agent_id", "amount"], "params": {"adjustment": "take_back"}}
ONE_LATER = {
    "name": "One is enough later",
    "criteria": {"params.adjustment": "take_back"},
    "policy": {
        "required_quorum": {"type": "role", "value": {"role": "finance_ops", "min_votes": 2}},
        "escalation": [{"role": "cfo", "min_votes": 1, "timeout_seconds": 3600}],
    },
    "priority": 900,
}


@pytest.fixture
def careful(installation: Installation) -> Installation:
    """An installation where nothing of a float is ever repeated by itself."""
    definitions = definition_files.parse(json.dumps({"action_types": [GIVES_UP | {"inverse": TAKES_BACK}]}), "x")
    definition_files.apply(installation.owner, definitions, by="tests")
    return installation


def ended(installation: Installation, outcome: Outcome, key: str = "one") -> UUID:
    """An action whose one attempt came to this."""
    action_id = installation.approved(key=key)
    token = due.draw_token(installation.owner)
    for given in (AttemptStarted(action_id, token, "tests"), AttemptFinished(action_id, token, outcome)):
        installation.applier.apply([given])
    return action_id


def agreed(installation: Installation, kind: str, subject: UUID, **params: Any) -> UUID:
    """Something to be done about an action, agreed to and asked for."""
    return installation.agreed(kind, {"action_id": str(subject), "reason": "we looked into it"} | params)


def test_a_failed_action_is_tried_again_and_succeeds(careful: Installation, sandbox: Sandbox) -> None:
    action_id = ended(careful, Rejected("no"))
    retry = agreed(careful, "RETRY", action_id)
    executor = careful.executor(sandbox.url)
    assert executor.execute(retry) == "executed"
    assert executor.execute(retry) is None
    assert executor.execute(action_id) == "executed"
    assert careful.trail(action_id)[-4:] == ["failed", "retry_scheduled", "executing", "executed"]
    assert careful.trail(retry)[-2:] == ["executing", "executed"]
    assert careful.scalar("select caused_by from actions where id = %s", retry) == action_id
    assert len(sandbox.effects()) == 1


def test_what_is_asked_for_names_the_attempt_that_people_are_asked_about(careful: Installation, tmp_path: Path) -> None:
    action_id = ended(careful, Rejected("no"))
    retry = agreed(careful, "RETRY", action_id)
    assert careful.perform(retry) == "executed"
    assert careful.perform(action_id) == "failed"  # it is not the engine's to carry out
    body = {"origin": "ops_ui", "action_type": "RETRY", "created_by": "finance-user-3"}
    params = {"action_id": str(action_id), "reason": "we looked into it"}
    first, last = (CreateAction.model_validate(body | {"params": params | {"attempt": nth}}) for nth in (1, 2))
    assert [receipt.code for receipt in careful.tell("ops-tooling", first, last)] == ["subject_not_in_state", None]
    file = tmp_path / "retry.json"
    file.write_text(json.dumps(body | {"params": params}))
    told = Desk(careful).told("policies", "explain", file)
    assert (told["facts"]["params"]["attempt"], careful.action(retry)["params"]["attempt"]) == (2, 1)
    assert careful.broken() == []


@pytest.mark.parametrize("found", ["executed", "failed"])
def test_an_unknown_outcome_is_settled_without_another_call(
    careful: Installation, sandbox: Sandbox, found: str
) -> None:
    action_id = ended(careful, Unknown("timeout"))
    careful.owner.execute("alter table attempts disable trigger guard_attempt")
    careful.owner.execute("update attempts set started_at = started_at - interval '1 hour'")
    careful.owner.execute("alter table attempts enable trigger guard_attempt")
    resolution = agreed(careful, "RESOLVE_OUTCOME", action_id, outcome=found)
    assert careful.executor(sandbox.url).execute(resolution) == "executed"
    assert careful.action(action_id)["status"] == found
    assert careful.trail(action_id)[-2:] == ["outcome_unknown", found]
    assert sandbox.effects() == []


def test_rolling_back_makes_an_action_that_others_agree_to(careful: Installation, sandbox: Sandbox) -> None:
    action_id = careful.approved()
    executor = careful.executor(sandbox.url)
    assert executor.execute(action_id) == "executed"
    assert executor.execute(agreed(careful, "ROLL_BACK", action_id)) == "executed"
    inverse = careful.scalar("select id from actions where caused_by = %s and action_type = 'ADJUST_FLOAT'", action_id)
    assert careful.trail(inverse) == ["created"]
    assert careful.action(inverse)["params"] == {
        "agent_id": "agent-123",
        "amount": 1_000_000,
        "adjustment": "take_back",
    }
    assert executor.execute(agreed(careful, "ROLL_BACK", action_id)) == "failed"
    assert len(sandbox.effects()) == 1


def shown(installation: Installation, action_id: UUID, capsys: pytest.CaptureFixture[str]) -> str:
    """What `actions show` prints, with single spaces."""
    action = read.get_action_with_votes(installation.owner, action_id)
    assert action is not None
    print_action(action)
    return " ".join(capsys.readouterr().out.split())


def test_an_action_names_what_caused_it_and_that_names_all_that_it_led_to(
    careful: Installation, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    action_id = careful.approved()
    executor = careful.executor(sandbox.url)
    executor.execute(action_id)
    roll_back = agreed(careful, "ROLL_BACK", action_id)
    executor.execute(roll_back)
    inverse = careful.scalar("select id from actions where caused_by = %s and action_type = 'ADJUST_FLOAT'", action_id)
    assert f"caused by {action_id}" in shown(careful, inverse, capsys)
    told = shown(careful, action_id, capsys)
    assert f"led to ROLL_BACK {roll_back} executed led to ADJUST_FLOAT {inverse} requested" in told
    assert "caused by" not in told


def test_an_action_that_is_stuck_shows_what_it_waits_for(
    careful: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = ended(careful, Retry("busy"))
    at = careful.action(waits)["next_attempt_at"]
    assert f"next try {at:%Y-%m-%d %H:%M:%S} UTC" in shown(careful, waits, capsys)


def test_an_unknown_outcome_shows_who_must_settle_it(careful: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    told = shown(careful, ended(careful, Unknown("timeout")), capsys)
    assert "waits for people" in told
    assert "RESOLVE_OUTCOME" in told
    asked = GIVES_UP | {"guarantee": "queryable", "query_path": "/asked"}
    definitions = definition_files.parse(json.dumps({"action_types": [asked]}), "x")
    definition_files.apply(careful.owner, definitions, by="tests")
    action_id = ended(careful, Unknown("timeout"), key="queryable")
    at = careful.action(action_id)["next_attempt_at"]
    assert f"next asked {at:%Y-%m-%d %H:%M:%S} UTC" in shown(careful, action_id, capsys)


def test_a_vote_on_what_rolls_back_counts_though_it_came_before(careful: Installation, sandbox: Sandbox) -> None:
    action_id = careful.approved()
    executor = careful.executor(sandbox.url)
    assert executor.execute(action_id) == "executed"
    asked = agreed(careful, "ROLL_BACK", action_id)
    inverse = made_by(asked)
    assert careful.vote(inverse, "finance-user-4").outcome == "parked"
    assert executor.execute(asked) == "executed"
    assert careful.trail(inverse) == ["created", "voted"]


def test_two_retries_at_once_try_it_once(careful: Installation, sandbox: Sandbox) -> None:
    action_id = ended(careful, Rejected("no"))
    both = [agreed(careful, "RETRY", action_id) for _ in range(2)]
    executor = careful.executor(sandbox.url)
    assert [executor.execute(each) for each in both] == ["executed", "failed"]
    assert executor.execute(action_id) == "executed"
    assert len(sandbox.effects()) == 1


def test_two_that_roll_back_at_once_make_one_action(careful: Installation, sandbox: Sandbox) -> None:
    executors = [careful.executor(sandbox.url) for _ in range(2)]
    for number in range(5):
        action_id = careful.approved(key=f"race {number}", amount=1000)
        assert executors[0].execute(action_id) == "executed"
        both = [agreed(careful, "ROLL_BACK", action_id) for _ in executors]
        statuses = race(*(partial(one.execute, each) for one, each in zip(executors, both, strict=True)))
        assert sorted(map(str, statuses)) == ["executed", "failed"]
        assert careful.scalar(INVERSES, action_id) == 1


def long_ago(installation: Installation, action_id: UUID) -> None:
    """Let all the deadlines of an action have passed, its escalation's too; and no sweep comes."""
    installation.make_due(action_id)
    late = "update actions set expires_at = expires_at - interval '9 days', due_at = due_at - interval '9 days' where id = %s"
    installation.owner.execute(late, [action_id])


def rolled_back(installation: Installation, action_id: UUID) -> UUID:
    """What is to roll an action back."""
    asked = agreed(installation, "ROLL_BACK", action_id)
    assert installation.perform(asked) == "executed"
    return made_by(asked)


def test_what_was_to_roll_back_and_came_to_nothing_in_time_stands_in_nobodys_way(careful: Installation) -> None:
    action_id = ended(careful, Done())
    first = rolled_back(careful, action_id)
    careful.vote(first, "finance-user-1")
    long_ago(careful, first)
    second = rolled_back(careful, action_id)
    assert [careful.action(each)["status"] for each in (first, second)] == ["expired", "requested"]
    assert careful.trail(first) == ["created", "voted", "escalated", "expired"]
    assert careful.broken() == []


def test_votes_that_decide_about_what_is_to_roll_back_once_its_deadline_has_passed_are_counted(
    careful: Installation,
) -> None:
    definition_files.apply(
        careful.owner, definition_files.parse(json.dumps({"policies": [ONE_LATER]}), "x"), by="tests"
    )
    careful.tell("directory", directory(2, PEOPLE | {"finance-user-1": ("finance_ops", "cfo")}))
    action_id = ended(careful, Done())
    first = rolled_back(careful, action_id)
    careful.vote(first, "finance-user-1")
    long_ago(careful, first)
    second = agreed(careful, "ROLL_BACK", action_id)
    assert careful.perform(second) == "failed"
    assert f"Action {first} rolls it back already; it is approved." in careful.action(second)["error"]
    assert careful.trail(first) == ["created", "voted", "escalated", "approved"]


def test_what_rolls_back_what_votes_and_what_sweeps_at_once_never_wait_for_each_other(
    careful: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.apply._CONFLICT_RETRIES", 0)
    workers = [careful.another_worker() for _ in range(4)]
    for number in range(8):
        action_id = ended(careful, Done(), f"race {number}")
        long_ago(careful, rolled_back(careful, action_id))
        performs = [started(careful, "ROLL_BACK", action_id) for _ in range(2)]
        first = careful.scalar(INVERSES.replace("count(*)", "id"), action_id)
        vote = careful.producer("ops-tooling").sign(CastVote(action_id=first, voter_id="cfo-1", vote="approve"))
        race(
            *(partial(one.apply, [each]) for one, each in zip(workers, performs, strict=False)),
            partial(workers[2].apply_tokens, [vote.token]),
            partial(workers[3].sweep, OPEN),
        )
        statuses = [careful.action(each.action_id)["status"] for each in performs]
        assert sorted(statuses) == ["executed", "failed"]
        assert careful.scalar(INVERSES, action_id) == 2
        assert careful.action(first)["status"] == "expired"
    assert careful.count("dead") == 0


def test_a_body_that_names_no_action_is_refused(careful: Installation) -> None:
    body = top_up(
        action_type="RETRY", params={"action_id": "x", "reason": "y"}, target_tenant_id=None, target_tenant_type=None
    )
    assert careful.tell("sira", body)[0].code == "invalid_params"
