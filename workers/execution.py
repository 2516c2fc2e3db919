"""Executing an approved action: commit an attempt, make the call outside every transaction, write down what it came to."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

import httpx
import psycopg
import structlog

from db import due
from domain.action_type import LEASE_MARGIN_SECONDS, ActionType
from domain.executing import LEASE_SECONDS, AttemptFinished, AttemptRenewed, AttemptStarted, OutcomeFound, Perform
from domain.internal_types import INTERNAL_TYPES
from domain.lifecycle import Status
from domain.messages import Outcome as MessageOutcome
from domain.outcome import Outcome, Retry, Unknown
from workers.apply import Applier
from workers.handlers import Call, Handler
from workers.handlers.asking import ask
from workers.handlers.http import HttpHandler
from workers.handlers.installed import InstalledHandler
from workers.handlers.signing import Signer

_log = structlog.get_logger(__name__)

RENEW_SECONDS = LEASE_SECONDS / 3

WORKER = f"{socket.gethostname()}:{os.getpid()}"


@dataclass
class Executor:
    """Executes actions at the services of an installation: `services` maps the names in action types to base URLs.

    `signers` sign the calls of those services with which a secret is shared.
    """

    applier: Applier
    services: Mapping[str, str]
    client: httpx.Client
    signers: Mapping[str, Signer] = field(default_factory=dict)

    def execute(self, action_id: UUID) -> Status | None:
        """Make one attempt at an action, if it is its turn; the action's status after it, or None if it was not.

        Whoever calls this, how often and from how many places at once: one attempt holds the lease, and only it calls.
        """
        began = time.monotonic()  # goes on while a process is stopped: one that wakes too late must not call any more
        with self.applier.connections() as conn:
            token = due.draw_token(conn)
        started = self.applier.apply([AttemptStarted(action_id, token, WORKER)])
        if started.receipts[0].outcome is not MessageOutcome.APPLIED:
            return None
        action = started.actions[action_id]
        if action.action_type in INTERNAL_TYPES:
            return self._write_down(Perform(action_id, token))
        action_type = self.applier.loader.definitions.action_type(action.action_type, action.action_type_version)
        asking = action.status is Status.OUTCOME_UNKNOWN
        call = Call(
            action_id=action_id,
            action_type=action.action_type,
            params=action.params,
            idempotency_key=str(action_id),
            token=action.last_token,
            timeout_seconds=action_type.timeout_seconds - (0 if asking else time.monotonic() - began),
        )
        if asking:
            outcome = self._ask(action_type, call)
            status = self._write_down(OutcomeFound(action_id, call.token, outcome))
        else:
            with self._renewing(action_type, call):
                outcome = self._call(action_type, call)
            status = self._write_down(AttemptFinished(action_id, token, outcome))
        what = "asked" if asking else "attempt"
        _log.info(what, action_id=str(action_id), token=call.token, outcome=type(outcome).__name__, status=status)
        return status

    def _ask(self, action_type: ActionType, call: Call) -> Outcome:
        try:
            asking = self._asking(action_type)
        except ValueError as error:
            return Unknown(str(error))
        return self._trying(call, asking)

    def _asking(self, action_type: ActionType) -> Callable[[Call], Outcome]:
        if action_type.handler is not None:
            return InstalledHandler(action_type.handler).ask
        url, signer = self._url(action_type, action_type.query_path), self.signers.get(action_type.service or "")
        return lambda call: ask(url, self.client, call, signer)

    @staticmethod
    def _trying(call: Call, handling: Callable[[Call], Outcome]) -> Outcome:
        """What a handler says; whatever else it does, its outcome is unknown and is written down."""
        try:
            return handling(call)
        except BaseException as error:  # noqa: BLE001 - as above
            _log.exception("handler_failed", action_id=str(call.action_id), error=type(error).__name__)
            return Unknown(f"The handler failed with {type(error).__name__}.")

    def _url(self, action_type: ActionType, path: str | None) -> str:
        """Where a service is called; raises ValueError, saying what to do, where it has no address."""
        base_url = self.services.get(action_type.service or "")
        if base_url is None or path is None:
            raise ValueError(f"Service {action_type.service!r} has no address: add it to OPS_APPROVAL_SERVICES.")
        return base_url.rstrip("/") + path

    def _handler(self, action_type: ActionType) -> Handler:
        if action_type.handler is not None:
            return InstalledHandler(action_type.handler)
        url = self._url(action_type, action_type.path)
        try:
            return HttpHandler(url, self.client, self.signers.get(action_type.service or ""))
        except ValueError as error:
            raise ValueError(f"The address of service {action_type.service!r} cannot be used: {error}") from None

    @contextmanager
    def _renewing(self, action_type: ActionType, call: Call) -> Iterator[None]:
        """Keep the lease while a call lasts that is longer than a lease."""
        if action_type.timeout_seconds + LEASE_MARGIN_SECONDS <= LEASE_SECONDS:
            yield
            return
        done = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(call, done), daemon=True)
        renewal.start()
        try:
            yield
        finally:
            done.set()
            renewal.join()

    def _renew(self, call: Call, done: threading.Event) -> None:
        while not done.wait(RENEW_SECONDS):
            try:
                (receipt,) = self.applier.apply([AttemptRenewed(call.action_id, call.token)]).receipts
            except psycopg.Error as error:
                _log.warning("lease_not_renewed", action_id=str(call.action_id), error=type(error).__name__)
            else:
                if receipt.outcome is not MessageOutcome.APPLIED:
                    return  # somebody has concluded from our silence

    def _call(self, action_type: ActionType, call: Call) -> Outcome:
        began = time.monotonic()
        try:
            handler = self._handler(action_type)
        except ValueError as error:
            return Retry(str(error))
        loading = time.monotonic() - began  # which code that is loaded for the first time takes of the call's time
        return self._trying(replace(call, timeout_seconds=call.timeout_seconds - loading), handler.call)

    def _write_down(self, finished: AttemptFinished | OutcomeFound | Perform) -> Status | None:
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
