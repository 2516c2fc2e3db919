"""Which keys people may be asked about: whole ones, beside those that are registered, for whoever is there."""

from datetime import timedelta
from typing import Any

import pytest

from domain.keys import Scope, VerificationKey
from tests.unit.in_memory import NOW
from tests.unit.test_changing import ASKING, Company

TAKEN, NEW = b"t" * 32, "b" * 42 + "g"
OTHERS = {
    "votes-1": VerificationKey(
        "votes-1", "votes", TAKEN, Scope(types=("CastVote",)), NOW - timedelta(days=1), None, None
    )
}
WANTED: dict[str, Any] = {
    "kid": "new-1",
    "issuer": "new",
    "public_key": NEW,
    "scope": {"types": ["CreateAction"], "action_types": ["*"]},
    "reason": "a new producer",
}
OWN = {"kid": "own-1", "person_id": "f2", "public_key": NEW, "reason": "their own"}
SCOPE = ASKING.model_copy(update={"action_types": ("REGISTER_KEY", "ENROL_KEY")})


class Registry(Company):
    """A company where one key is registered, of an issuer that votes."""

    def __init__(self) -> None:
        super().__init__()
        self.world.keys = dict(OTHERS)

    def want(self, action_type: str, params: dict[str, Any]) -> str:
        body = {"action_type": action_type, "idempotency_key": None, "origin": "ops_ui", "created_by": "f1"}
        self.told = self.create(body | {"params": params}, scope=SCOPE)
        return self.told.code or "applied"


def test_a_key_counts_once_people_agreed_and_with_what_they_saw() -> None:
    engine = Registry()
    assert engine.want("REGISTER_KEY", WANTED) == "applied"
    action = engine.told.action_id
    assert action is not None
    engine.agree(action)
    assert engine.perform(action) == "executed"
    assert engine.action(action).result == {"kid": "new-1", "issuer": "new"}
    (key,) = engine.world.changes.keys
    assert (key.kid, key.issuer, key.scope, key.person_id) == ("new-1", "new", WANTED["scope"], None)
    assert (key.agreed_in, key.valid_from) == (action, engine.world.now)
    assert engine.want("REGISTER_KEY", WANTED) == "key_conflict"


def test_whose_own_key_it_is_does_not_vote_on_it() -> None:
    engine = Registry()
    assert engine.want("ENROL_KEY", OWN | {"person_id": "admin"}) == "applied"
    action = engine.told.action_id
    assert action is not None
    assert engine.vote(action, "admin").code == "separation_of_duties"
    engine.agree(action, "admin-2", "admin-3")
    assert engine.perform(action) == "executed"
    (key,) = engine.world.changes.keys
    assert (key.issuer, key.person_id, key.scope["types"]) == ("person:admin", "admin", ["CastVote"])
    assert engine.world.keys[key.kid].person == "admin"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kid": "votes-1"}, "key_conflict"),
        ({"public_key": "dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHQ"}, "key_conflict"),
        ({"issuer": "votes", "scope": {"types": ["SyncDirectory"]}}, "key_conflict"),
        ({"issuer": "votes", "scope": {"types": ["CreateAction"], "action_types": ["ENROL_KEY"]}}, "key_conflict"),
        ({"scope": {"types": ["CastVote", "SyncDirectory"]}}, "invalid_params"),
        ({"scope": {"types": ["CastVotes"]}}, "invalid_params"),
        ({"scope": {"types": ["*"]}}, "invalid_params"),
        ({"scope": {"more": []}}, "invalid_params"),
        ({"kid": " new-1"}, "invalid_params"),
        ({"issuer": "person:f2"}, "invalid_params"),
        ({"issuer": "ops-approval"}, "invalid_params"),
        ({"issuer": "i" * 151}, "invalid_params"),
        ({"public_key": "b" * 43}, "invalid_params"),
        ({"public_key": "b" * 42}, "invalid_params"),
        ({"public_key": "AQ" + "A" * 41}, "invalid_params"),
        ({"person_id": "f2"}, "invalid_params"),
    ],
)
def test_a_key_that_cannot_be_registered_is_refused(changes: dict[str, Any], expected: str) -> None:
    assert Registry().want("REGISTER_KEY", WANTED | changes) == expected


def test_a_stranger_has_no_key_of_their_own() -> None:
    assert Registry().want("ENROL_KEY", OWN | {"person_id": "stranger"}) == "key_conflict"


def test_what_came_in_the_way_meanwhile_is_told() -> None:
    engine = Registry()
    actions = []
    for number in range(2):
        assert engine.want("REGISTER_KEY", WANTED | {"reason": f"reason {number}"}) == "applied"
        assert engine.told.action_id is not None
        actions.append(engine.told.action_id)
        engine.agree(actions[-1])
    assert [engine.perform(action) for action in actions] == ["executed", "failed"]
    assert "registered already" in (engine.action(actions[1]).error or "")
