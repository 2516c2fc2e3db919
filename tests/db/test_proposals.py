"""What the database itself holds about proposals, tried with plain SQL."""

from collections.abc import Iterator

import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege, UniqueViolation

from db import connect
from tests.db.test_schema import refused
from tests.workers.test_alerts import SURE, remediate
from tests.workers.test_recommendations import recommend
from tests.world import Installation


@pytest.fixture(scope="module")
def company(shared_installation: Installation) -> Installation:
    """Where there is an alert that an action answers, one that was skipped, one that waits, and a recommendation."""
    told = [remediate("skipped", SURE | {"confidence": 0.1}), remediate("answered")]
    shared_installation.tell("alerts", *told, remediate("waiting", None, alert_type="fraud_score_high"))
    shared_installation.tell("sira", recommend("waiting"))
    return shared_installation


@pytest.fixture
def owner(company: Installation) -> Iterator[connect.Connection]:
    with company.owner.transaction(force_rollback=True):
        yield company.owner


@pytest.mark.parametrize(
    "change",
    [
        "id = 'other'",
        "issuer = 'other'",
        "type = 'other'",
        "tenant_type = 'other'",
        "tenant_id = 'other'",
        "created_at = now()",
        "kind = 'recommendation', expires_at = now()",
    ],
)
def test_a_proposal_stays_what_it_is(owner: connect.Connection, change: str) -> None:
    with refused(owner, CheckViolation, "stays what it is"):
        owner.execute(f"update proposals set {change} where id = 'skipped'")  # noqa: S608 - from above


def test_what_is_said_stays_once_it_is_answered_or_recommended(owner: connect.Connection) -> None:
    other = "update proposals set content = content || '{\"other\": 1}' where (kind, id) = (%s, %s)"
    assert owner.execute(other, ["alert", "skipped"]).rowcount == 1
    for proposal in (["alert", "answered"], ["recommendation", "waiting"]):
        with refused(owner, CheckViolation, "stays what it is"):
            owner.execute(other, proposal)
    with refused(owner, CheckViolation, "stays what it is"):
        owner.execute("update proposals set expires_at = expires_at + interval '1 day' where kind = 'recommendation'")


@pytest.mark.parametrize(
    "decisions",
    [
        "'[]'",
        "decisions - 0",
        "decisions - 1",
        """jsonb_set(decisions, '{0,actor}', '"another"')""",
        "'[{}]' || decisions",
        "jsonb_insert(decisions, '{1}', '{}')",
    ],
)
def test_decisions_are_only_added(owner: connect.Connection, decisions: str) -> None:
    with refused(owner, CheckViolation, "only added"):
        owner.execute(f"update proposals set decisions = {decisions} where id = 'skipped'")  # noqa: S608 - from above
    assert owner.execute("update proposals set decisions = decisions || '[{}]'").rowcount == 4


@pytest.mark.parametrize("change", ["action_id = null, answered_at = null", "answered_at = now()"])
def test_the_action_that_answers_it_stays(owner: connect.Connection, change: str) -> None:
    with refused(owner, CheckViolation, "that answers a proposal stays"):
        owner.execute(f"update proposals set {change} where id = 'answered'")  # noqa: S608 - from above


@pytest.mark.parametrize(
    ("change", "where", "constraint"),
    [
        ("answered_at = now()", "id = 'skipped'", "answered_is_dated"),
        ("due_at = now()", "kind = 'recommendation'", "only_alerts_wait"),
        ("due_at = now()", "id = 'answered'", "only_alerts_wait"),
    ],
)
def test_a_proposal_is_complete(owner: connect.Connection, change: str, where: str, constraint: str) -> None:
    with refused(owner, CheckViolation, constraint):
        owner.execute(f"update proposals set {change} where {where}")  # noqa: S608 - from above


def test_an_action_answers_one_alert(owner: connect.Connection) -> None:
    both = "select action_id, answered_at from proposals where id = 'answered'"
    with refused(owner, UniqueViolation, "answered_once"):
        owner.execute(f"update proposals set (action_id, answered_at) = ({both}) where id = 'skipped'")  # noqa: S608


@pytest.mark.parametrize("change", ["issuer = 'x'", "type = 'x'", "expires_at = now()", "created_at = now()"])
def test_a_worker_cannot_even_try(owner: connect.Connection, change: str) -> None:
    owner.execute("set local role ops_worker")
    with refused(owner, InsufficientPrivilege, "permission denied"):
        owner.execute(f"update proposals set {change}")  # noqa: S608 - from above


@pytest.mark.parametrize("view", ["alerts", "alert_decisions", "sira_dash_recommendations"])
def test_the_dashboard_reads_its_views(owner: connect.Connection, view: str) -> None:
    owner.execute("set local role ops_reader")
    assert owner.execute(f"select * from {view}").rowcount > 0  # noqa: S608 - from above
    comment = owner.execute("select obj_description(%s::regclass) as it", [view]).fetchone()
    assert comment is not None
    assert comment["it"].endswith(".")
