"""Key files: their owner's alone, never overwritten, and never quoted when they cannot be read."""

import base64
import json
from pathlib import Path

import pytest
from nacl.bindings import crypto_core_ed25519_is_valid_point

from db.keys import KeyRing
from domain.exact_json import canonical
from domain.keys import _ORDER_8, Scope, VerificationKey, is_safe
from domain.messages import Unopened
from tests.unit.in_memory import NOW
from workers.envelope import SigningKey, open_envelope
from workers.public_keys import read_public

KEY, OTHER = SigningKey.generate("alerts-1", "alerts"), SigningKey.generate("other-1", "other")


def test_a_key_file_is_its_owners_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "alerts.key"
    KEY.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        OTHER.write(path)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError):
        OTHER.write(tmp_path / "link")
    read = SigningKey.read(path)
    assert (read.kid, read.issuer, read.public_bytes) == (KEY.kid, KEY.issuer, KEY.public_bytes)
    assert read.sign_payload(b"{}") == KEY.sign_payload(b"{}")


NO_POINTS = [
    base64.urlsafe_b64encode(point).decode().rstrip("=")
    for point in (b"\x01" + bytes(31), bytes(32), b"\xff" * 32, b"\x02" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f")
]
"""Of small order, not canonical, or not on the curve: for some of them anybody can make signatures."""
SECRET = str(KEY._jwk.as_dict(private=True)["d"])
JWK = {"kty": "OKP", "crv": "Ed25519", "x": KEY._jwk.as_dict(private=False)["x"], "d": SECRET}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SECRET.encode(),
        b"\xff\xfe" + SECRET.encode(),
        json.dumps([SECRET]).encode(),
        json.dumps(SECRET).encode(),
        json.dumps({"kid": "k", "issuer": "i"}).encode(),
        *(
            json.dumps({"kid": "k", "issuer": "i", "jwk": jwk}).encode()
            for jwk in (
                None,
                SECRET,
                [SECRET],
                JWK | {"d": SECRET[:-3]},
                JWK | {"d": f"*{SECRET}"},
                JWK | {"crv": "X25519"},
                JWK | {"x": OTHER.public_jwk["x"]},
                {name: value for name, value in JWK.items() if name != "d"},
            )
        ),
        json.dumps({"kid": 5, "issuer": "i", "jwk": JWK}).encode(),
    ],
    ids=[str(number) for number in range(15)],
)
def test_a_file_that_is_no_key_is_named_and_its_content_is_not(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "alerts.key"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a key file") as caught:
        SigningKey.read(path)
    assert SECRET[:20] not in repr(caught.value)
    assert SECRET[:20] not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (JWK, "private key"),
        ({"kid": "k", "issuer": "i", "jwk": JWK}, "private key"),
        (KEY.public_jwk | {"x": KEY.public_jwk["x"][:-3]}, "32 bytes"),
        (KEY.public_jwk | {"x": "*" + KEY.public_jwk["x"][1:]}, "32 bytes"),
        *((KEY.public_jwk | {"x": point}, "no point") for point in NO_POINTS),
        (KEY.public_jwk | {"crv": "X25519"}, "Ed25519"),
        (KEY.public_jwk | {"kty": "EC"}, "Ed25519"),
        (KEY.public_jwk | {"x": 5}, "Ed25519"),
        ({}, "Ed25519"),
        ([], "JSON object"),
    ],
)
def test_a_file_that_is_no_public_key_is_refused_and_not_quoted(content: object, says: str, tmp_path: Path) -> None:
    path = tmp_path / "alerts.jwk.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=says) as caught:
        read_public(path)
    assert SECRET[:20] not in str(caught.value)


def test_the_public_half_of_a_key_is_read_as_it_was_printed(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jwk.json"
    path.write_text(json.dumps(KEY.public_jwk | {"use": "sig", "alg": "Ed25519"}))
    found = read_public(path)
    assert (found.public_bytes, found.kid) == (KEY.public_bytes, KEY.kid)


def test_the_domain_refuses_what_libsodium_does_of_points_that_anybody_signs_for() -> None:
    small = [1, 0, 2**255 - 20, 2**255 - 19, 2**255 - 18, 2**255 - 1, _ORDER_8, 2**255 - 19 - _ORDER_8]
    for y in small:
        for sign in (0, 1 << 255):
            raw = (y | sign).to_bytes(32, "little")
            assert not is_safe(raw)
            assert not crypto_core_ed25519_is_valid_point(raw)
    for _ in range(50):
        raw = SigningKey.generate("new-1", "new").public_bytes
        assert is_safe(raw)
        assert crypto_core_ed25519_is_valid_point(raw)


def test_nothing_is_signed_by_a_key_that_anybody_signs_for() -> None:
    """The neutral point as key and as commitment, and 0 as the proof, are a signature of everything."""
    neutral = bytes([1]) + bytes(31)
    known = VerificationKey(KEY.kid, KEY.issuer, neutral, Scope(), NOW, None, None)
    signed = KEY.sign_payload(canonical({"v": 1})).rsplit(".", 1)[0]
    forged = f"{signed}.{base64.urlsafe_b64encode(neutral + bytes(32)).decode().rstrip('=')}"
    told = open_envelope(forged, KeyRing({KEY.kid: known}, NOW))
    assert isinstance(told, Unopened)
    assert told.refusal.code == "bad_signature"
