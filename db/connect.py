"""Connections to Postgres: least privilege, one search path, UTC, and names that an operator recognises."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

Connection = psycopg.Connection[DictRow]
Pool = ConnectionPool[Connection]

WORKER = "ops_worker"
"""The role that every process of the engine takes on, whoever it logs in as; it cannot rewrite history."""

SCHEDULER = "ops-approval scheduler"
"""The name that schedulers connect by."""


def _parameters(application_name: str, role: str | None, session: Mapping[str, str]) -> dict[str, Any]:
    chosen = {"search_path": "ops_approval", "timezone": "UTC", **({"role": role} if role else {}), **session}
    options = " ".join(f"-c {name}={value}" for name, value in chosen.items())
    return {"application_name": application_name, "options": options, "connect_timeout": 5, "autocommit": True}


def connect(url: str, application_name: str, *, role: str | None = WORKER, **session: str) -> Connection:
    """One connection in autocommit mode with dict rows; `session` are settings of Postgres for its lifetime.

    `role` None keeps the login's own rights, as the owner of the schema needs them. Raises psycopg.OperationalError.
    """
    parameters = _parameters(application_name, role, session)
    return psycopg.connect(url, row_factory=dict_row, **parameters)


def pool(url: str, application_name: str, *, max_size: int) -> Pool:
    """A pool of worker connections that checks each before lending it, so that a restarted server is noticed.

    Opened by the caller (`open(wait=True)`), in the process that uses it: connections do not survive a fork.
    """
    return ConnectionPool(
        url,
        connection_class=Connection,
        kwargs={"row_factory": dict_row, **_parameters(application_name, WORKER, {})},
        min_size=1,
        max_size=max_size,
        check=ConnectionPool.check_connection,
        open=False,
    )
