"""Signing and opening envelopes: compact JWS with Ed25519 (RFC 7515, RFC 8037, RFC 9864).

The header is exactly `{alg, kid, typ}`, the payload exactly `{v, type, iss, aud, jti, iat, exp, body}`. The algorithm
comes from the key's row and never from the message, and only verified bytes are parsed as a message.
"""

import base64
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from db.keys import KeyRing
from domain.exact_json import MAX_BYTES, canonical, parse_json
from domain.keys import ALGORITHM, PERSONAL, Scope, VerificationKey, is_safe
from domain.messages import MAX_SNAPSHOT_BYTES, AnyBody, Message, SyncDirectory, Unopened, content_sha256, parse_body
from domain.refusals import Code, Refusal, printable

TYP = "ops-approval+jws"
EXCERPT_CHARACTERS = 200
MAX_KEPT_BYTES = 4096
"""How long a token may be that is kept though nobody is known to have signed it: longer than nearly all, short for a flood."""


class _Registry(JWSRegistry):
    """The library's limits are below ours, which are looked at before it is asked."""

    max_header_length = MAX_BYTES
    max_payload_length = MAX_SNAPSHOT_BYTES


_REGISTRY = _Registry(algorithms=[ALGORITHM])

_Seconds = Annotated[int, Field(ge=0, le=253_402_300_799, strict=True)]


class Header(BaseModel):
    """The protected header of an envelope, and all of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    alg: Literal["Ed25519"]
    kid: Annotated[str, Field(min_length=1, max_length=200)]
    typ: Literal["ops-approval+jws"]


class Payload(BaseModel):
    """The payload of an envelope, and all of it; `body` has the form of its `type`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    v: Annotated[int, Field(ge=1, le=1)]  # Literal[1] would take true
    type: Annotated[str, Field(min_length=1, max_length=100)]
    iss: Annotated[str, Field(min_length=1, max_length=200)]
    aud: Annotated[str, Field(min_length=1, max_length=200)]
    jti: Annotated[str, Field(min_length=1, max_length=200)]
    iat: _Seconds
    exp: _Seconds
    body: Any


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    kid: Annotated[str, Field(min_length=1, max_length=200)]
    issuer: Annotated[str, Field(min_length=1, max_length=200)]
    jwk: dict[str, str]


