"""What is revoked, comes or goes while an action is decided: the decision stands, and is not held against anybody later."""

from uuid import UUID

from db import due, keys
from domain.executing import AttemptStarted
from domain.messages import CastVote
from tests import world
from tests.db.test_history import SHARE
from tests.world import KEYS, Installation, top_up
from workers import definition_files


def test_a_key_that_is_revoked_during_a_decision_counts_in_it_and_that_is_not_held_against_it(
    installation: Installation,
) -> None:
    """The decision reads its votes before the revocation is committed, and the clock after the moment that it is dated."""
    (made,) = installation.tell("sira", top_up())
    assert made.action_id is not None
    installation.vote(made.action_id, "finance-user-1")
    with installation.owner.transaction():
        keys.revoke_key(installation.owner, KEYS["ops-tooling"].kid)
        installation.vote(made.action_id, "finance-user-2")
    assert installation.action(made.action_id)["status"] == "approved"
    assert installation.broken() == []


def test_who_comes_into_a_pool_during_a_decision_is_not_held_against_it(installation: Installation) -> None:
    """The decision does not see who is not committed yet, though their roles are dated before it."""
    definition_files.apply(installation.owner, definition_files.parse(SHARE, "share"), by="tests")
    (made,) = installation.tell("sira", top_up(amount=7))
    assert made.action_id is not None
    installation.vote(made.action_id, "finance-user-1")
    join = "insert into grants (person_id, role, starts_at) select id, 'finance_ops', clock_timestamp() from people"
    with installation.owner.transaction():
        installation.owner.execute(join)
        installation.vote(made.action_id, "finance-user-2")
    assert installation.action(made.action_id)["status"] == "approved"
    assert installation.broken() == []
    installation.owner.execute("update grants set starts_at = starts_at - interval '90 seconds'")
    assert installation.broken() == ["08_decided_again"]


def revoked(installation: Installation, kid: str, action_id: UUID, seconds: float) -> list[str]:
    """What is broken if the key had been revoked so many seconds after the decision."""
    installation.owner.execute(
        """
        update keys set (revoked_at, revoked_why) = (select decided_at + make_interval(secs => %s), 'compromised'
                                                       from actions where id = %s) where kid = %s
        """,
        [seconds, action_id, kid],
    )
    return [name for name in installation.broken() if name.startswith("08")]


def test_a_key_that_was_revoked_well_before_is_held_against_an_approval(installation: Installation) -> None:
    action_id = installation.approved()
    found = {after: revoked(installation, "ops-tooling-1", action_id, after) for after in (-90, -30, 30)}
    assert found == {-90: ["08_decided_again"], -30: [], 30: []}


def test_what_is_opened_again_can_be_voted_on_in_the_same_transaction(installation: Installation) -> None:
    action_id = installation.approved()
    left = {person: roles for person, roles in world.PEOPLE.items() if person != "finance-user-2"}
    installation.tell("directory", world.directory(2, left))
    body = CastVote.model_validate({"action_id": action_id, "voter_id": "finance-user-3", "vote": "approve"})
    vote = installation.opened(installation.producer("ops-tooling").sign(body))
    started = AttemptStarted(action_id, due.draw_token(installation.owner), "tests")
    answers = [receipt.outcome for receipt in installation.applier.apply([started, *vote]).receipts]
    assert answers == ["refused", "applied"]
    assert installation.trail(action_id)[-3:] == ["reopened", "voted", "approved"]
    wrote = (
        "select count(distinct xid) from (select xid from events where action_id = %s order by seq desc limit 3) last"
    )
    assert installation.scalar(wrote, action_id) == 1
    assert installation.broken() == []
