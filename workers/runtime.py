"""What a worker process holds: its settings, its pool of connections, and what applies, executes and tells."""

from dataclasses import dataclass

import httpx

from db import connect
from db.load import Loader
from workers.apply import Applier
from workers.execution import Executor
from workers.relay import Relay
from workers.settings import Settings


@dataclass
class Runtime:
    """Opened once in each process, after the fork; closed when the process stops."""

    pool: connect.Pool
    applier: Applier
    executor: Executor
    relay: Relay | None
    """None in an installation without Redis."""

    @classmethod
    def open(cls, settings: Settings, *, max_connections: int = 10) -> "Runtime":
        """Start connecting; using it raises psycopg_pool.PoolTimeout while Postgres does not answer."""
        pool = connect.pool(settings.servers.database_url, "ops-approval worker", max_size=max_connections)
        pool.open()  # connects in the background: a worker may boot before its database does
        applier = Applier(pool.connection, Loader(settings.audience))
        services = {name: str(url) for name, url in settings.services.items()}
        relay = Relay(pool.connection, settings.stream) if settings.stream else None
        return cls(pool, applier, Executor(applier, services, httpx.Client(trust_env=False)), relay)

    def close(self) -> None:
        """Let go of every connection."""
        self.executor.client.close()
        if self.relay is not None:
            self.relay.close()
        self.pool.close()