class SigningKey:
    """The private half of an issuer's key; it never leaves the producer and is never printed."""

    def __init__(self, kid: str, issuer: str, jwk: OKPKey) -> None:
        self.kid = kid
        self.issuer = issuer
        self._jwk = jwk

    @property
    def person(self) -> str | None:
        """Whose own key it is; None for the key of an issuer."""
        return self.issuer.removeprefix(PERSONAL) if self.issuer.startswith(PERSONAL) else None

    @classmethod
    def generate(cls, kid: str, issuer: str) -> "SigningKey":
        """A new key."""
        return cls(kid, issuer, OKPKey.generate_key("Ed25519", private=True))

    @classmethod
    def read(cls, path: Path) -> "SigningKey":
        """The key in a file that `write` wrote; raises ValueError or OSError, never with the content in the message."""
        content = path.read_bytes()
        try:
            found = _KeyFile.model_validate_json(content)
            jwk = OKPKey.import_key(dict(found.jwk))
            private = jwk.private_key
            if private is None or jwk.as_dict(private=False)["crv"] != ALGORITHM:
                raise ValueError("no private Ed25519 key")  # noqa: TRY301 - told as every other fault of the file
            key = cls(found.kid, found.issuer, jwk)
            if key.public_bytes != private.public_key().public_bytes_raw():
                raise ValueError("halves of two keys")  # noqa: TRY301 - as above
        except (ValueError, KeyError, TypeError, JoseError):
            raise ValueError(f"{path} is not a key file of `ops-approval keys create`") from None
        return key

    def write(self, path: Path) -> None:
        """Keep the key in a new file that only its owner may read, whole or not at all; raises FileExistsError if it is."""
        content = {"kid": self.kid, "issuer": self.issuer, "jwk": self._jwk.as_dict(private=True)}
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(json.dumps(content, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            os.unlink(temporary)  # noqa: PTH108 - beside the os functions that made it

    @property
    def public_bytes(self) -> bytes:
        """The public half: 32 bytes."""
        return base64.urlsafe_b64decode(self.public_jwk["x"] + "=")

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half as a JWK (RFC 8037), with the key's id."""
        return {"kty": "OKP", "crv": ALGORITHM, "x": str(self._jwk.as_dict(private=False)["x"]), "kid": self.kid}

    def sign(self, body: AnyBody, *, audience: str, jti: str, issued_at: int, expires_at: int) -> str:
        """The token of a message; times are seconds since the epoch. Raises ValueError if the engine would not take it."""
        payload = {
            "v": 1,
            "type": type(body).__name__,
            "iss": self.issuer,
            "aud": audience,
            "jti": jti,
            "iat": issued_at,
            "exp": expires_at,
            "body": body.model_dump(mode="json", exclude_unset=True),
        }
        token = self.sign_payload(canonical(payload))
        max_bytes = MAX_SNAPSHOT_BYTES if isinstance(body, SyncDirectory) else MAX_BYTES
        if len(token) > max_bytes:
            raise ValueError(f"The message is {len(token)} bytes long; at most {max_bytes} are taken.")
        return token

    def sign_payload(self, payload: bytes) -> str:
        """The token of any payload, well-formed or not."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": TYP}
        return jws.serialize_compact(header, payload, self._jwk, registry=_REGISTRY)


def open_envelope(token: str, ring: KeyRing) -> Message | Unopened:
    """The message in a token, or why nobody can be said to have sent it; pure, and never raises for any token.

    A message comes back only if a key that is valid now signed exactly these bytes, under its own issuer's name. Whether
    its time, audience and body are right is for the engine to say, because that has a receipt.
    """
    encoded = token.encode(errors="surrogatepass")
    sha256 = content_sha256(encoded)

    def unopened(code: Code, detail: str = "", *, keep: bool = False) -> Unopened:
        kept = token if keep and len(encoded) <= MAX_KEPT_BYTES else None
        return Unopened(sha256, Refusal(code, detail), excerpt(token), kept)

    if len(encoded) > MAX_SNAPSHOT_BYTES:
        return unopened(Code.MALFORMED_ENVELOPE, f"It is longer than {MAX_SNAPSHOT_BYTES} bytes.")
    try:
        header = Header.model_validate(parse_json(_header(token)))
    except ValueError:
        return unopened(Code.MALFORMED_ENVELOPE, "Its header is not exactly alg Ed25519, kid and typ.")
    key = ring.keys.get(header.kid)
    if key is None:
        return unopened(Code.UNKNOWN_KEY, f"It names {header.kid!r}.", keep=True)
    if not key.valid_at(ring.now):
        return unopened(Code.KEY_NOT_VALID, keep=key.revoked_at is None)
    max_bytes = MAX_SNAPSHOT_BYTES if Scope.allows(key.scope.types, SyncDirectory.__name__) else MAX_BYTES
    if len(encoded) > max_bytes:
        return unopened(Code.MALFORMED_ENVELOPE, f"It is longer than {max_bytes} bytes.")
    verified = _verify(token, key)
    if verified is None:
        return unopened(Code.BAD_SIGNATURE)
    try:
        payload = Payload.model_validate(parse_json(verified, max_bytes))
    except ValidationError:
        return unopened(
            Code.MALFORMED_ENVELOPE, "Its payload is not exactly v, type, iss, aud, jti, iat, exp and body."
        )
    except ValueError as error:
        return unopened(Code.MALFORMED_ENVELOPE, f"Its payload is {error}.")
    if payload.iss != key.issuer:
        return unopened(Code.MALFORMED_ENVELOPE, "Its iss is not the issuer that the key belongs to.")
    return _message(token, sha256, key, payload)


def signed_payload(token: str, key: VerificationKey) -> Payload | None:
    """What a key signed in a token, whether or not its signature still counts; None if it did not sign it."""
    try:
        _header(token)
        verified = _verify(token, key)
        return None if verified is None else Payload.model_validate(parse_json(verified, MAX_SNAPSHOT_BYTES))
    except ValueError:
        return None


def _message(token: str, sha256: bytes, key: VerificationKey, payload: Payload) -> Message:
    return Message(
        content_sha256=sha256,
        token=token,
        issuer=payload.iss,
        jti=payload.jti,
        kid=key.kid,
        type=payload.type,
        audience=payload.aud,
        issued_at=datetime.fromtimestamp(payload.iat, UTC),
        expires_at=datetime.fromtimestamp(payload.exp, UTC),
        scope=key.scope,
        body=parse_body(payload.type, payload.body),
        person=key.person,
    )


def _verify(token: str, key: VerificationKey) -> bytes | None:
    """The signed bytes, if the key signed them with its own algorithm; nothing is signed by one without a private half."""
    if not is_safe(key.public_key):
        return None
    encoded = base64.urlsafe_b64encode(key.public_key).decode().rstrip("=")
    jwk = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": encoded})
    try:
        return jws.deserialize_compact(token, jwk, registry=_REGISTRY).payload
    except (JoseError, ValueError):
        return None


def _header(token: str) -> bytes:
    """The header's bytes; raises ValueError unless the token has the one spelling that its content has.

    Base64 has several spellings of some bytes. If more than one were taken, anybody who saw a token could make another
    of the same identity that its producer does not know.
    """
    segments = token.split(".")
    if len(segments) != 3:  # noqa: PLR2004 - header, payload, signature
        raise ValueError("not a compact JWS")
    decoded = [base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True) for part in segments]
    if any(
        base64.urlsafe_b64encode(data).decode().rstrip("=") != part
        for data, part in zip(decoded, segments, strict=True)
    ):
        raise ValueError("not canonical base64url")
    return decoded[0]


def claimed(token: str) -> Any:
    """What a token says, whoever signed it, for people to look at; None if it cannot be read."""
    try:
        segment = token.split(".")[1]
        return parse_json(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)), MAX_SNAPSHOT_BYTES)
    except (ValueError, LookupError):
        return None


def excerpt(text: str) -> str:
    """The beginning of something unreadable, in characters that the database and a terminal can hold."""
    return printable(text[:EXCERPT_CHARACTERS])
