"""Executing an approved action: commit an attempt, make the call outside every transaction, write down what it came to."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import httpx
import psycopg
import structlog

from db import due
from domain.action_type import ActionType
from domain.executing import LEASE_MARGIN_SECONDS, AttemptFinished, AttemptStarted
from domain.lifecycle import Status
from domain.messages import Outcome as MessageOutcome
from domain.outcome import Outcome, Retry, Unknown
from workers.apply import Applier
from workers.handlers import Call, Handler
from workers.handlers.http import HttpHandler

_log = structlog.get_logger(__name__)

WORKER = f"{socket.gethostname()}:{os.getpid()}"


@dataclass
class Executor:
    """Executes actions at the services of an installation: `services` maps the names in action types to base URLs."""

    applier: Applier
    services: Mapping[str, str]
    client: httpx.Client

    def execute(self, action_id: UUID) -> Status | None:
        """Make one attempt at an action, if it is its turn; the action's status after it, or None if it was not.

        Whoever calls this, how often and from how many places at once: one attempt holds the lease, and only it calls.
        """
        with self.applier.connections() as conn:
            token = due.draw_token(conn)
        started = self.applier.apply([AttemptStarted(action_id, token, WORKER)])
        if started.receipts[0].outcome is not MessageOutcome.APPLIED:
            return None
        action = started.actions[action_id]
        action_type = self.applier.loader.definitions.action_type(action.action_type, action.action_type_version)
        call = Call(
            action_id=action_id,
            action_type=action.action_type,
            params=action.params,
            idempotency_key=str(action_id),
            token=token,
            timeout_seconds=action_type.timeout_seconds,
        )
        outcome = self._call(action_type, call)
        status = self._write_down(AttemptFinished(action_id, token, outcome))
        _log.info("attempt", action_id=str(action_id), token=token, outcome=type(outcome).__name__, status=status)
        return status

    def _call(self, action_type: ActionType, call: Call) -> Outcome:
        base_url = self.services.get(action_type.service)
        if base_url is None:
            return Retry(f"Service {action_type.service!r} has no address: add it to OPS_APPROVAL_SERVICES.")
        try:
            handler: Handler = HttpHandler(base_url.rstrip("/") + action_type.path, self.client)
        except ValueError as error:
            return Retry(f"The address of service {action_type.service!r} cannot be used: {error}")
        try:
            return handler.call(call)
        except Exception as error:  # noqa: BLE001 - whatever a handler does, its outcome is unknown and is written down
            _log.exception("handler_failed", action_id=str(call.action_id), error=type(error).__name__)
            return Unknown(f"The handler failed with {type(error).__name__}.")

    def _write_down(self, finished: AttemptFinished) -> Status | None:
        """Keep trying while the lease may still be ours: what is not written down becomes an unknown outcome."""
        give_up_at = time.monotonic() + LEASE_MARGIN_SECONDS
        while True:
            try:
                applied = self.applier.apply([finished])
            except psycopg.Error:
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(0.2)
            else:
                return applied.actions[finished.action_id].status if finished.action_id in applied.actions else None
