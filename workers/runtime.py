"""What a worker process holds: its connections, what applies, executes and tells, and where SIRA is asked."""

from dataclasses import dataclass, field

from db import connect
from db.load import Loader
from workers.apply import Applier
from workers.execution import Executor
from workers.handlers.http import make_client
from workers.handlers.signing import Signer
from workers.relay import Relay
from workers.settings import Settings
from workers.sira import Sira


@dataclass
class Runtime:
    """Opened once in each process, after the fork; closed when the process stops."""

    pool: connect.Pool
    applier: Applier
    executor: Executor
    relay: Relay | None = None
    """None in an installation without Redis."""
    sira: Sira = field(default_factory=Sira)

    @classmethod
    def open(cls, settings: Settings, *, max_connections: int = 10) -> "Runtime":
        """Start connecting; using it raises psycopg_pool.PoolTimeout while Postgres does not answer."""
        pool = connect.pool(settings.servers.database_url, "ops-approval worker", max_size=max_connections)
        pool.open()  # connects in the background: a worker may boot before its database does
        loader = Loader(settings.audience, settings.limits, settings.recommendation_threshold)
        applier = Applier(pool.connection, loader)
        services = {name: str(url) for name, url in settings.services.items()}
        signers = {name: Signer(secret.get_secret_value()) for name, secret in settings.service_secrets.items()}
        executor = Executor(applier, services, make_client(), signers)
        relay = Relay(pool.connection, settings.stream) if settings.stream else None
        sira = Sira(None if settings.sira_url is None else str(settings.sira_url), settings.sira_api_key)
        return cls(pool, applier, executor, relay, sira)

    def close(self) -> None:
        """Let go of every connection."""
        self.executor.client.close()
        if self.relay is not None:
            self.relay.close()
        self.pool.close()
