"""Only what a valid key signed, byte for byte, is a message; everything else stays unopened, with its reason."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from db.keys import KeyRing
from domain.exact_json import canonical
from domain.keys import Scope, VerificationKey
from domain.messages import CreateAction, Message, Unopened
from domain.refusals import Code, Refusal
from workers.envelope import TYP, SigningKey, open_envelope

NOW = datetime(2025, 11, 12, 10, tzinfo=UTC)
KEY, OTHER = SigningKey.generate("alerts-1", "alerts"), SigningKey.generate("other-1", "other")
SCOPE = Scope(types=("CreateAction",), origins=("alert",), action_types=("*",))
BODY = CreateAction(origin="alert", action_type="X", params={"amount": 5}, created_by="sira-system")
SECONDS = int(NOW.timestamp())
PAYLOAD: dict[str, Any] = {
    "v": 1,
    "type": "CreateAction",
    "iss": "alerts",
    "aud": "ops-approval",
    "jti": "j1",
    "iat": SECONDS,
    "exp": SECONDS + 60,
    "body": BODY.model_dump(mode="json", exclude_unset=True),
}
HEADER = {"alg": "Ed25519", "kid": "alerts-1", "typ": TYP}


def registered(key: SigningKey, **changes: Any) -> VerificationKey:
    known = VerificationKey(key.kid, key.issuer, key.public_bytes, SCOPE, NOW - timedelta(days=1), None, None)
    return replace(known, **changes)


def ring(**changes: Any) -> KeyRing:
    return KeyRing({KEY.kid: registered(KEY, **changes), OTHER.kid: registered(OTHER)}, NOW)


def code(token: str, **changes: Any) -> str:
    found = open_envelope(token, ring(**changes))
    if isinstance(found, Message):
        return "opened"
    assert found.content_sha256 == hashlib.sha256(token.encode(errors="surrogatepass")).digest()
    return found.refusal.code.value


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(header: dict[str, Any] | None = None, payload: bytes | None = None, key: SigningKey = KEY) -> str:
    """A token with a good signature over whatever header and payload."""
    content = canonical(PAYLOAD) if payload is None else payload
    head = b64(json.dumps(HEADER if header is None else header).encode())
    private: Any = key._jwk.private_key
    return f"{head}.{b64(content)}.{b64(private.sign(f'{head}.{b64(content)}'.encode()))}"


TOKEN = KEY.sign(BODY, audience="ops-approval", jti="j1", issued_at=SECONDS, expires_at=SECONDS + 60)
HEAD, CONTENT, SIGNATURE = TOKEN.split(".")


def test_what_was_signed_is_what_is_opened() -> None:
    found = open_envelope(TOKEN, ring())
    assert isinstance(found, Message)
    assert (found.issuer, found.jti, found.kid, found.type) == ("alerts", "j1", "alerts-1", "CreateAction")
    assert (found.audience, found.issued_at, found.expires_at) == ("ops-approval", NOW, NOW + timedelta(seconds=60))
    assert (found.body, found.scope, found.token) == (BODY, SCOPE, TOKEN)
    assert found.content_sha256 == hashlib.sha256(TOKEN.encode()).digest()


def test_the_format_is_the_documented_one() -> None:
    """Literal, so that producers in other languages can rely on it."""
    assert json.loads(base64.urlsafe_b64decode(HEAD + "==")) == HEADER
    assert base64.urlsafe_b64decode(CONTENT + "==") == canonical(PAYLOAD)
    assert code(signed()) == "opened"


def test_a_body_of_another_form_is_opened_and_is_a_refusal() -> None:
    found = open_envelope(signed(payload=canonical(PAYLOAD | {"body": {"x": 1}})), ring())
    assert isinstance(found, Message)
    assert isinstance(found.body, Refusal)
    assert found.body.code is Code.INVALID_BODY


def _hs256() -> str:
    head = b64(json.dumps(HEADER | {"alg": "HS256"}).encode())
    return f"{head}.{CONTENT}.{b64(hmac.digest(KEY.public_bytes, f'{head}.{CONTENT}'.encode(), 'sha256'))}"


def _hs256_with_pem() -> str:
    public: Any = KEY._jwk.public_key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{HEAD}.{CONTENT}.{b64(hmac.digest(pem, f'{HEAD}.{CONTENT}'.encode(), 'sha256'))}"


def _other_head(**changes: Any) -> str:
    return f"{b64(json.dumps(HEADER | changes).encode())}.{CONTENT}.{SIGNATURE}"


FORGED = b64(canonical(PAYLOAD | {"jti": "j2"}))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (f"{HEAD}.{FORGED}.{SIGNATURE}", "bad_signature"),
        (f"{HEAD}.{CONTENT}.{b64(bytes(64))}", "bad_signature"),
        (f"{HEAD}.{CONTENT}.", "bad_signature"),
        (f"{HEAD}.{CONTENT}.{b64(bytes(63))}", "bad_signature"),
        (signed(key=OTHER), "bad_signature"),
        (_other_head(kid="other-1"), "bad_signature"),
        (_hs256_with_pem(), "bad_signature"),
        (_other_head(alg="none"), "malformed_envelope"),
        (f"{b64(json.dumps(HEADER | {'alg': 'none'}).encode())}.{CONTENT}.", "malformed_envelope"),
        (_hs256(), "malformed_envelope"),
        (signed(HEADER | {"alg": "EdDSA"}), "malformed_envelope"),
        (signed(HEADER | {"alg": "ed25519"}), "malformed_envelope"),
        (signed(HEADER | {"crit": ["exp"]}), "malformed_envelope"),
        (signed(HEADER | {"jwk": {"kty": "OKP"}}), "malformed_envelope"),
        (signed(HEADER | {"b64": False, "crit": ["b64"]}), "malformed_envelope"),
        (signed(HEADER | {"jku": "https://example.com"}), "malformed_envelope"),
        (signed(HEADER | {"typ": "JWT"}), "malformed_envelope"),
        (signed({"alg": "Ed25519", "kid": "alerts-1"}), "malformed_envelope"),
        (signed(HEADER | {"kid": 1}), "malformed_envelope"),
        (signed(HEADER | {"kid": ""}), "malformed_envelope"),
        (signed(HEADER | {"kid": "nobody-1"}), "unknown_key"),
        (f"{b64(b'{' + b'}')}.{CONTENT}.{SIGNATURE}", "malformed_envelope"),
        ("", "malformed_envelope"),
        ("..", "malformed_envelope"),
        (f"{HEAD}.{CONTENT}", "malformed_envelope"),
        (f"{TOKEN}.", "malformed_envelope"),
        (f"{TOKEN}.{SIGNATURE}.x.y", "malformed_envelope"),
        (json.dumps({"payload": CONTENT, "protected": HEAD, "signature": SIGNATURE}), "malformed_envelope"),
        ("é" * 100, "malformed_envelope"),
        ("\ud800.\x00.", "malformed_envelope"),
        (signed(payload=b" " * 25_000 + canonical(PAYLOAD)), "malformed_envelope"),
    ],
)
def test_what_nobody_is_known_to_have_sent_stays_unopened(token: str, expected: str) -> None:
    assert code(token) == expected


def test_a_header_that_repeats_a_field_stays_unopened() -> None:
    head = b64(b'{"alg":"Ed25519","kid":"other-1","kid":"alerts-1","typ":"ops-approval+jws"}')
    private: Any = KEY._jwk.private_key
    assert code(f"{head}.{CONTENT}.{b64(private.sign(f'{head}.{CONTENT}'.encode()))}") == "malformed_envelope"


@pytest.mark.parametrize(
    "payload",
    [
        canonical(PAYLOAD | {"iss": "other"}),
        canonical(PAYLOAD | {"v": 2}),
        canonical(PAYLOAD | {"v": True}),
        canonical(PAYLOAD | {"v": "1"}),
        canonical(PAYLOAD | {"iat": str(SECONDS)}),
        canonical(PAYLOAD | {"exp": True}),
        canonical(PAYLOAD | {"exp": SECONDS + 0.5}),
        canonical(PAYLOAD | {"exp": 2**53 - 1}),
        canonical(PAYLOAD | {"iat": -1}),
        canonical(PAYLOAD | {"jti": ""}),
        canonical(PAYLOAD | {"jti": 5}),
        canonical(PAYLOAD | {"jti": "j" * 201}),
        canonical(PAYLOAD | {"aud": ["ops-approval"]}),
        canonical(PAYLOAD | {"nbf": 1}),
        *(canonical({key: value for key, value in PAYLOAD.items() if key != missing}) for missing in PAYLOAD),
        b"[]",
        b"",
        b"\xff",
        b'{"v":1,' + canonical(PAYLOAD)[1:],
        canonical(PAYLOAD).replace(b'"amount":5', b'"amount":NaN'),
        canonical(PAYLOAD).replace(b'"amount":5', b'"amount":' + b"[" * 40 + b"]" * 40),
    ],
)
def test_a_signed_payload_of_another_form_stays_unopened(payload: bytes) -> None:
    assert code(signed(payload=payload)) == "malformed_envelope"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"revoked_at": NOW - timedelta(hours=1)}, "key_not_valid"),
        ({"revoked_at": NOW + timedelta(hours=1)}, "key_not_valid"),
        ({"valid_until": NOW}, "key_not_valid"),
        ({"valid_until": NOW + timedelta(seconds=1)}, "opened"),
        ({"valid_from": NOW}, "opened"),
        ({"valid_from": NOW + timedelta(seconds=1)}, "key_not_valid"),
        ({"public_key": OTHER.public_bytes}, "bad_signature"),
        ({"issuer": "other"}, "malformed_envelope"),
    ],
)
def test_only_a_key_that_is_valid_now_opens(changes: dict[str, Any], expected: str) -> None:
    assert code(TOKEN, **changes) == expected


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_no_other_spelling_of_a_token_opens() -> None:
    """A second spelling would be a second content under one identity: whoever sends it first takes the receipt."""
    spellings = {f"{TOKEN[:-1]}{last}" for last in ALPHABET}
    for index, segment in enumerate((HEAD, CONTENT, SIGNATURE)):
        for other in (f"{segment}=", f"{segment}==", f"{segment}\n", f" {segment}", f"{segment[:9]}\x00{segment[9:]}"):
            spellings.add(".".join((*TOKEN.split(".")[:index], other, *TOKEN.split(".")[index + 1 :])))
    spellings.add(f"{HEAD}.{CONTENT}.{SIGNATURE.replace('-', '+').replace('_', '/')}")
    assert {spelling for spelling in spellings if code(spelling) == "opened"} == {TOKEN}


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from([*ALPHABET, "=", "+", "/", ".", "\n", "é", "\ud800", "", "AA"]))
def test_a_token_with_one_other_character_never_opens(index: int, character: str) -> None:
    other = TOKEN[:index] + character + TOKEN[index + 1 :]
    assert other == TOKEN or code(other) != "opened"


@given(st.text(max_size=80) | st.lists(st.text(alphabet=ALPHABET, max_size=20), max_size=5).map(".".join))
def test_no_token_makes_opening_raise(token: str) -> None:
    assert isinstance(open_envelope(token, ring()), Unopened)


def test_an_excerpt_is_short_and_can_be_printed() -> None:
    found = open_envelope("\x1b[31m\u202e\x00" + "x" * 5000, ring())
    assert isinstance(found, Unopened)
    assert len(found.excerpt) == 200
    assert found.excerpt.isprintable()
