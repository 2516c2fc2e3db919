"""What `make test-servers` tells at its end."""

import pytest

from tools import server_matrix
from tools.server_matrix import Run


def made(*servers: str, failures: int = 0) -> Run:
    return Run(1282, {"failures": failures, "errors": 0, "skipped": 1}, 180.2, list(servers), failed=bool(failures))


def test_each_run_is_told_with_its_servers_and_its_counts() -> None:
    (line, *_) = server_matrix.matrix([made("PostgreSQL 15.18", "Redis 7.0.15", failures=2)])
    assert line.split(maxsplit=5) == [
        "FAILED", "PostgreSQL", "15.18", "Redis", "7.0.15", "1282 passed, 2 failures, 1 skipped, 180 s",
    ]  # fmt: skip


def test_a_promised_server_that_no_run_had_is_told_as_not_run() -> None:
    runs = [made("PostgreSQL 18.6", "Valkey 9.1.2"), made("PostgreSQL 15.18", "Redis 70.1")]
    told = [line for line in server_matrix.matrix(runs) if "not run" in line]
    assert [line.split("(")[0].strip() for line in told] == ["not run Redis 7", "not run RabbitMQ"]
    assert "apt-get install redis-server" in told[0]


@pytest.mark.parametrize(("failures", "status"), [(0, 0), (1, 1)])
def test_one_failed_run_fails_the_command(monkeypatch: pytest.MonkeyPatch, failures: int, status: int) -> None:
    runs = iter([made("PostgreSQL 18.6"), made("PostgreSQL 15.18", failures=failures), made("PostgreSQL 16.4")])
    monkeypatch.setattr(server_matrix, "installed_postgres", lambda: ["15", "16"])
    monkeypatch.setattr(server_matrix, "installed_redis", lambda: ["redis-server"])
    monkeypatch.setattr(server_matrix, "run", lambda *_: next(runs))
    assert server_matrix.main([]) == status
    assert next(runs, None) is None
