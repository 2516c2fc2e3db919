"""Servers that the machine has, for the tests to run on in place of the embedded ones."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import psycopg
import redis

from workers.stack import Urls
from workers.stack.postgres import SETTINGS, Postgres
from workers.stack.valkey import Valkey


class InstalledPostgres(Postgres):
    """A PostgreSQL 15 or newer whose programs are in `directory`."""

    # What came after PostgreSQL 15: the setting io_method, and a locale of PostgreSQL's own.
    settings: ClassVar[Mapping[str, str]] = {name: value for name, value in SETTINGS.items() if name != "io_method"}
    locale = ("--locale=C.UTF-8",)

    def __init__(self, data_dir: Path, *, durable: bool, directory: Path) -> None:
        super().__init__(data_dir, durable=durable)
        self._directory = directory

    def programs(self) -> Path:
        return self._directory

    def version(self) -> str:
        said = subprocess.run([self._directory / "postgres", "--version"], capture_output=True, text=True, check=True)
        return said.stdout.split()[2]


class InstalledRedis(Valkey):
    """A redis-server or a valkey-server, given by its path."""

    def __init__(self, data_dir: Path, *, durable: bool, path: Path) -> None:
        super().__init__(data_dir, durable=durable)
        self._directory, self.program = path.parent, path.name

    def programs(self) -> Path:
        return self._directory


def versions(urls: Urls) -> dict[str, str]:
    """What running servers say they are: their kind and its name with the version."""
    with psycopg.connect(urls.database_url) as conn:
        postgres = f"PostgreSQL {conn.info.parameter_status('server_version')}".split(" (", maxsplit=1)[0]
    with redis.Redis.from_url(urls.redis_url) as client:
        info = client.info("server")
    valkey = info.get("valkey_version")
    return {"postgres": postgres, "redis": f"Valkey {valkey}" if valkey else f"Redis {info['redis_version']}"}
