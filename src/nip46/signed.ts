import type { Curve, PrivateKey } from '../curve/curve.ts';
import { eventId, type NostrEvent, signedEventJson } from './event.ts';
import { bytesToHex, hexToBytes } from './hex.ts';

/** Whether id and signature are the event's own (NIP-01): the id is computed anew, never believed. */
export function isGenuine(curve: Curve, event: NostrEvent): boolean {
  const id = eventId(event.pubkey, event.created_at, event.kind, event.tags, event.content);
  if (id !== event.id) return false;
  return curve.verify(hexToBytes(event.sig), hexToBytes(id), hexToBytes(event.pubkey));
}

/** An event that we signed, ready to be published. */
export type SignedEvent = {
  id: string;
  /** s */
  createdAt: number;
  /** As JSON. */
  raw: string;
};

/** Signs an event addressed to one other key, the form of everything that NIP-46 and the admin RPC send. */
export function signAddressed(
  key: PrivateKey,
  { kind, to, content, createdAt }: { kind: number; to: string; content: string; createdAt: number },
): SignedEvent {
  const pubkey = bytesToHex(key.publicKey);
  const tags = [['p', to]];
  const id = eventId(pubkey, createdAt, kind, tags, content);
  const sig = bytesToHex(key.sign(hexToBytes(id)));
  return { id, createdAt, raw: signedEventJson({ id, pubkey, created_at: createdAt, kind, tags, content, sig }) };
}
