import type { Curve, PrivateKey } from '../curve/curve.ts';
import { eventId, type NostrEvent, signedEventJson } from './event.ts';
import { bytesToHex } from './hex.ts';

/** Where public bytes lie while the curve looks at them; kept, since a request needs five of them. */
const desk = Buffer.from(new ArrayBuffer(128));
const idBytes = desk.subarray(0, 32);
const pubkeyBytes = desk.subarray(32, 64);
const signatureBytes = desk.subarray(64, 128);

/** Whether id and signature are the event's own (NIP-01): the id is computed anew, never believed. */
export function isGenuine(curve: Curve, event: NostrEvent): boolean {
  const id = eventId(event.pubkey, event.created_at, event.kind, event.tags, event.content);
  if (id !== event.id) return false;
  idBytes.write(id, 'hex');
  pubkeyBytes.write(event.pubkey, 'hex');
  signatureBytes.write(event.sig, 'hex');
  return curve.verify(signatureBytes, idBytes, pubkeyBytes);
}

/** The signature of an event with this id (64 hex digits), in hex. */
export function signId(key: PrivateKey, id: string): string {
  idBytes.write(id, 'hex');
  return bytesToHex(key.sign(idBytes));
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
  const sig = signId(key, id);
  return { id, createdAt, raw: signedEventJson({ id, pubkey, created_at: createdAt, kind, tags, content, sig }) };
}
