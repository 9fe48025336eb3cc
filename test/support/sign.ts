import { createHash, randomBytes } from 'node:crypto';
import { signSchnorr, verifySchnorr } from 'tiny-secp256k1';
import type { SignedEvent } from './clients.ts';

/** nostr-tools' finalizeEvent, an order of magnitude quicker: tests that send thousands of events need it. */
export function quickFinalize(
  template: { kind: number; tags: string[][]; content: string; created_at: number },
  secretKey: Uint8Array,
  pubkey: string,
): SignedEvent {
  const id = hashOf({ ...template, pubkey });
  const sig = Buffer.from(signSchnorr(id, secretKey, randomBytes(32))).toString('hex');
  return { ...template, pubkey, id: id.toString('hex'), sig };
}

/** nostr-tools' verifyEvent, as much quicker. */
export function quickVerify(event: SignedEvent): boolean {
  const id = hashOf(event);
  if (id.toString('hex') !== event.id) return false;
  return verifySchnorr(id, Buffer.from(event.pubkey, 'hex'), Buffer.from(event.sig, 'hex'));
}

/** Whose hex is the event's id (NIP-01). */
export function hashOf({ pubkey, created_at, kind, tags, content }: Omit<SignedEvent, 'id' | 'sig'>): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([0, pubkey, created_at, kind, tags, content]))
    .digest();
}
