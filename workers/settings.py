"""What an installation says about itself, read from the environment."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.limits import Limits
from domain.proposal import RECOMMENDATION_THRESHOLD
from domain.remediation import Threshold
from workers import stack
from workers.handlers.signing import Signer


def _a_secret(value: SecretStr) -> SecretStr:
    Signer(value.get_secret_value())
    return value


def _unless_empty(value: Any) -> Any:
    return None if value == "" else value


def _without_login(url: HttpUrl | None) -> HttpUrl | None:
    if url is not None and (url.username or url.password):
        raise ValueError("give the key as SIRA_API_KEY; addresses appear in logs")
    return url


class Settings(BaseSettings):
    """The environment of a process.

    `DATABASE_URL` and `REDIS_URL` name the servers; without them it is the embedded ones that `ops-approval up` runs on
    the data directory. `BROKER_URL`, amqp://…, puts the queues at RabbitMQ instead of Redis. `OPS_APPROVAL_SERVICES` is a JSON object
    of service names (as action types use them) and base URLs, and `OPS_APPROVAL_SERVICE_SECRETS` one of the secrets that are
    shared with them, by which calls are signed. `OPS_APPROVAL_AUDIENCE` is the name under which messages
    address this installation. `OPS_APPROVAL_LIMITS` is a JSON object of how much one person, or the machines of an issuer,
    may do in an hour (see `domain.limits.Limits`). `OPS_APPROVAL_INGEST=false` leaves the queue `messages` to the stock actor.
    `OPS_APPROVAL_ESCALATE_EVERY_SECONDS` and `OPS_APPROVAL_AUTO_EXECUTE_EVERY_SECONDS` are the periods of the two periodic
    actors, beside the sweep that acts within a second anyway. `SIRA_URL` and `SIRA_API_KEY` say where SIRA is asked about
    alerts that come without a recommendation; `OPS_APPROVAL_RECOMMENDATION_THRESHOLD` how sure it must be, from 0 to 1, for
    a recommendation to lead to an action by itself.
    """

    model_config = SettingsConfigDict(env_prefix="OPS_APPROVAL_", extra="ignore", hide_input_in_errors=True)

    database_url: Annotated[str, Field(validation_alias="DATABASE_URL")] = ""
    redis_url: Annotated[str, Field(validation_alias="REDIS_URL")] = ""
    broker_url: Annotated[str, Field(validation_alias="BROKER_URL", pattern=r"^(amqps?://.+)?$")] = ""
    data: Path = Field(default_factory=stack.default_data_dir)
    audience: str = "ops-approval"
    ingest: bool = True
    services: dict[str, HttpUrl] = {}
    service_secrets: dict[str, Annotated[SecretStr, AfterValidator(_a_secret)]] = {}
    limits: Limits = Limits()
    escalate_every_seconds: Annotated[int, Field(ge=1)] = 600
    auto_execute_every_seconds: Annotated[int, Field(ge=1)] = 120
    sira_url: Annotated[
        HttpUrl | None,
        BeforeValidator(_unless_empty),
        AfterValidator(_without_login),
        Field(validation_alias="SIRA_URL"),
    ] = None
    sira_api_key: Annotated[SecretStr | None, Field(validation_alias="SIRA_API_KEY")] = None
    recommendation_threshold: Threshold = RECOMMENDATION_THRESHOLD

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
