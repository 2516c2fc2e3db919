"""`make test-servers`: the tests on each PostgreSQL and each Redis or Valkey that is installed, and on the embedded pair.

Each server is in one run at least. Arguments go to pytest.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from xml.etree import ElementTree as ET

from db.schema import OLDEST_SERVER

# What the project says it runs on, and the package that has it.
PROMISED = {
    "PostgreSQL 15": "postgresql-15",
    "PostgreSQL 18": "postgresql-18",
    "Redis 7": "redis-server",
    "Valkey": "valkey-server",
    "RabbitMQ": "rabbitmq-server",
}


@dataclass(frozen=True)
class Run:
    """What became of one run of the tests."""

    passed: int
    not_passed: dict[str, int]
    seconds: float
    servers: list[str]
    failed: bool

    def line(self) -> str:
        """Its line of the matrix."""
        servers = "".join(f"{name:<20}" for name in self.servers) or f"{'no server started':<20}"
        counts = ", ".join([f"{self.passed} passed", *(f"{n} {what}" for what, n in self.not_passed.items() if n)])
        return f"  {'FAILED' if self.failed else 'ok':<8}{servers}{counts}, {self.seconds:.0f} s"


def installed_postgres() -> list[Path]:
    """The directories of PostgreSQL's programs that are new enough, the oldest first."""
    on_path = [Path(found).resolve().parent] if (found := shutil.which("postgres")) else []
    directories = {path.resolve() for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()}
    versions = {path: _major(path) for path in directories.union(on_path)}
    return sorted(
        (path for path, major in versions.items() if major >= OLDEST_SERVER // 10_000), key=versions.__getitem__
    )


def _major(directory: Path) -> int:
    said = subprocess.run([directory / "postgres", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    return int(said.split()[2].partition(".")[0])


def installed_redis() -> list[Path]:
    """The servers on the PATH; as links, because redis-server does what its name says."""
    return [Path(found) for name in ("redis-server", "valkey-server") if (found := shutil.which(name))]


def run(postgres: Path | None, redis: Path | None, arguments: list[str]) -> Run:
    """Run the tests on these servers, None for the embedded ones."""
    print(f"\nPostgreSQL: {postgres or 'embedded'}, Redis or Valkey: {redis or 'embedded'}", flush=True)
    env = {name: value for name, value in os.environ.items() if name not in {"TEST_POSTGRES_BIN", "TEST_REDIS_SERVER"}}
    if postgres:
        env["TEST_POSTGRES_BIN"] = str(postgres)
    if redis:
        env["TEST_REDIS_SERVER"] = str(redis)
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.xml")
        command = [sys.executable, "-m", "pytest", "-rs", f"--junitxml={report}", *arguments]
        status = subprocess.run(command, env=env, check=False).returncode  # noqa: S603
        suite = ET.parse(report).find("testsuite") if report.exists() else None  # noqa: S314 - pytest wrote it
    return _told(suite if suite is not None else ET.Element("testsuite"), failed=status != 0)


def _told(suite: ET.Element, *, failed: bool) -> Run:
    not_passed = {what: int(suite.get(what, 0)) for what in ("failures", "errors", "skipped")}
    properties = {entry.get("name"): entry.get("value", "") for entry in suite.iter("property")}
    return Run(
        passed=int(suite.get("tests", 0)) - sum(not_passed.values()),
        not_passed=not_passed,
        seconds=float(suite.get("time", 0)),
        servers=[properties[kind] for kind in ("postgres", "redis", "rabbitmq") if kind in properties],
        failed=failed,
    )


def matrix(runs: list[Run]) -> list[str]:
    """One line for each run, and one for each promised server that no run had."""
    ran = [server for one in runs for server in one.servers]
    missing = [name for name in PROMISED if not any(server.startswith((f"{name}.", f"{name} ")) for server in ran)]
    return [one.line() for one in runs] + [
        f"  not run {name} (if it is not installed: `apt-get install {PROMISED[name]}`, or bring it onto the PATH)"
        for name in missing
    ]


def main(arguments: list[str]) -> int:
    """Run them all, print the matrix, and return 1 if one failed."""
    pairs = [(None, None), *zip_longest(installed_postgres(), installed_redis())]
    runs = [run(postgres, redis, arguments) for postgres, redis in pairs]
    print("", "The tests, and what the servers said they are:", *matrix(runs), sep="\n")
    return int(any(one.failed for one in runs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
