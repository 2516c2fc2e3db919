"""`ops-approval demo`: the document's scenario on real servers, from a low float to a complete trail."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import redis
from rich.text import Text

from db import connect, read
from domain.messages import AnyBody, CastVote, ExecuteAction, Person, PersonGrant, SyncDirectory
from domain.proposal import Alert, Recommendation, RemediateAlert
from workers import definition_files
from workers.cli.console import COLOURS, REFUSED, UNAVAILABLE, AsJson, fail, out, print_json, when
from workers.cli.context import poll
from workers.cli.reading import event_json
from workers.producer import Producer
from workers.sandbox import Sandbox
from workers.settings import Settings
from workers.stack import StackError
from workers.supervisor import Stack, running

AGENT, ALERT = "agent-123", "alert-float-1"
AMOUNT = 1_000_000
_WAIT_SECONDS = 30


class DemoFailed(RuntimeError):
    """The scenario did not go as it must."""


def demo(*, as_json: AsJson = False) -> None:
    """Watch the main job happen: an alert, a recommendation, two votes, one effect, and the trail that tells it."""
    started = time.monotonic()
    if not as_json:
        out.print("Starting Postgres, Redis, a worker and a sandbox of Molam's services …", style="dim")
    try:
        with _installation() as (stack, sandbox, log):
            try:
                told = Scenario(stack, sandbox, Narrator(silent=as_json)).play()
            except DemoFailed:
                out.file.write(log.read_text()[-4000:])
                raise
    except StackError as error:
        fail(str(error), UNAVAILABLE)
    except DemoFailed as error:
        fail(f"{error} The end of the worker's log is above.", REFUSED)
    if as_json:
        print_json(told)
    else:
        out.print(f"\nDone in {time.monotonic() - started:.1f} s; everything was stopped and removed.", style="dim")
        out.print("Try it by hand: .venv/bin/ops-approval up --sandbox; the README goes on from there.", style="dim")


@contextmanager
def _installation() -> Iterator[tuple[Stack, Sandbox, Path]]:
    """Servers, worker, scheduler and Molam's services, for as long as the demo lasts, in a directory that goes after it."""
    directory = Path(tempfile.mkdtemp(prefix=f"ops-demo-{os.getpid()}-", dir="/tmp"))
    directory.chmod(0o711)
    log = directory / "worker.log"
    try:
        with Sandbox() as sandbox:
            services = dict.fromkeys(("float", "merchants", "payouts", "operations"), sandbox.url)
            settings = Settings(
                data=directory / "data", services=services, DATABASE_URL="", REDIS_URL="", BROKER_URL=""
            )
            with running(settings, log=log) as (stack, _):
                yield stack, sandbox, log
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Narrator:
    """Tells people what happens, step by step; says nothing when a program listens."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._step = 0

    def step(self, title: str, *lines: str) -> None:
        """The next step, with what there is to see."""
        self._step += 1
        if not self._silent:
            out.print(Text.assemble((f"\n{self._step}. ", "bold cyan"), (title, "bold")))
            for line in lines:
                out.print(f"   {line}")

    def trail(self, events: list[dict[str, Any]]) -> None:
        """The events of the trail, one a line."""
        if not self._silent:
            for event in events:
                style = COLOURS.get(event["event"], "")
                out.print("  ", event["at"][11:19], Text(f"{event['event']:<10}", style), event["actor"])


@dataclass
class Scenario:
    """The steps of the document's "Complete Integration Example", over real messages and real servers."""

    stack: Stack
    sandbox: Sandbox
    narrator: Narrator

    def play(self) -> dict[str, Any]:
        """Play it and give back what happened: action, trail, effects, receipts and alert."""
        with (
            connect.connect(self.stack.urls.database_url, "ops-approval demo", role=None) as self._conn,
            redis.Redis.from_url(self.stack.urls.redis_url) as self._client,
        ):
            self._introduce_company()
            action_id = self._propose()
            self._vote(action_id)
            self._execute(action_id)
            return self._look_back(action_id)

    def _say(self, issuer: str, body: AnyBody) -> dict[str, Any]:
        """Send a signed message through the queue and wait for its receipt."""
        ticket = Producer(self._client, self.stack.key(issuer)).send(body)
        receipt = poll(lambda: read.get_receipt(self._conn, ticket.content_sha256), _WAIT_SECONDS)
        if receipt is None:
            raise DemoFailed(f"No receipt for {type(body).__name__} after {_WAIT_SECONDS} s.")
        if receipt["outcome"] != "applied":
            raise DemoFailed(f"{type(body).__name__} was {receipt['outcome']}: {receipt['sentence']}")
        return receipt

    def _introduce_company(self) -> None:
        """The policy of the scenario and the people in it; everything after this is steps of the document."""
        policy = files("workers").joinpath("demo.yaml").read_text()
        definition_files.apply(self._conn, definition_files.parse(policy, "demo.yaml"), by="demo")
        roles = {"finance-user-1": "finance_ops", "finance-user-2": "finance_ops", "ops-admin-1": "ops_admin"}
        people = [Person(id=name, grants=(PersonGrant(role=role),)) for name, role in roles.items()]
        self._say("directory", SyncDirectory(snapshot=1, people=tuple(people)))

    def _propose(self) -> UUID:
        balance = httpx.get(f"{self.sandbox.url}/float/{AGENT}", trust_env=False).json()["balance"]
        alert = Alert(
            id=ALERT,
            alert_type="float_low",
            tenant_type="agent",
            tenant_id=AGENT,
            severity="critical",
            metric={"metric": "float_available", "value": balance, "threshold": AMOUNT},
        )
        self.narrator.step(
            f"An alert: the float of {AGENT} is low", f"{balance:,} XOF are left; {AMOUNT:,} is the threshold."
        )
        params: dict[str, Any] = {"adjustment": "top_up", "amount": AMOUNT}
        said = Recommendation(action="ADJUST_FLOAT", confidence=0.95, params=params)
        self.narrator.step(f"SIRA recommends {said.action}", f"top up {AMOUNT:,} XOF, confidence {said.confidence}")
        receipt = self._say("alerts", RemediateAlert(alert=alert, recommendation=said))
        self.narrator.step("A signed message brings both, and the alert gets its action", receipt["sentence"])
        action_id: UUID = receipt["action_id"]
        action = self._action(action_id)
        value = action["required_quorum"]["value"]
        self.narrator.step(
            f"A policy applies: {action['policy_name']}",
            f"{value['min_votes']} votes of {value['role']} must approve, before {when(action['expires_at'])} UTC",
        )
        return action_id

    def _vote(self, action_id: UUID) -> None:
        lines = []
        for person, comment in (("finance-user-1", "Reviewed float levels, approve top-up"), ("finance-user-2", None)):
            body = CastVote(
                action_id=action_id, voter_id=person, voter_roles=("finance_ops",), vote="approve", comment=comment
            )
            receipt = self._say("ops-tooling", body)
            lines.append(f"{person}: approve. {receipt['sentence']}")
        self.narrator.step("Two people of finance_ops vote", *lines)
        action = self._action(action_id)
        count = f"{action['votes_approve']} for, {action['votes_reject']} against"
        self.narrator.step(f"The action is {action['status']}", f"{count}; decided together with the last vote")

    def _execute(self, action_id: UUID) -> None:
        self._say("ops-tooling", ExecuteAction(action_id=action_id, executed_by="ops-admin-1"))
        ended = poll(lambda: self._ended(action_id), _WAIT_SECONDS)
        if ended is None or ended["status"] != "executed":
            raise DemoFailed(f"The action is {self._action(action_id)['status']} and not executed.")
        self.narrator.step("ops-admin-1 executes it", f"the worker calls the float service: {ended['status']}")
        result = ended["result"]
        self.narrator.step(
            "The float service has done it, once",
            f"{AGENT}: {result['balance_before']:,} → {result['balance_after']:,} {result['currency']};"
            f" effects in its ledger: {len(self.sandbox.effects())}",
        )

    def _ended(self, action_id: UUID) -> dict[str, Any] | None:
        action = self._action(action_id)
        return action if action["status"] not in {"approved", "executing"} else None

    def _look_back(self, action_id: UUID) -> dict[str, Any]:
        alert = read.get_alert(self._conn, ALERT)
        if alert is None or alert["status"] != "auto_remediated":
            raise DemoFailed("The action was executed, and the alert is not remediated.")
        self.narrator.step(f"The alert is {alert['status']}", f"by action {alert['remedied_by_action_id']}")
        events = [event_json(event) for event in read.get_audit_trail(self._conn, action_id)]
        self.narrator.step("The trail tells it all")
        self.narrator.trail(events)
        return {
            "action": self._action(action_id),
            "trail": events,
            "effects": self.sandbox.effects(),
            "receipts": read.get_receipts_of_action(self._conn, action_id),
            "alert": alert,
        }

    def _action(self, action_id: UUID) -> dict[str, Any]:
        action = read.get_action_with_votes(self._conn, action_id)
        if action is None:
            raise DemoFailed(f"There is no action {action_id}.")
        return action
