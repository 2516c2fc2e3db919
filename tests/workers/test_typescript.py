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
from domain.body import Body
from domain.messages import BODIES, Person, PersonGrant, SyncDirectory, action_id, content_sha256
from domain.proposal import Alert, Recommendation
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
  await producer.remediateAlert({ alert, recommendation: siraRec });
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


PROPOSE = """
    import { createClient } from '@redis/client';
    import { Producer, readKey } from './dist/producer.js';
    const redis = createClient({ url: process.env.REDIS_URL });
    await redis.connect();
    const as = async (issuer) => new Producer(redis, await readKey(`${process.env.KEYS}/${issuer}.json`));
    const told = (ticket) => { console.log(JSON.stringify(ticket)); return ticket.actionId; };

    told(await (await as('directory')).syncDirectory({ snapshot: 2, people: [
        { id: 'ops-admin-1', name: 'Aïcha', grants: [{ role: 'ops_admin', starts_at: '2025-01-01T00:00:00Z' }] },
        { id: 'deputy', grants: [{ acts_for: 'ops-admin-1' }] },
    ] }));
    const agent = { tenant_type: 'agent', tenant_id: 'agent-123' };
    const alert = {
        id: 'alert-é', alert_type: 'float_low', ...agent, severity: 'critical',
        metric: { metric: 'float_available', value: 500000, threshold: 1000000 }
    };
    const params = { agent_id: 'agent-123', adjustment: 'top_up', amount: 1000000 };
    const alerts = await as('alerts');
    const recommendation = { action: 'ADJUST_FLOAT', confidence: 0.95, params, explanation: { model: 'sira-7' } };
    const remedy = told(await alerts.remediateAlert({ alert, recommendation }));
    told(await alerts.remediateAlert({ alert: { ...alert, id: 'alert-2', alert_type: 'of no rule' } }));
    told(await (await as('ops-tooling')).cancelAction(remedy, 'ops-admin-1', 'Déjà fait'));
    const said = { ...agent, recommendation_type: 'ADJUST_FLOAT', params, explanation: null };
    const sira = await as('sira');
    told(await sira.recommendAction({ id: 'rec-é', confidence: 0.95, ...said }));
    told(await sira.recommendAction({ id: 'rec-2', confidence: 0.5, ...said, priority: 'high' }));
    await redis.close();
"""


def test_alerts_recommendations_and_the_directory_are_taken_as_they_are_sent(
    built: Path, installation: Installation, tmp_path: Path
) -> None:
    for issuer, key in KEYS.items():
        key.write(tmp_path / f"{issuer}.json")
    url = installation.settings.redis_url
    sent = node(built, "--input-type=module", "--eval", PROPOSE, REDIS_URL=url, KEYS=str(tmp_path))
    installation.drain()
    hashes = [bytes.fromhex(ticket["contentSha256"]) for ticket in sent]
    receipts = [read.get_receipt(installation.owner, sha) or {} for sha in hashes]
    assert [receipt["outcome"] for receipt in receipts] == ["applied"] * 6
    remedy, followed = action_id("alerts", "alert-alert-é-remediation", ""), action_id("sira", "sira-rec-rec-é", "")
    assert [receipt["action_id"] for receipt in receipts] == [None, remedy, None, remedy, followed, None]
    assert [ticket.get("actionId") for ticket in sent] == [
        None,
        str(remedy),
        str(action_id("alerts", "alert-alert-2-remediation", "")),
        str(remedy),
        str(followed),
        str(action_id("sira", "sira-rec-rec-2", "")),
    ]
    assert installation.trail(remedy)[-1] == "cancelled"
    assert installation.scalar("select count(*) from grants where acts_for = 'ops-admin-1'") == 1


def test_a_directory_may_be_longer_than_other_messages_but_not_by_any_length(built: Path, tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    KEYS["directory"].write(key_file)
    program = """
        import { Producer, readKey } from './dist/producer.js';
        const away = { multi: () => { throw new Error('away'); } };
        const producer = new Producer(away, await readKey(process.env.KEY_FILE));
        for (const count of [1000, 30000]) {
            const people = Array.from({ length: count }, (_, number) => ({ id: `person-${number}`, name: 'of some length' }));
            await producer.syncDirectory({ snapshot: 1, people }).catch((error) => console.log(JSON.stringify(error.name)));
        }
    """
    assert node(built, "--input-type=module", "--eval", program, KEY_FILE=str(key_file)) == ["NotQueued", "RangeError"]


@pytest.mark.parametrize("body", [*BODIES.values(), Alert, Recommendation, Person, PersonGrant])
def test_the_types_have_the_fields_of_the_bodies(body: type[Body]) -> None:
    source = (EXAMPLES / "typescript" / "src" / "messages.ts").read_text()
    (interface,) = re.findall(rf"^export interface {body.__name__} {{\n(.*?)^}}$", source, re.DOTALL | re.MULTILINE)
    fields = {name: not optional for name, optional in re.findall(r"^  (\w+)(\??): ", interface, re.MULTILINE)}
    assert fields == {name: field.is_required() for name, field in body.model_fields.items()}
