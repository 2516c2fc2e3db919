"""Definitions come into force by an action that people agreed to, whatever the code of a worker does: tried with plain SQL."""

import base64
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.errors import InsufficientPrivilege, UniqueViolation
from psycopg.types.json import Jsonb

from db import due, invariants
from db.connect import Connection
from db.definitions import load_definitions
from domain.executing import AttemptStarted
from domain.policy import DEFAULT_POLICY
from tests.world import Installation

BODY = DEFAULT_POLICY.model_copy(update={"name": "New"}).model_dump(mode="json")
INSERT = """
    insert into definitions (kind, name, version, body, created_by, agreed_in)
    values (%(kind)s, %(name)s, %(version)s, %(body)s, %(created_by)s, %(agreed_in)s)
"""


@pytest.fixture(scope="module")
def change(shared_installation: Installation) -> UUID:
    """A change that people agreed to, while it is being carried out."""
    params = {"kind": "policy", "name": "New", "replaces": 0, "definition": BODY, "reason": "a test"}
    action_id = shared_installation.agreed("CHANGE_DEFINITION", params, "definitions")
    token = due.draw_token(shared_installation.owner)
    shared_installation.applier.apply([AttemptStarted(action_id, token, "tests")])
    return action_id


@pytest.fixture
def owner(shared_installation: Installation) -> Iterator[Connection]:
    """The owner's connection, in a transaction that will be rolled back."""
    with shared_installation.owner.transaction(force_rollback=True):
        yield shared_installation.owner


def row(change: UUID | None, **changes: Any) -> dict[str, Any]:
    """The version that people agreed to, as a row."""
    agreed = {"kind": "policy", "name": "New", "version": 1, "body": BODY, "created_by": "finance-user-3"}
    return agreed | {"agreed_in": change} | changes | {"body": Jsonb(changes.get("body", BODY))}


def test_a_worker_writes_what_people_agreed_to_once(owner: Connection, change: UUID) -> None:
    owner.execute("set local role ops_worker")
    owner.execute(INSERT, row(change))
    assert load_definitions(owner).newest_version("policy", "New") == 1
    with pytest.raises(UniqueViolation), owner.transaction():
        owner.execute(INSERT, row(change))


