"""Signs calls, so that a service knows that a worker of this installation makes them and that nobody changed the body.

As Standard Webhooks has it (standardwebhooks.com, which has libraries that verify it): HMAC-SHA256 over id, time and body.
The id is the idempotency key and the attempt's token, so that neither can be put into another call.
"""

import base64
import binascii
import hmac
import time

from workers.handlers import Call

PREFIX = "whsec_"
_BYTES = range(24, 65)


class Signer:
    """Signs with the secret that it shares with one service; raises ValueError for what is no such secret.

    A secret is `whsec_` and the base64 of 24 to 64 random bytes.
    """

    def __init__(self, secret: str) -> None:
        try:
            self._key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            self._key = b""
        if not secret.startswith(PREFIX) or len(self._key) not in _BYTES:
            raise ValueError(f"a secret is {PREFIX} and the base64 of 24 to 64 random bytes")

    def headers(self, call: Call, body: bytes) -> dict[str, str]:
        """The headers that sign a call with this body, now; a service refuses what is older than some minutes."""
        webhook_id, at = f"{call.idempotency_key}_{call.token}", int(time.time())
        return {
            "Webhook-Id": webhook_id,
            "Webhook-Timestamp": str(at),
            "Webhook-Signature": self.signature(webhook_id, at, body),
        }

    def signature(self, webhook_id: str, at: int, body: bytes) -> str:
        """The signature over an id, a time (Unix seconds) and a body."""
        signed = hmac.digest(self._key, f"{webhook_id}.{at}.".encode() + body, "sha256")
        return f"v1,{base64.b64encode(signed).decode()}"
