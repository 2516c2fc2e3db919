"""What a worker process holds: its settings, its pool of connections, and what applies and executes."""

from dataclasses import dataclass

import httpx

from db import connect
from db.load import Loader
from workers.apply import Applier
from workers.execution import Executor
from workers.handlers.signing import Signer
from workers.settings import Settings


@dataclass
class Runtime:
    """Opened once in each process, after the fork; closed when the process stops."""

    pool: connect.Pool
    applier: Applier
    executor: Executor

    @classmethod
    def open(cls, settings: Settings, *, max_connections: int = 10) -> "Runtime":
        """Start connecting; using it raises psycopg_pool.PoolTimeout while Postgres does not answer."""
        pool = connect.pool(settings.servers.database_url, "ops-approval worker", max_size=max_connections)
        pool.open()  # connects in the background: a worker may boot before its database does
        applier = Applier(pool.connection, Loader(settings.audience, settings.limits))
        services = {name: str(url) for name, url in settings.services.items()}
        signers = {name: Signer(secret.get_secret_value()) for name, secret in settings.service_secrets.items()}
        return cls(pool, applier, Executor(applier, services, httpx.Client(trust_env=False), signers))

    def close(self) -> None:
        """Let go of every connection."""
        self.executor.client.close()
        self.pool.close()
