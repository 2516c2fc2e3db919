"""What is measured: an installation as `ops-approval up` runs it, servers included, in a directory that is gone afterwards."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from db import connect, read
from domain.limits import Limits
from domain.messages import Person, PersonGrant, SyncDirectory
from workers.producer import Producer
from workers.settings import Settings
from workers.stack import Servers
from workers.supervisor import Stack, running

PATIENCE_SECONDS = 60
ROOM = Limits(creates_per_hour=1_000_000)


@dataclass(frozen=True)
class Installation:
    """A running installation, with a connection that has the owner's rights."""

    stack: Stack
    conn: connect.Connection
    client: redis.Redis

    def producer(self, issuer: str) -> Producer:
        """What signs with the key of an issuer and enqueues here."""
        return Producer(self.client, self.stack.key(issuer))


def wait_for(look: Callable[[], object]) -> None:
    """Return as soon as it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"It is not so after {PATIENCE_SECONDS} s; see that nothing else keeps the machine busy."
            )
        time.sleep(0.01)


@contextmanager
def installation(**postgres: str) -> Iterator[Installation]:
    """Start everything, with people who could vote; `postgres` are settings of its server beside those that it has anyway.

    Nothing that is measured is refused for its number: all the machines of an issuer would have one hour's share.
    """
    os.environ["OPS_APPROVAL_LIMITS"] = ROOM.model_dump_json()  # its processes read it there
    with tempfile.TemporaryDirectory(prefix="ops-bench-", dir="/tmp") as directory:
        data = Path(directory)
        data.chmod(0o711)
        if postgres:
            _set(data, postgres)
        with running(Settings(data=data), log=data / "processes.log") as (stack, _):
            client = redis.Redis.from_url(stack.urls.redis_url)
            with connect.connect(stack.urls.database_url, "bench", role=None) as conn:
                installed = Installation(stack, conn, client)
                _introduce_people(installed)
                yield installed
            client.close()


def _set(data: Path, settings: dict[str, str]) -> None:
    servers = Servers(data)
    urls = servers.start()
    with connect.connect(urls.database_url, "bench", role=None) as conn:
        for name, value in settings.items():
            conn.execute(f"alter system set {name} = {value}".encode())
    servers.stop()


def _introduce_people(installed: Installation) -> None:
    """Without anybody who may vote, actions escalate at once."""
    roles = {"ana": "pay_admin", "bob": "pay_admin", "eve": "cfo"}
    people = tuple(Person(id=name, grants=(PersonGrant(role=role),)) for name, role in roles.items())
    ticket = installed.producer("directory").send(SyncDirectory(snapshot=1, people=people))
    wait_for(lambda: read.get_receipt(installed.conn, ticket.content_sha256))
