/** Sends signed messages to the Ops Approval Engine: sign, put into the queue, and know at once what to ask for later. */

import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import type { RedisClientType } from '@redis/client';
import { CompactSign, type CryptoKey, importJWK, type JWK } from 'jose';

import { actionId } from './action-id.js';
import type { Body, Choice, CreateAction, RecommendAction, RemediateAlert, SyncDirectory } from './messages.js';

export { actionId };
export type * from './messages.js';

const LIFETIME_SECONDS = 7 * 86_400;
const MAX_BYTES = 32 * 1024;
const MAX_SNAPSHOT_BYTES = 1024 * 1024;

/** The private half of an issuer's key. */
export interface SigningKey {
  kid: string;
  issuer: string;
  key: CryptoKey;
}

/** The key in a file of `ops-approval keys create`. */
export async function readKey(path: string): Promise<SigningKey> {
  const { kid, issuer, jwk } = JSON.parse(await readFile(path, 'utf8')) as { kid: string; issuer: string; jwk: JWK };
  return { kid, issuer, key: (await importJWK(jwk, 'Ed25519')) as CryptoKey };
}

/** What to keep of a message: its identity, the SHA-256 (hex) that its receipt is found by, and its token for resending. */
export interface Ticket {
  jti: string;
  contentSha256: string;
  actionId?: string;
  token: string;
}

/** That of a message that concerns an action, or may lead to one. */
export interface ActionTicket extends Ticket {
  actionId: string;
}

/** Redis did not say that it has the message, though it may have it. Resend the ticket: nothing is applied twice. */
export class NotQueued extends Error {
  constructor(
    readonly ticket: Ticket,
    cause: unknown,
  ) {
    super('Redis did not confirm the message; resend its ticket.', { cause });
    this.name = 'NotQueued';
  }
}

/**
 * Signs with one key and enqueues on one Redis client. Whether a message is applied, its receipt says; a method that
 * returns has only queued it. Each throws NotQueued when Redis does not confirm.
 */
export class Producer {
  readonly #redis: RedisClientType;
  readonly #key: SigningKey;
  readonly #audience: string;

  constructor(redis: RedisClientType, key: SigningKey, audience = 'ops-approval') {
    this.#redis = redis;
    this.#key = key;
    this.#audience = audience;
  }

  /** Ask for an operation. The id of its action is known at once, and is the same for the same idempotency key. */
  async createOpsAction(action: CreateAction): Promise<ActionTicket> {
    const jti = randomUUID();
    return this.#send('CreateAction', action, { actionId: actionId(this.#key.issuer, action.idempotency_key, jti) }, jti);
  }

  /** Vote for a person; `voterRoles` is a claim that the engine's directory must bear out. */
  async voteOnAction(
    actionId: string,
    voterId: string,
    voterRoles: string[],
    vote: Choice,
    comment?: string,
  ): Promise<ActionTicket> {
    const cast_at = new Date().toISOString();
    const body = { action_id: actionId, voter_id: voterId, voter_roles: voterRoles, vote, comment, cast_at };
    return this.#send('CastVote', body, { actionId });
  }

  /** Have an approved action executed; refused while it is not approved. */
  async executeAction(actionId: string, executedBy: string): Promise<ActionTicket> {
    return this.#send('ExecuteAction', { action_id: actionId, executed_by: executedBy }, { actionId });
  }

  /** Take an action back; refused once its execution has begun. */
  async cancelAction(actionId: string, cancelledBy: string, reason?: string): Promise<ActionTicket> {
    return this.#send('CancelAction', { action_id: actionId, cancelled_by: cancelledBy, reason }, { actionId });
  }

  /** Have an alert remedied by the rule of its type. The ticket names the action that it may lead to. */
  async remediateAlert(body: RemediateAlert): Promise<ActionTicket> {
    return this.#send('RemediateAlert', body, this.#mayLeadTo(`alert-${body.alert.id}-remediation`));
  }

  /** Recommend an action: created if SIRA is sure enough, else for a person to apply. */
  async recommendAction(body: RecommendAction): Promise<ActionTicket> {
    return this.#send('RecommendAction', body, this.#mayLeadTo(`sira-rec-${body.id}`));
  }

  /** Tell who works here and holds which roles: the whole directory, each time. */
  async syncDirectory(body: SyncDirectory): Promise<Ticket> {
    return this.#send('SyncDirectory', body, {});
  }

  /** Put a message into the queue again; however often it arrives, it is applied once. */
  async resend(ticket: Ticket): Promise<void> {
    const id = randomUUID();
    const entry = {
      queue_name: 'messages',
      actor_name: 'receive',
      args: [ticket.token],
      kwargs: {},
      options: { redis_message_id: id },
      message_id: id,
      message_timestamp: Date.now(),
    };
    try {
      await this.#redis
        .multi()
        .hSet('dramatiq:messages.msgs', id, JSON.stringify(entry))
        .rPush('dramatiq:messages', id)
        .exec();
    } catch (error) {
      throw new NotQueued(ticket, error);
    }
  }

  #mayLeadTo(idempotencyKey: string): { actionId: string } {
    return { actionId: actionId(this.#key.issuer, idempotencyKey, '') };
  }

  async #send<About extends object>(
    type: string,
    body: Body,
    about: About,
    jti: string = randomUUID(),
  ): Promise<Ticket & About> {
    const token = await this.#sign(type, body, jti);
    const contentSha256 = createHash('sha256').update(token).digest('hex');
    const ticket = { jti, contentSha256, ...about, token };
    await this.resend(ticket);
    return ticket;
  }

  async #sign(type: string, body: Body, jti: string): Promise<string> {
    const iat = Math.ceil(Date.now() / 1000); // rounded up: no vote may be cast after its message was issued
    const exp = iat + LIFETIME_SECONDS;
    const payload = { v: 1, type, iss: this.#key.issuer, aud: this.#audience, jti, iat, exp, body };
    const token = await new CompactSign(new TextEncoder().encode(JSON.stringify(payload, refuseInexact)))
      .setProtectedHeader({ alg: 'Ed25519', kid: this.#key.kid, typ: 'ops-approval+jws' })
      .sign(this.#key.key);
    const most = type === 'SyncDirectory' ? MAX_SNAPSHOT_BYTES : MAX_BYTES;
    if (token.length > most) {
      throw new RangeError(`The message is ${token.length} bytes long; at most ${most} are taken.`);
    }
    return token;
  }
}

/** JSON.stringify would write NaN as null, and an integer beyond 2^53 rounded: an amount must never change on the way. */
function refuseInexact(name: string, value: unknown): unknown {
  if (typeof value === 'number' && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`${name} is ${value}, which JSON cannot carry exactly.`);
  }
  return value;
}
