"""A service can tell that a call comes from us, for which key and attempt, and with which body."""

import base64
import hmac

import pytest
from pydantic import ValidationError

from tests.workers.test_http_handler import TOP_UP
from workers.handlers.signing import Signer
from workers.settings import Settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the published example


def test_the_published_example_of_standard_webhooks_comes_out() -> None:
    told = Signer(SECRET).signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_key_and_token_are_signed_with_the_body() -> None:
    headers = Signer(SECRET).headers(TOP_UP, b"{}")
    assert headers["Webhook-Id"] == "action-1_1"
    signed = f"action-1_1.{headers['Webhook-Timestamp']}.{{}}".encode()
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["Webhook-Signature"] == f"v1,{expected}"


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "secret", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%"]
)
def test_what_is_no_secret_is_refused_and_not_told(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_APPROVAL_SERVICE_SECRETS", f'{{"float": "{secret}"}}')
    with pytest.raises(ValidationError, match="24 to 64 random bytes") as refused:
        Settings()
    assert "input" not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    settings = Settings(service_secrets={"float": SECRET})
    assert SECRET not in f"{settings!r} {settings.model_dump_json()}"