@pytest.mark.parametrize(
    "changes",
    [
        {"agreed_in": None},
        {"agreed_in": uuid4()},
        {"kind": "action_type"},
        {"name": "Other"},
        {"version": 2},
        {"body": BODY | {"priority": 1}},
        {"created_by": "somebody"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_worker_puts_nothing_in_force_that_nobody_agreed_to(
    owner: Connection, change: UUID, changes: dict[str, Any]
) -> None:
    owner.execute("set local role ops_worker")
    with pytest.raises(InsufficientPrivilege, match="people agreed to"), owner.transaction():
        owner.execute(INSERT, row(change, **changes))


def test_a_login_of_a_worker_can_do_no_more_than_its_role(owner: Connection, change: UUID) -> None:
    owner.execute("create role engine_login in role ops_worker")
    owner.execute("set local role engine_login")
    with pytest.raises(InsufficientPrivilege, match="people agreed to"), owner.transaction():
        owner.execute(INSERT, row(None))
    owner.execute(INSERT, row(change))


@pytest.mark.parametrize("status", ["approved", "failed"])
def test_only_while_the_action_is_carried_out_its_definition_is_written(
    owner: Connection, change: UUID, status: str
) -> None:
    owner.execute("update actions set status = %s where id = %s", [status, change])
    with pytest.raises(InsufficientPrivilege, match="people agreed to"), owner.transaction():
        owner.execute(INSERT, row(change))


KEY = {
    "kid": "new-1",
    "issuer": "new",
    "public_key": b"b" * 32,
    "person_id": None,
    "scope": {"types": ["CreateAction"], "origins": ["alert"]},
}
OWN = KEY | {"kid": "own-1", "issuer": "person:cfo-1", "person_id": "cfo-1", "scope": {"types": ["CastVote"]}}
INSERT_KEY = """
    insert into keys (kid, issuer, alg, public_key, scope, person_id, agreed_in)
    values (%(kid)s, %(issuer)s, 'Ed25519', %(public_key)s, %(scope)s, %(person_id)s, %(agreed_in)s)
"""


@pytest.fixture(scope="module")
def registrations(shared_installation: Installation) -> dict[str, UUID]:
    """Keys that people agreed to, while they are being registered."""
    public = base64.urlsafe_b64encode(b"b" * 32).decode().rstrip("=")
    issuers = {"kid": "new-1", "issuer": "new", "scope": KEY["scope"]}
    found = {}
    for action_type, params in (("REGISTER_KEY", issuers), ("ENROL_KEY", {"kid": "own-1", "person_id": "cfo-1"})):
        agreed = params | {"public_key": public, "reason": "a test"}
        found[action_type] = shared_installation.agreed(action_type, agreed, "definitions")
        token = due.draw_token(shared_installation.owner)
        shared_installation.applier.apply([AttemptStarted(found[action_type], token, "tests")])
    return found


@pytest.mark.parametrize(("action_type", "key"), [("REGISTER_KEY", KEY), ("ENROL_KEY", OWN)])
def test_a_worker_registers_the_key_that_people_agreed_to(
    owner: Connection, registrations: dict[str, UUID], action_type: str, key: dict[str, Any]
) -> None:
    owner.execute("set local role ops_worker")
    agreed = key | {"scope": Jsonb(key["scope"]), "agreed_in": registrations[action_type]}
    owner.execute(INSERT_KEY, agreed)


@pytest.mark.parametrize(
    ("action_type", "key"),
    [
        ("REGISTER_KEY", {"agreed_in": None}),
        ("REGISTER_KEY", {"kid": "new-2"}),
        ("REGISTER_KEY", {"issuer": "ops-tooling"}),
        ("REGISTER_KEY", {"public_key": b"c" * 32}),
        ("REGISTER_KEY", {"scope": {"types": ["CreateAction"], "origins": ["*"]}}),
        ("REGISTER_KEY", OWN | {"kid": "new-1"}),
        ("ENROL_KEY", OWN | {"public_key": b"c" * 32}),
        ("ENROL_KEY", OWN | {"issuer": "person:ops-admin-1", "person_id": "ops-admin-1"}),
        ("ENROL_KEY", KEY | {"kid": "own-1"}),
    ],
)
def test_a_worker_registers_no_key_that_nobody_agreed_to(
    owner: Connection, registrations: dict[str, UUID], action_type: str, key: dict[str, Any]
) -> None:
    owner.execute("set local role ops_worker")
    wanted = KEY | {"agreed_in": registrations[action_type]} | key
    with pytest.raises(InsufficientPrivilege, match="people agreed to"), owner.transaction():
        owner.execute(INSERT_KEY, wanted | {"scope": Jsonb(wanted["scope"])})


def test_the_owner_begins_an_installation_alone_and_is_seen_when_doing_so_later(owner: Connection) -> None:
    (rule,) = [invariant for invariant in invariants.load() if invariant.name == "12_definitions_were_agreed"]
    dated = INSERT.replace("agreed_in)", "agreed_in, created_at)", 1).replace(
        "%(agreed_in)s)",
        """%(agreed_in)s, (select min(answered_at) + make_interval(secs => %(seconds)s) from messages
                          where type = 'SyncDirectory' and outcome = 'applied'))""",
    )
    owner.execute(dated.encode(), row(None) | {"seconds": 50})  # so soon that the clock may have stepped back
    assert invariants.check(owner, rule) is None
    owner.execute(dated.encode(), row(None, version=2) | {"seconds": 70})
    broken = invariants.check(owner, rule)
    assert broken is not None
    assert [violation.id for violation in broken.violations] == ["policy New"]
