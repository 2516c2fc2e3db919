import { createHash } from 'node:crypto';

const NAMESPACE = Buffer.from('3f0a4b5e8a675b8e9a550d8c0c6f2b11', 'hex');

/** The id of the action that a CreateAction makes: UUIDv5 over the JSON `[issuer, "key" | "jti", value]`. */
export function actionId(issuer: string, idempotencyKey: string | null | undefined, jti: string): string {
  const source = idempotencyKey == null ? ['jti', jti] : ['key', idempotencyKey];
  const name = JSON.stringify([issuer, ...source]);
  const bytes = createHash('sha1').update(NAMESPACE).update(name, 'utf8').digest();
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6); // version 5
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8); // variant of RFC 9562
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
