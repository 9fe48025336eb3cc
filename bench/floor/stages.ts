import { randomBytes } from 'node:crypto';
import { asSecret, type Secret, wipe } from '../../src/actor/protocol.ts';
import type { CurveName } from '../../src/curve/curve.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { checkTemplate, eventId, parseEvent, signedEventJson } from '../../src/nip46/event.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';
import { KeyedHash } from '../../src/nip46/keyed-hash.ts';
import { Conversation } from '../../src/nip46/nip44.ts';
import { parseRequest, successResponse } from '../../src/nip46/request.ts';
import { signAddressed } from '../../src/nip46/signed.ts';

const MAX_CONTENT = 262_144;
const KIND = 24133;
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The stages of one sign_event request as the key's thread goes through them, with the daemon's own functions.
 *
 * @returns measures each by itself: its name and us of CPU time a call
 */
export async function measureStages(backend: string, calls: number): Promise<() => Promise<Map<string, number>>> {
  const curve = await loadCurve(backend as CurveName);
  const key = curve.openKey(asSecret(new Uint8Array(randomBytes(32))));
  const client = curve.openKey(asSecret(new Uint8Array(randomBytes(32))));
  const conversation = new Conversation(key.sharedX(client.publicKey));
  const bodies = new KeyedHash(asSecret(new Uint8Array(randomBytes(32))));
  const pubkey = bytesToHex(key.publicKey);
  const now = Math.floor(Date.now() / 1000);
  const template = JSON.stringify({
    kind: 1,
    created_at: now,
    tags: [['p', pubkey]],
    content: 'note 1234 '.repeat(16),
  });
  const text = JSON.stringify({ id: 'request-1234', method: 'sign_event', params: [template] });
  const bytes: Secret = asSecret(new TextEncoder().encode(text));
  const to = bytesToHex(client.publicKey);
  const content = conversation.encrypt(text);
  const { raw } = signAddressed(client, { kind: KIND, to: pubkey, content, createdAt: now });
  const event = parseEvent(raw)!;
  const checked = checkTemplate(template, { pubkey, now, maxFuture: 900 });
  if (!checked.ok) throw new Error(checked.error);
  const hash = hexToBytes(checked.event.id);
  const signed = signedEventJson({ ...checked.event, sig: bytesToHex(key.sign(hash)) });
  const response = successResponse('request-1234', signed);
  const sealed = conversation.encrypt(response);

  const stages: [name: string, work: () => unknown][] = [
    ['parse the event', () => parseEvent(raw)],
    ['compute its id', () => eventId(event.pubkey, event.created_at, event.kind, event.tags, event.content)],
    ['verify its signature', () => curve.verify(hexToBytes(event.sig), hexToBytes(event.id), hexToBytes(event.pubkey))],
    ['decrypt', () => wipe(conversation.decrypt(event.content, MAX_CONTENT))],
    ['hash the body', () => bodies.hex(event.pubkey, bytes)],
    ['parse the request', () => parseRequest(decoder.decode(bytes))],
    ['check the template, its id', () => checkTemplate(template, { pubkey, now, maxFuture: 900 })],
    ['sign', () => signedEventJson({ ...checked.event, sig: bytesToHex(key.sign(hash)) })],
    ['write the response', () => successResponse('request-1234', signed)],
    ['encrypt', () => conversation.encrypt(response)],
    ['sign the response', () => signAddressed(key, { kind: KIND, to, content: sealed, createdAt: now })],
  ];
  const measure = () => new Map(stages.map(([name, work]) => [name, timed(work, calls)]));
  measure();
  return async () => measure();
}

function timed(work: () => unknown, calls: number): number {
  const before = process.cpuUsage();
  for (let i = 0; i < calls; i++) work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}
