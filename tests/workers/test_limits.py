"""An hour's share is counted in the database, for all workers and over their restarts."""

import pytest

from db import keys
from db.load import Loader
from domain.limits import Limits
from tests.workers.test_alerts import remediate
from tests.world import SCOPES, Installation, top_up
from workers import definition_files
from workers.apply import Applier
from workers.envelope import SigningKey
from workers.producer import Producer, Ticket
from workers.settings import Settings


@pytest.fixture
def strict(installation: Installation) -> Applier:
    """A worker where everybody may create five actions in an hour."""
    return Applier(installation.pool.connection, Loader("ops-approval", Limits(creates_per_hour=5)))


def tickets(installation: Installation, keys: range) -> list[Ticket]:
    return [installation.producer("sira").sign(top_up(f"k{key}", alert=f"alert-{key}")) for key in keys]


def told(applier: Applier, *batches: list[Ticket]) -> list[str]:
    receipts = [
        receipt for batch in batches for receipt in applier.apply_tokens([each.token for each in batch]).receipts
    ]
    return [str(receipt.code or receipt.outcome) for receipt in receipts]


def test_a_share_ends_within_a_batch_and_over_batches(installation: Installation, strict: Applier) -> None:
    made = tickets(installation, range(8))
    assert told(strict, made[:3], made[3:]) == ["applied"] * 5 + ["rate_limited"] * 3
    assert told(strict, made[:3]) == ["applied"] * 3  # the same messages again have their receipts
    assert told(strict, tickets(installation, range(8))) == ["duplicate"] * 5 + ["rate_limited"] * 3


def test_alerts_and_machines_with_many_names_have_one_share_over_batches(
    installation: Installation, strict: Applier
) -> None:
    text = "remediation_rules: [{name: float_low, auto_action: {action_type: ADJUST_FLOAT}, cooldown_seconds: 0}]"
    definition_files.apply(installation.owner, definition_files.parse(text, "here"), by="tests")
    asking = [installation.producer("alerts").sign(remediate(f"a-{number}", None)) for number in range(4)]
    answered = [installation.producer("alerts").sign(remediate(f"b-{number}")) for number in range(4)]
    assert told(strict, asking, answered[:2], answered[2:]) == ["applied"] * 5 + ["rate_limited"] * 3
    bodies = [top_up(f"k{number}").model_copy(update={"created_by": f"sira-{number}"}) for number in range(8)]
    made = [installation.producer("sira").sign(body) for body in bodies]
    assert told(strict, made[:3], made[3:]) == ["applied"] * 5 + ["rate_limited"] * 3


def test_an_hour_later_there_is_a_share_again(installation: Installation, strict: Applier) -> None:
    assert told(strict, tickets(installation, range(6))) == ["applied"] * 5 + ["rate_limited"]
    an_hour_passes(installation)
    assert told(strict, tickets(installation, range(5, 11))) == ["applied"] * 5 + ["rate_limited"]


def an_hour_passes(installation: Installation) -> None:
    with installation.owner.transaction():
        installation.owner.execute("set local session_replication_role = replica")
        installation.owner.execute(
            "update messages set (received_at, answered_at) = (received_at - interval '1 hour', answered_at - interval '1 hour')"
        )


def test_limits_are_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_APPROVAL_LIMITS", '{"votes_per_hour": 7}')
    assert Settings().limits == Limits(creates_per_hour=100, votes_per_hour=7, executions_per_hour=50)


def test_what_lay_in_quarantine_counts_from_when_it_is_applied(installation: Installation, strict: Applier) -> None:
    """An issuer could send a flood before its key is known, and have it applied an hour later."""
    unknown = SigningKey.generate("flood-1", "flood")
    made = [Producer(installation.client, unknown).sign(top_up(f"k{number}")) for number in range(8)]
    assert told(strict, made) == ["unknown_key"] * 8
    keys.add_key(installation.owner, unknown.kid, "flood", unknown.public_bytes, SCOPES["sira"])
    an_hour_passes(installation)
    assert told(strict, *([each] for each in made)) == ["applied"] * 5 + ["rate_limited"] * 3
