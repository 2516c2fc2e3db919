"""What an installation says about itself, read from the environment."""

import re
from pathlib import Path
from typing import Annotated, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from redis.connection import parse_url

from domain import mistakes
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


def _a_base(url: HttpUrl) -> HttpUrl:
    if url.query or url.fragment or url.username or url.password:
        raise ValueError("write it without a login and what follows the path, to which each action type adds its own")
    return url


def _of_postgres(address: str) -> str:
    try:
        conninfo_to_dict(address)
    except psycopg.ProgrammingError:  # its text quotes the address, and with it a password
        raise ValueError("that is no address; write postgresql://user:password@host/database") from None
    return address


def _of_redis(address: str) -> str:
    try:
        parse_url(address or "redis://")  # type: ignore[no-untyped-call]  # redis leaves it untyped
    except ValueError:  # as above
        raise ValueError("that is no address; write redis://host:6379/0, rediss://… or unix:///path?db=0") from None
    return address


def _of_rabbitmq(address: str) -> str:
    if not re.fullmatch(r"(amqps?://.+)?", address):
        raise ValueError("that is no address; write amqp://user:password@host or amqps://…")
    return address


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

    database_url: Annotated[str, AfterValidator(_of_postgres), Field(validation_alias="DATABASE_URL")] = ""
    redis_url: Annotated[str, AfterValidator(_of_redis), Field(validation_alias="REDIS_URL")] = ""
    broker_url: Annotated[str, AfterValidator(_of_rabbitmq), Field(validation_alias="BROKER_URL")] = ""
    data: Path = Field(default_factory=stack.default_data_dir)
    audience: str = "ops-approval"
    ingest: bool = True
    services: dict[str, Annotated[HttpUrl, AfterValidator(_a_base)]] = {}
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


def of_process() -> Settings:
    """The settings of a process that a runner starts; ends it with a sentence where they cannot be read."""
    try:
        return Settings()
    except (SettingsError, ValidationError) as error:
        raise SystemExit(f"Error: {why_unusable(error)}") from None


def why_unusable(error: SettingsError | ValidationError) -> str:
    """What is wrong with the environment: a sentence that names the variable and quotes nothing of it."""
    if isinstance(error, SettingsError):
        field = re.findall(r'field "(\w+)"', str(error))[0]
        return f"{_variable(field)} is not JSON. docs/operations.md says what it holds."
    where, _, what = mistakes.told(error)[0].partition(": ")
    field, *inside = where.split(".", 1)
    return f"{' '.join([_variable(field), *inside])}: {what}."


def _variable(field: str) -> str:
    return field if field.isupper() else f"OPS_APPROVAL_{field.upper()}"
