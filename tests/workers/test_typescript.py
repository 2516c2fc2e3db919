"""The producer in TypeScript, built as its README says and run against the real engine."""

import json
import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from db import read
from domain.messages import CastVote, CreateAction, ExecuteAction, SyncDirectory, action_id, content_sha256
from tests.world import KEYS, Installation, wait_for
from workers.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"
NO_NETWORK = {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH"}

# The calls of the callers' own examples, with the objects as they stand there.
SPEC = """
import type { Producer } from './producer.js';
declare const alert: any, policy: any, siraRec: any, recommendation: any, req: any;

export async function calls(producer: Producer): Promise<void> {
  await producer.createOpsAction({
    idempotency_key: `alert-${alert.id}-remediation`,
    origin: 'alert',
    action_type: policy.auto_action.action_type,
    params: {
      ...policy.auto_action.params,
      alert_id: alert.id,
      sira_confidence: siraRec.confidence,
      sira_explanation: siraRec.explanation
    },
    target_tenant_type: alert.tenant_type,
    target_tenant_id: alert.tenant_id,
    auto_execute: !policy.require_multi_sig, // Auto-execute if no multi-sig required
    created_by: 'sira-system'
  });
  await producer.createOpsAction({
    idempotency_key: `sira-rec-${recommendation.id}`,
    origin: 'sira',
    action_type: recommendation.recommendation_type, // e.g., 'ROUTE_PAYOUT_OVERRIDE'
    params: {
      ...recommendation.params,
      sira_recommendation_id: recommendation.id,
      sira_confidence: recommendation.confidence,
      sira_explanation: recommendation.explanation
    },
    target_tenant_type: recommendation.tenant_type,
    target_tenant_id: recommendation.tenant_id,
    auto_execute: true, // Auto-execute if approved (low risk)
    created_by: 'sira-system'
  });
  const { actionId } = await producer.createOpsAction({
    origin: 'ops_ui',
    action_type: 'ADJUST_MERCHANT_FEE',
    params: {
      merchant_id: 'merchant-123',
      fee_percentage: 3.5,
      effective_date: '2025-02-01'
    },
    created_by: req.user.id
  });
  await producer.voteOnAction(actionId, 'finance-user-1', ['finance_ops'], 'approve', 'Reviewed float levels, approve top-up');
  await producer.voteOnAction(actionId, 'finance-user-2', ['finance_ops'], 'approve');
  await producer.executeAction(actionId, 'ops-admin-1');
}
"""

VECTORS = [
    ("sira", "alert-1-sira-rec"),
    ("sira", None),
    ("café", "gel-du-marchand-é"),
    ("café", "gel-du-marchand-e\u0301"),
    ("ops", "说明 🔒"),
    ("ops", '"quoted" \\ / \' <&> \x7f'),
    ("ops", "\x01\b\t\n\x0b\f\r\x1f"),
    ("ops", "\u2028\u2029\ufeff\u00a0"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed and built in a copy."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    copy = tmp_path_factory.mktemp("typescript") / "example"
    shutil.copytree(EXAMPLES / "typescript", copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (copy / "src" / "spec.ts").write_text(SPEC)
    installed = npm(copy, "ci", "--no-audit", "--no-fund", "--fetch-retries=1")
    if NO_NETWORK & set(re.findall(r"npm error code (\w+)", installed.stderr)):
        pytest.skip("npm reaches no package registry")
    assert installed.returncode == 0, installed.stderr
    compiled = npm(copy, "run", "build")
    assert compiled.returncode == 0, compiled.stdout
    return copy


def npm(directory: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["npm", *args], cwd=directory, capture_output=True, text=True, check=False)


def node(directory: Path, *args: str, given: str = "", **environment: str) -> list[Any]:
    """What a program prints, a line of JSON each."""
    done = subprocess.run(
        ["node", *args],
        cwd=directory,
        env=os.environ | environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_example_freezes_a_merchant_once_however_often_its_messages_come(
    built: Path, installation: Installation, sandbox: Sandbox, tmp_path: Path
) -> None:
    key_file, url, idempotency_key = tmp_path / "key.json", installation.settings.redis_url, "gel-é-说明-🔒"
    KEYS["ops-tooling"].write(key_file)
    people = json.loads((EXAMPLES / "directory.json").read_text()) | {"snapshot": 2}
    with installation.at_work(sandbox.url) as engine:
        assert engine.send("directory", SyncDirectory.model_validate(people))["outcome"] == "applied"
        tickets = node(built, "dist/example.js", str(key_file), idempotency_key, REDIS_URL=url)
        hashes = [bytes.fromhex(ticket["contentSha256"]) for ticket in tickets]
        receipts = [wait_for(partial(read.get_receipt, engine.owner, sha)) for sha in hashes]
        frozen = UUID(tickets[0]["actionId"])
        engine.wait_until(frozen, "executed")

        lines = "\n".join(map(json.dumps, tickets))
        assert node(built, "dist/example.js", str(key_file), "--resend", given=lines, REDIS_URL=url) == tickets
        wait_for(lambda: engine.queued() == 0)
        assert [read.get_receipt(engine.owner, sha) for sha in hashes] == receipts

    assert [(row["type"], row["outcome"]) for row in receipts] == [
        ("CreateAction", "applied"),
        ("CastVote", "applied"),
        ("CastVote", "applied"),
        ("ExecuteAction", "applied"),
    ]
    assert [row["jti"] for row in receipts] == [ticket["jti"] for ticket in tickets]
    assert hashes == [content_sha256(ticket["token"].encode()) for ticket in tickets]
    assert {UUID(ticket["actionId"]) for ticket in tickets} == {action_id("ops-tooling", idempotency_key, "")}
    assert installation.trail(frozen) == ["created", "voted", "voted", "approved", "executing", "executed"]
    assert installation.action(frozen)["votes"][0]["comment"] == "Vérifié ✓"
    assert [effect["replays"] for effect in sandbox.effects()] == [0]


def test_the_ids_of_actions_are_those_that_the_engine_computes(built: Path) -> None:
    program = """
        import { actionId } from './dist/producer.js';
        let given = '';
        for await (const chunk of process.stdin.setEncoding('utf8')) given += chunk;
        for (const [issuer, key] of JSON.parse(given)) console.log(JSON.stringify(actionId(issuer, key, 'j-é')));
    """
    found = node(built, "--input-type=module", "--eval", program, given=json.dumps(VECTORS))
    assert found == [str(action_id(issuer, key, "j-é")) for issuer, key in VECTORS]


def test_a_number_that_json_would_change_is_not_sent_and_what_redis_did_not_take_keeps_its_ticket(
    built: Path, tmp_path: Path
) -> None:
    key_file = tmp_path / "key.json"
    KEYS["ops-tooling"].write(key_file)
    program = """
        import { NotQueued, Producer, readKey } from './dist/producer.js';
        const away = { multi: () => { throw new Error('away'); } };
        const producer = new Producer(away, await readKey(process.env.KEY_FILE));
        for (const amount of [NaN, 2 ** 53, 5]) {
            const asked = { origin: 'ops_ui', action_type: 'X', params: { amount }, created_by: 'eve' };
            await producer.createOpsAction(asked).catch((error) => {
                console.log(JSON.stringify([error.name, error instanceof NotQueued && error.ticket.token.split('.').length]));
            });
        }
    """
    found = node(built, "--input-type=module", "--eval", program, KEY_FILE=str(key_file))
    assert found == [["RangeError", False], ["RangeError", False], ["NotQueued", 3]]


@pytest.mark.parametrize("body", [CreateAction, CastVote, ExecuteAction])
def test_the_types_have_the_fields_of_the_bodies(body: type[CreateAction | CastVote | ExecuteAction]) -> None:
    source = (EXAMPLES / "typescript" / "src" / "messages.ts").read_text()
    (interface,) = re.findall(rf"^export interface {body.__name__} {{\n(.*?)^}}$", source, re.DOTALL | re.MULTILINE)
    fields = {name: not optional for name, optional in re.findall(r"^  (\w+)(\??): ", interface, re.MULTILINE)}
    assert fields == {name: field.is_required() for name, field in body.model_fields.items()}
