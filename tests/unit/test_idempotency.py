"""Keys that end in a timestamp are warned about, and keys that end in another number are not."""

import pytest

from domain.idempotency import warning
from tests.unit.in_memory import InMemory


@pytest.mark.parametrize(
    "key",
    [
        "alert-7-remediation-1762941600123",  # Date.now(), as the spec's best practices have it
        "alert-7-remediation-1762941600",
        "alert_7_1762941600.123456",  # time.time()
        "alert:7:1000000000",
        "1762941600123",
        "alert-7-2025-11-12T10:00:00Z",
        "alert-7-2025-11-12T10:00:00.123Z",
        "alert-7-2025-11-12T10:00:00+01:00",
        "alert-7-2025-11-12t10:00z",
        "alert-7-2025-11-12 10:00:00",
        "alert-7-2025-11-12T10-00-00",
        "alert-7-20251112T100000Z",
        "alert-7-20251112T1000",
        "alert-7-20251112100000",
        "alert-7-20251112100000123",
        "2025-11-12T10:00:00Z",
    ],
)
def test_a_key_that_ends_in_a_timestamp_is_warned_about(key: str) -> None:
    assert "timestamp" in warning(key)


@pytest.mark.parametrize(
    "key",
    [
        None,
        "alert-7-remediation",
        "alert-1-sira-rec",
        "alert-1762941600123-remediation",  # of what the alert is about, which stays the same
        "order-1234567",
        "order-12345678901",
        "order-123456789012",
        "order-12345678901234",
        "invoice-2025-000123",
        "invoice-2025-11-12-000123",  # the number of that day
        "invoice-20251112-1234",
        "float-check-2025-11-12",  # one a day may be meant
        "float-check-20251112",
        "float-check-2025-11-12T10",
        "caller-+12125550123",
        "caller-2125550123",
        "caller-+221771234567",
        "caller-771234567",
        "caller-0612345678",
        "card-4111111111111111",
        "ean-4006381333931",
        "alert-20251312100000",  # no month
        "alert-20251112250000",  # no hour
        "alert-5f3a1762941600",
        "fda2c9d0-1762-9416-0012-176294160012",
        "01JCG5Z8K1-7629416001",
        "v1762941600",
    ],
)
def test_a_key_that_ends_in_something_else_is_not(key: str | None) -> None:
    assert warning(key) == ""


def test_the_receipt_of_what_was_created_carries_the_warning() -> None:
    engine = InMemory()
    plain, late = engine.create(), engine.create({"idempotency_key": "k-1762941600123"})
    assert (plain.outcome, late.outcome) == ("applied", "applied")
    assert plain.sentence == f"Action {plain.action_id} is created."
    assert late.sentence.startswith(f"Action {late.action_id} is created. Its idempotency key ends in")
    again = engine.create({"idempotency_key": "k-1762941600123"})
    assert (again.outcome, "timestamp" in again.sentence) == ("duplicate", False)
