"""What an installation says about itself, read from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, HttpUrl
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers import stack


class Settings(BaseSettings):
    """The environment of a process.

    `DATABASE_URL` and `REDIS_URL` name the servers; without them it is the embedded ones that `ops-approval up` runs on
    the data directory. `BROKER_URL`, amqp://…, puts the queues at RabbitMQ instead of Redis. `OPS_APPROVAL_SERVICES` is a JSON object
    of service names (as action types use them) and base URLs. `OPS_APPROVAL_AUDIENCE` is the name under which messages
    address this installation. `OPS_APPROVAL_INGEST=false` leaves the queue `messages` to the stock actor.
    `OPS_APPROVAL_ESCALATE_EVERY_SECONDS` and `OPS_APPROVAL_AUTO_EXECUTE_EVERY_SECONDS` are the periods of the two periodic
    actors, beside the sweep that acts within a second anyway.
    """

    model_config = SettingsConfigDict(env_prefix="OPS_APPROVAL_", extra="ignore")

    database_url: Annotated[str, Field(validation_alias="DATABASE_URL")] = ""
    redis_url: Annotated[str, Field(validation_alias="REDIS_URL")] = ""
    broker_url: Annotated[str, Field(validation_alias="BROKER_URL", pattern=r"^(amqps?://.+)?$")] = ""
    data: Path = Field(default_factory=stack.default_data_dir)
    audience: str = "ops-approval"
    ingest: bool = True
    services: dict[str, HttpUrl] = {}
    escalate_every_seconds: Annotated[int, Field(ge=1)] = 600
    auto_execute_every_seconds: Annotated[int, Field(ge=1)] = 120

    @property
    def broker(self) -> str:
        """Where the queues are."""
        return self.broker_url or self.servers.redis_url

    @property
    def servers(self) -> stack.Urls:
        """Where Postgres and Redis are."""
        embedded = stack.urls_for(self.data)
        return stack.Urls(self.database_url or embedded.database_url, self.redis_url or embedded.redis_url)

    @property
    def stream(self) -> str | None:
        """The Redis that the stream of events is put into, whatever the broker; None where there is no Redis."""
        return None if self.database_url and not self.redis_url else self.servers.redis_url
