"""The document that other languages write producers from: its examples are what the engine takes, byte for byte."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import fakeredis
import pytest
from joserfc.jwk import OKPKey

from db.keys import KeyRing
from domain.body import Body
from domain.exact_json import MAX_BYTES, MAX_INTEGER, parse_json
from domain.keys import Scope, VerificationKey
from domain.messages import (
    BODIES,
    CLOCK_TOLERANCE_SECONDS,
    LIFETIME_SECONDS,
    MAX_SNAPSHOT_BYTES,
    Message,
    Outcome,
    action_id,
    parse_body,
)
from domain.quorum_tree import parse as parse_quorum
from domain.refusals import Code, Refusal
from domain.voting import MAX_PARKED
from tools import generate
from workers.envelope import Header, Payload, SigningKey, open_envelope
from workers.queue import Doorbell, enqueue, token_of

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "wire-format.md").read_text()
BLOCKS = {
    name: text for _, name, text in re.findall(r"^```(\w+) (\S+)\n(.*?)\n```$", DOCUMENT, re.DOTALL | re.MULTILINE)
}
NAMES = {
    "public-key",
    "key-file",
    "Header",
    "Payload",
    "token",
    *BODIES,
    "quorums",
    "action-ids",
    "entry",
    "commands",
    "content-sha256",
}
TOKEN = BLOCKS["token"]


def example(name: str) -> Any:
    return parse_json(BLOCKS[name].encode())


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """The document's key, read from the document's key file."""
    path = tmp_path / "key.json"
    path.write_text(BLOCKS["key-file"])
    return SigningKey.read(path)


def opened(token: str, key: SigningKey) -> Message:
    now = datetime.fromtimestamp(example("Payload")["iat"], UTC)
    known = VerificationKey(key.kid, key.issuer, key.public_bytes, Scope(types=("ExecuteAction",)), now, None, None)
    found = open_envelope(token, KeyRing({key.kid: known}, now))
    assert isinstance(found, Message)
    return found


def test_the_schemas_are_what_the_code_says_and_no_others_lie_there() -> None:
    files = {path.name: path.read_text() for path in (ROOT / "docs" / "schemas").iterdir()}
    assert files == {f"{name}.json": generate.json_schema(model) for name, model in generate.WIRE.items()}
    assert set(generate.WIRE) == {"Header", "Payload", *BODIES}


def test_every_example_of_the_document_is_held_by_a_test() -> None:
    assert set(BLOCKS) == NAMES
    unnamed = re.findall(r"^```(\w+)\n", DOCUMENT, re.MULTILINE)
    assert set(unnamed) == {"console", "sql"}


@pytest.mark.parametrize("name", BODIES)
def test_the_example_of_a_body_has_its_form(name: str) -> None:
    found = parse_body(name, example(name))
    assert isinstance(found, Body)
    assert found.model_dump(mode="json", exclude_unset=True) == example(name)
    assert f"schemas/{name}.json" in DOCUMENT


def test_the_envelope_of_the_document_is_made_and_opened_by_the_real_code(key: SigningKey) -> None:
    assert (
        OKPKey.import_key(example("public-key")).thumbprint()
        == OKPKey.import_key(example("key-file")["jwk"]).thumbprint()
    )
    assert Header.model_validate(example("Header")).kid == key.kid
    payload = Payload.model_validate(example("Payload"))
    assert payload.exp - payload.iat == LIFETIME_SECONDS
    assert key.sign_payload(json.dumps(example("Payload"), separators=(",", ":")).encode()) == TOKEN
    message = opened(TOKEN, key)
    assert (message.issuer, message.jti) == (payload.iss, payload.jti)
    assert message.body == parse_body("ExecuteAction", example("ExecuteAction"))
    assert message.content_sha256.hex() == BLOCKS["content-sha256"]


def test_the_key_signs_however_the_payload_is_spaced_and_ordered(key: SigningKey) -> None:
    spaced = json.dumps(dict(reversed(example("Payload").items())), indent=3)
    assert opened(key.sign_payload(spaced.encode()), key).body == opened(TOKEN, key).body


def test_the_ids_of_actions_are_computed_as_the_document_says() -> None:
    (namespace,) = re.findall(r"^- Namespace: `([0-9a-f-]{36})`", DOCUMENT, re.MULTILINE)
    for line in BLOCKS["action-ids"].splitlines():
        name, _, told = line.rpartition(" ")
        issuer, kind, value = json.loads(name)
        assert str(uuid5(UUID(namespace), name)) == told
        assert str(action_id(issuer, *((value, "") if kind == "key" else (None, value)))) == told
    assert example("ExecuteAction")["action_id"] in BLOCKS["action-ids"]


def test_the_quorums_of_the_document_are_understood() -> None:
    for quorum in example("quorums"):
        parse_quorum(quorum)
    assert {quorum["type"] for quorum in example("quorums")} == {
        "role",
        "percentage",
        "specific_users",
        "all_of",
        "any_of",
        "k_of",
    }


def test_the_commands_of_the_document_put_into_redis_what_our_own_producer_puts_there() -> None:
    theirs, ours = fakeredis.FakeRedis(), fakeredis.FakeRedis()
    entry_id = "b7a9f6c2-5a55-4d2e-8f64-0f1f6d1a2c3b"
    values = {"ID": entry_id, "ENTRY": BLOCKS["entry"].replace("TOKEN", TOKEN).replace("ID", entry_id)}
    begin, *commands, end = (line.split(" ") for line in BLOCKS["commands"].splitlines())
    assert (begin, end) == (["MULTI"], ["EXEC"])
    for command in commands:
        theirs.execute_command(*(values.get(word, word) for word in command))  # type: ignore[no-untyped-call]
    enqueue(ours, [TOKEN])
    (told,), (expected,) = Doorbell(theirs).peek(10), Doorbell(ours).peek(10)
    assert token_of(told.body or b"") == token_of(expected.body or b"") == TOKEN
    assert set(theirs.keys()) == set(ours.keys())
    assert shape(told.body) == shape(expected.body)


def shape(entry: bytes | None) -> dict[str, Any]:
    """An entry without what is new in each: ids and times by their kind only."""
    told: dict[str, Any] = json.loads(entry or b"")
    told["options"] = sorted(told["options"])
    return told | {"message_id": len(told["message_id"]), "message_timestamp": len(str(told["message_timestamp"]))}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("CreateAction", {"created_by": " sira-system"}),
        ("CreateAction", {"created_by": "\uff53ira-system"}),
        ("CreateAction", {"required_quorum": {"type": "role", "value": {"role": "cfo", "min_votes": 0}}}),
        ("CreateAction", {"required_quorum": {"type": "specific_users", "value": {"users": ["ana", "ana"]}}}),
        ("CreateAction", {"timeout_seconds": 60.0}),
        ("CastVote", {"cast_at": "2025-11-12T10:00:00"}),
        ("CastVote", {"cast_at": 1762941600}),
        ("CastVote", {"more": 1}),
        ("SyncDirectory", {"people": [{"id": "ana", "grants": [{"role": "*"}]}]}),
        ("SyncDirectory", {"people": [{"id": "ana"}, {"id": "ana"}]}),
    ],
)
def test_the_rules_that_the_document_adds_to_the_schemas_hold(name: str, changes: dict[str, Any]) -> None:
    found = parse_body(name, example(name) | changes)
    assert isinstance(found, Refusal)
    assert found.code is Code.INVALID_BODY


def test_the_limits_of_the_document_are_those_of_the_code() -> None:
    for told in (
        f"longer than {MAX_BYTES} bytes ({MAX_SNAPSHOT_BYTES} for",
        f"beyond ±{MAX_INTEGER}",
        f"at most {LIFETIME_SECONDS} s (7 days)",
        f"at most {CLOCK_TOLERANCE_SECONDS} s ahead",
        f"at most {MAX_PARKED} wait",
    ):
        assert told in DOCUMENT
    assert re.findall(r"^\| `(\w+)` \| .* \| (?:yes|no: .*) \|$", DOCUMENT, re.MULTILINE) == list(Outcome)
