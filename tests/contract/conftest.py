"""The engine as its callers meet it: at work, with services that do what is asked."""

from collections.abc import Iterator

import pytest

from tests.world import Installation
from workers.sandbox import Sandbox


@pytest.fixture
def engine(installation: Installation, sandbox: Sandbox) -> Iterator[Installation]:
    """Ingest and the actors run, and whatever is executed is executed at the sandbox."""
    with installation.at_work(sandbox.url) as engine:
        yield engine
