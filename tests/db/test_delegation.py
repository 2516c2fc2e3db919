"""Who may act for whom is kept, read, ended and shown."""

from uuid import UUID

import pytest

from db import invariants, read
from tests.workers.test_cli import run
from tests.world import PEOPLE, Installation, directory, top_up
from workers import invariants as rules

AWAY = {"merchant-viewer": ("finance-user-1",), "finance-user-3": ("finance-user-1", "cfo-1")}


@pytest.fixture
def away(installation: Installation) -> UUID:
    """An action, where somebody is away."""
    assert installation.tell("directory", directory(2, None, **AWAY))[0].outcome == "applied"
    (created,) = installation.tell("sira", top_up())
    assert created.action_id is not None
    return created.action_id


def test_who_acts_for_somebody_is_known_though_nobody_named_whom(installation: Installation, away: UUID) -> None:
    for person in ("merchant-viewer", "finance-user-2"):
        assert installation.vote(away, person).outcome == "applied"
    found = installation.action(away)
    assert found["status"] == "approved"
    assert found["votes"][0]["acts_for"] == {"finance-user-1": ["*", "finance_ops"]}
    assert invariants.broken(installation.owner) == []
    assert [broken for _, broken in rules.check(installation.owner) if broken is not None] == []


def test_the_claim_of_a_role_of_somebody_away_is_borne_out(installation: Installation, away: UUID) -> None:
    assert installation.vote(away, "merchant-viewer", voter_roles=["finance_ops"]).outcome == "applied"
    assert installation.vote(away, "merchant-viewer", voter_roles=["cfo"]).code == "role_not_held"
    assert installation.vote(away, "finance-user-3", voter_roles=["cfo"]).outcome == "applied"


def test_a_delegation_that_ended_keeps_its_row_and_gives_nothing(installation: Installation, away: UUID) -> None:
    installation.vote(away, "merchant-viewer")
    installation.tell("directory", directory(3))
    installation.vote(away, "finance-user-2")
    assert installation.action(away)["votes_approve"] == 1
    assert installation.scalar("select count(*) from grants where acts_for is not null and ends_at is not null") == 3
    assert installation.vote(away, "merchant-viewer").code == "not_eligible"


def test_a_delegation_that_stays_is_not_written_again(installation: Installation, away: UUID) -> None:
    assert installation.vote(away, "merchant-viewer").outcome == "applied"
    before = installation.scalar("select array_agg(grants order by id)::text from grants")
    installation.tell("directory", directory(3, None, **AWAY))
    assert installation.scalar("select array_agg(grants order by id)::text from grants") == before


@pytest.mark.usefixtures("away")
def test_the_directory_tells_who_may_act_for_whom(installation: Installation) -> None:
    people = {row["id"]: row["acts_for"] for row in read.list_people(installation.owner)}
    assert people == {person: sorted(AWAY.get(person, ())) for person in PEOPLE}
    holders = [(row["id"], row["acts_for"]) for row in read.list_holders(installation.owner, "cfo")]
    assert holders == [("cfo-1", None), ("finance-user-3", "cfo-1")]


def test_the_command_line_shows_it(installation: Installation, away: UUID) -> None:
    installation.vote(away, "merchant-viewer")
    urls = {
        "DATABASE_URL": installation.settings.servers.database_url,
        "REDIS_URL": installation.settings.servers.redis_url,
    }
    told = {
        words: run(*words.split(), **urls).stdout
        for words in ("directory list", "directory who cfo", f"actions show {away}")
    }
    assert "cfo-1 finance-user-1" in told["directory list"]
    assert "finance-user-3  cfo-1" in told["directory who cfo"]
    assert "merchant-viewer (may act for finance-user-1) approve" in told[f"actions show {away}"]
