/**
 * A frozen merchant, from asking to executing, by the people of examples/directory.json.
 *
 *   node dist/example.js KEY_FILE [IDEMPOTENCY_KEY]        sends four messages, prints a ticket for each as a line of JSON
 *   node dist/example.js KEY_FILE --resend < TICKETS       sends the messages of such lines again
 */

import { createInterface } from 'node:readline';

import { createClient } from '@redis/client';

import { NotQueued, Producer, readKey, type Ticket } from './producer.js';

async function* freezeMerchant(producer: Producer, idempotencyKey: string): AsyncGenerator<Ticket> {
  const action = await producer.createOpsAction({
    idempotency_key: idempotencyKey,
    origin: 'ops_ui',
    action_type: 'FREEZE_MERCHANT',
    params: { merchant_id: 'merchant-123', reason: 'chargeback_rate', alert_id: 'alert-1' },
    target_tenant_type: 'merchant',
    target_tenant_id: 'merchant-123',
    created_by: 'eve',
  });
  yield action;
  yield await producer.voteOnAction(action.actionId, 'ana', ['pay_admin'], 'approve', 'Vérifié ✓');
  yield await producer.voteOnAction(action.actionId, 'bob', ['pay_admin'], 'approve');
  yield await producer.executeAction(action.actionId, 'eve');
}

async function* resend(producer: Producer): AsyncGenerator<Ticket> {
  for await (const line of createInterface({ input: process.stdin })) {
    const ticket = JSON.parse(line) as Ticket;
    await producer.resend(ticket);
    yield ticket;
  }
}

const [keyFile, what] = process.argv.slice(2);
if (keyFile === undefined) {
  console.error('Say which key signs: node dist/example.js KEY_FILE [IDEMPOTENCY_KEY | --resend]');
  process.exit(2);
}
const redis = createClient({
  url: process.env['REDIS_URL'] ?? 'redis://localhost:6379',
  disableOfflineQueue: true, // an error now, rather than a message that waits in memory for Redis to come back
  socket: { reconnectStrategy: false },
});
redis.on('error', () => {}); // whoever waits for an answer is told
try {
  await redis.connect();
  const producer = new Producer(redis, await readKey(keyFile), process.env['OPS_APPROVAL_AUDIENCE']);
  const sent = what === '--resend' ? resend(producer) : freezeMerchant(producer, what ?? `example-${Date.now()}`);
  for await (const ticket of sent) console.log(JSON.stringify(ticket));
} catch (error) {
  console.error(`Error: ${error instanceof Error ? error.message : error}`);
  if (error instanceof NotQueued) console.log(JSON.stringify(error.ticket));
  process.exitCode = 1;
} finally {
  if (redis.isOpen) await redis.close();
}
