"""Reading the public half of a key pair that somebody made elsewhere: a JWK (RFC 7517, RFC 8037)."""

import base64
import binascii
from pathlib import Path
from typing import Annotated, Any, Literal

from nacl.bindings import crypto_core_ed25519_is_valid_point
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.exact_json import parse_json
from domain.keys import ALGORITHM

_PUBLIC_BYTES = 32


class PublicKey(BaseModel):
    """A public Ed25519 key; members that say nothing of the key itself are left out."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @property
    def public_bytes(self) -> bytes:
        """The key itself: 32 bytes. Raises ValueError if it is none."""
        try:
            decoded = base64.b64decode(self.x + "=" * (-len(self.x) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            decoded = b""
        if len(decoded) != _PUBLIC_BYTES:
            raise ValueError(f"its x is not {_PUBLIC_BYTES} bytes in base64url")
        if not crypto_core_ed25519_is_valid_point(decoded):  # for some that are none anybody can sign
            raise ValueError("its x is no point that a private key belongs to")
        return decoded


def read_public(path: Path) -> PublicKey:
    """The public key in a file; raises ValueError, for a private key too, and OSError."""
    document: Any = parse_json(path.read_bytes())
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - told as every other fault of the file
    if "d" in document or "jwk" in document:
        raise ValueError(
            "it holds a private key, which nobody but its owner may have; make a new pair and send its public half"
        )
    try:
        key = PublicKey.model_validate(document)
    except ValidationError:
        raise ValueError(f'it is not an {ALGORITHM} key: {{"kty": "OKP", "crv": "{ALGORITHM}", "x": …}}') from None
    key.public_bytes  # noqa: B018 - raises ValueError
    return key
