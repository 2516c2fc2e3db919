"""Keys come to count by approval, from the command line to the first message; a person's own key too, and never by themselves."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db import invariants, read
from domain.lifecycle import Status
from tests.world import KEYS, Installation, top_up
from workers.cli.main import app
from workers.envelope import SigningKey
from workers.producer import CastVote, Producer
from workers.sandbox import Sandbox

BILLING = ["--type", "CreateAction", "--origin", "sira", "--action-type", "*"]


class Desk:
    """Somebody at the command line of an installation, with the key that asks for changes."""

    def __init__(self, installation: Installation, directory: Path) -> None:
        self.installation = installation
        self.directory = directory
        KEYS["definitions"].write(directory / "definitions.json")
        settings = installation.settings
        urls = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
        self.env = urls | {"OPS_APPROVAL_KEY": str(directory / "definitions.json")}

    def says(self, *arguments: str, code: int = 0, asks: str | None = None) -> str:
        """What a command about keys prints; it ends with this exit code."""
        done = CliRunner().invoke(app, ["keys", *arguments, *(["--as", asks] if asks else [])], env=self.env)
        assert done.exit_code == code, done.output
        return done.output

    def generated(self, name: str, *options: str) -> str:
        """The file with the public half of a pair that somebody made."""
        file = self.directory / f"{name}.jwk"
        file.write_text(self.says("generate", name, str(self.directory / f"{name}.json"), *options))
        return str(file)

    def key(self, name: str) -> SigningKey:
        return SigningKey.read(self.directory / f"{name}.json")

    def agree(self) -> None:
        """Take in what was asked for, have it agreed to and carried out."""
        self.installation.drain()
        (action,) = read.list_actions(self.installation.owner, [Status.REQUESTED], 10)
        for person in ("ops-admin-1", "ops-admin-2"):
            assert self.installation.vote(action["id"], person).outcome == "applied"
        assert self.installation.ask_to_execute(action["id"], "finance-user-4").outcome == "applied"
        assert self.installation.perform(action["id"]) == "executed"
        assert invariants.broken(self.installation.owner) == []

    def sends(self, key: SigningKey, body: Any) -> str:
        """What becomes of a message that is signed with this key."""
        ticket = Producer(self.installation.client, key).send(body)
        self.installation.drain()
        (answer,) = self.installation.answers(ticket)
        return answer


@pytest.fixture
def desk(installation: Installation, tmp_path: Path) -> Desk:
    return Desk(installation, tmp_path)


def test_a_key_that_was_made_elsewhere_counts_once_people_agreed(desk: Desk) -> None:
    jwk = desk.generated("billing")
    said = desk.says("register", "billing", jwk, *BILLING, asks="finance-user-3")
    assert "iss billing" in said
    assert "is asked for, in action" in said
    assert desk.sends(desk.key("billing"), top_up("early")) == "unknown_key"
    assert "is asked for already" in desk.says("register", "billing", jwk, *BILLING, asks="finance-user-3")
    desk.agree()
    assert desk.sends(desk.key("billing"), top_up("late")) == "applied"
    assert "registered already" in desk.says("register", "billing", jwk, *BILLING, asks="finance-user-3", code=1)


def test_a_key_that_is_made_here_stays_here_and_counts_once_people_agreed(desk: Desk) -> None:
    file = desk.directory / "new.json"
    assert "--as PERSON" in desk.says("create", "new", str(file), *BILLING, code=2)
    assert not file.exists()
    assert "in action" in desk.says("create", "new", str(file), *BILLING, asks="finance-user-3")
    assert file.stat().st_mode & 0o777 == 0o600
    desk.agree()
    assert desk.sends(SigningKey.read(file), top_up()) == "applied"
    taken = desk.says("create", "new", str(file), *BILLING, "--kid", "another", asks="finance-user-3", code=2)
    assert "cannot be written" in taken


def test_a_persons_own_key_is_agreed_to_by_others(desk: Desk) -> None:
    jwk = desk.generated("ops-admin-1", "--person")
    desk.says("enrol", "ops-admin-1", jwk, asks="finance-user-3")
    desk.installation.drain()
    (action,) = read.list_actions(desk.installation.owner, [Status.REQUESTED], 10)
    assert desk.installation.vote(action["id"], "ops-admin-1").code == "separation_of_duties"


def test_a_persons_own_key_votes_once_people_agreed(desk: Desk) -> None:
    jwk = desk.generated("finance-user-1", "--person")
    assert "iss person:finance-user-1" in desk.says("enrol", "finance-user-1", jwk, asks="finance-user-3")
    desk.agree()
    (create,) = desk.installation.tell("sira", top_up())
    body = {"action_id": create.action_id, "voter_id": "finance-user-1", "vote": "approve"}
    assert desk.sends(desk.key("finance-user-1"), CastVote.model_validate(body)) == "applied"
    assert (
        desk.installation.scalar("select issuer from votes where kid not in ('ops-tooling-1')")
        == "person:finance-user-1"
    )


def test_what_cannot_be_registered_is_not_even_asked_for(desk: Desk) -> None:
    billing = desk.generated("billing")
    desk.says("register", "billing", billing, *BILLING, asks="finance-user-3")
    desk.agree()
    renamed = ["enrol", "finance-user-2", billing, "--kid", "two"]
    assert "calls itself" in desk.says(*renamed, asks="finance-user-3", code=2)
    nameless = {name: value for name, value in json.loads(Path(billing).read_text()).items() if name != "kid"}
    (desk.directory / "nameless.jwk").write_text(json.dumps(nameless))
    anothers = ["enrol", "finance-user-2", str(desk.directory / "nameless.jwk")]
    assert "under another id" in desk.says(*anothers, asks="finance-user-3", code=1)
    stranger = ["enrol", "stranger", desk.generated("stranger", "--person")]
    assert "knows nobody named 'stranger'" in desk.says(*stranger, asks="finance-user-3", code=1)
    voting = ["register", "definitions", desk.generated("definitions-2"), "--type", "CastVote", "--kid", "d2"]
    voting += ["--action-type", "*", "--role", "*"]
    Path(voting[2]).write_text(json.dumps(SigningKey.generate("d2", "definitions").public_jwk))
    assert "agree to its own" in desk.says(*voting, asks="finance-user-3", code=1)
    private = str(desk.directory / "billing.json")
    assert "private" in desk.says("enrol", "finance-user-1", private, asks="finance-user-3", code=2)
    assert desk.installation.queued() == 0


def test_a_refusal_is_told_to_who_waits_for_it(desk: Desk, sandbox: Sandbox) -> None:
    jwk = desk.generated("billing")
    with desk.installation.at_work(sandbox.url):
        said = desk.says("register", "billing", jwk, *BILLING, "--wait", asks="merchant-viewer", code=1)
    assert "may not be asked for: The creator may not ask for this" in said


def test_of_two_keys_of_one_name_at_once_one_counts_and_the_other_is_told(installation: Installation) -> None:
    asked = []
    for number in range(2):
        public = SigningKey.generate(f"same-{number}", "same").public_jwk["x"]
        params = {"kid": "same-1", "issuer": "same", "public_key": public, "scope": {}, "reason": "a test"}
        asked.append(installation.agreed("REGISTER_KEY", params, "definitions"))
    assert [installation.perform(action) for action in asked] == ["executed", "failed"]
    assert "registered already" in installation.action(asked[1])["error"]
    assert installation.scalar("select agreed_in from keys where kid = 'same-1'") == asked[0]
    assert invariants.broken(installation.owner) == []
