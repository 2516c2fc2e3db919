"""The invariants hold on an installation with actions in every state, and each of them sees what breaks it."""

from db import invariants
from tests.world import Installation


def test_the_invariants_hold_on_an_empty_installation(installation: Installation) -> None:
    assert invariants.broken(installation.owner) == []


def test_the_invariants_hold_where_something_happened(installation: Installation) -> None:
    installation.approved()
    assert invariants.broken(installation.owner) == []
