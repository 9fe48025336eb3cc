import { createHash, randomBytes } from 'node:crypto';
import { signSchnorr } from 'tiny-secp256k1';
import type { SignedEvent } from './clients.ts';

/** nostr-tools' finalizeEvent, an order of magnitude quicker: tests that send thousands of events need it. */
export function quickFinalize(
  template: { kind: number; tags: string[][]; content: string; created_at: number },
  secretKey: Uint8Array,
  pubkey: string,
): SignedEvent {
  const serialized = JSON.stringify([0, pubkey, template.created_at, template.kind, template.tags, template.content]);
  const id = createHash('sha256').update(serialized).digest();
  const sig = Buffer.from(signSchnorr(id, secretKey, randomBytes(32))).toString('hex');
  return { ...template, pubkey, id: id.toString('hex'), sig };
}
