/** Bounds of events, their contents, and requests of clients (docs/PROTOCOL.md). */
import { asSecret } from '../../../src/actor/protocol.ts';
import { loadCurve } from '../../../src/curve/load.ts';
import { clientLabel, labelOfMetadata } from '../../../src/nip46/client-label.ts';
import { Envelope } from '../../../src/nip46/envelope.ts';
import { checkTemplate } from '../../../src/nip46/event.ts';
import * as nip04 from '../../../src/nip46/nip04.ts';
import * as nip44 from '../../../src/nip46/nip44.ts';
import { MAX_RELAYS, readInvitation } from '../../../src/nip46/nostrconnect.ts';
import { relayAuth } from '../../../src/nip46/relay-auth.ts';
import { parseRequest } from '../../../src/nip46/request.ts';
import { forgeNip44 } from '../../support/forge-nip44.ts';
import type { Bound } from './bound.ts';

const NOW = 1_767_225_600;
const key = asSecret(new Uint8Array(32).fill(3));
const curve = await loadCurve();
const limits = { maxClockSkew: 600, maxContent: 262_144 };
const clock = { now: () => NOW * 1000, mono: () => 0 };
const envelope = new Envelope(curve, curve.openKey(key), asSecret(new Uint8Array(32).fill(4)), limits, clock);
const CLIENT = 'ab'.repeat(32);

const event = (change: object) =>
  envelope.read(
    JSON.stringify({
      id: CLIENT,
      pubkey: CLIENT,
      created_at: NOW,
      kind: 24_133,
      tags: [['p', envelope.pubkey]],
      content: '',
      sig: CLIENT.repeat(2),
      ...change,
    }),
  );
const isRead = (change: object) => typeof event(change) !== 'string';
const template = (change: object) =>
  checkTemplate(JSON.stringify({ kind: 1, tags: [], content: '', created_at: NOW, ...change }), {
    pubkey: CLIENT,
    now: NOW,
    maxFuture: 900,
  }).ok;
const request = (change: object) => {
  const read = parseRequest(JSON.stringify({ id: '1', method: 'ping', params: [], ...change }));
  return read !== null && !('error' in read);
};
const uri = (...parts: string[]) => readInvitation(`nostrconnect://${CLIENT}?${parts.join('&')}`, true);
const RELAY = 'relay=wss%3A%2F%2Fr.example';

function opens(open: () => Uint8Array): boolean {
  try {
    open();
    return true;
  } catch {
    return false;
  }
}

/** A payload whose padded plaintext claims this length, written short or long. */
function claiming(length: number, prefix: 2 | 6): string {
  const padded = Buffer.alloc(prefix + nip44.paddedLength(length));
  padded.writeUIntBE(length, 0, prefix);
  return forgeNip44(key, padded);
}

export const REQUESTS: readonly Bound[] = [
  { what: 'content of an event (characters)', limit: 262_144, passes: (n) => isRead({ content: 'x'.repeat(n) }) },
  { what: 'clock, behind (s)', limit: 600, passes: (n) => isRead({ created_at: NOW - n }) },
  { what: 'clock, ahead (s)', limit: 600, passes: (n) => isRead({ created_at: NOW + n }) },
  { what: 'request id', limit: 256, passes: (n) => request({ id: 'x'.repeat(n) }) },
  { what: 'request id, least', limit: 1, least: true, passes: (n) => request({ id: 'x'.repeat(n) }) },
  { what: 'parameters of a request', limit: 16, passes: (n) => request({ params: Array(n).fill('') }) },
  { what: 'kind of a template', limit: 65_535, passes: (kind) => template({ kind }) },
  { what: 'kind of a template, least', limit: 0, least: true, passes: (kind) => template({ kind }) },
  { what: 'created_at of a template, ahead (s)', limit: 900, passes: (n) => template({ created_at: NOW + n }) },
  { what: 'created_at of a template, least', limit: 0, least: true, passes: (created_at) => template({ created_at }) },
  {
    what: 'NIP-44 payload (characters)',
    limit: nip44.encrypt('x'.repeat(1_000), key).length,
    // The bound moves, since a payload has not every length.
    passes: (n) => opens(() => nip44.decrypt(payload44, key, payload44.length - (n - payload44.length))),
  },
  {
    what: 'NIP-44 payload, least (bytes)',
    limit: 99,
    least: true,
    passes: (n) =>
      !refusedAs('invalid payload length', () => nip44.decrypt(Buffer.alloc(n, 2).toString('base64'), key, 9_999)),
  },
  {
    what: 'NIP-44 plaintext, least',
    limit: 1,
    least: true,
    passes: (n) => opens(() => Buffer.from(nip44.encrypt('x'.repeat(n), key))),
  },
  {
    what: 'NIP-44 length in two bytes',
    limit: 65_535,
    passes: (n) => n <= 65_535 && opens(() => nip44.decrypt(claiming(n, 2), key, 1e6)),
  },
  {
    what: 'NIP-44 length in six bytes',
    limit: 65_536,
    least: true,
    passes: (n) => opens(() => nip44.decrypt(claiming(n, 6), key, 1e6)),
  },
  {
    what: 'NIP-04 payload (characters)',
    limit: nip04.encrypt('x'.repeat(1_000), key).length,
    passes: (n) => opens(() => nip04.decrypt(payload04, key, payload04.length - (n - payload04.length))),
  },
  {
    what: 'challenge of a relay (bytes)',
    limit: 256,
    passes: (n) => relayAuth(CLIENT, 'wss://r.example', 'x'.repeat(n), 1) !== null,
  },
  {
    what: 'URL of a relay that asks for AUTH',
    limit: 1_024,
    passes: (n) => relayAuth(CLIENT, 'wss://r.example/'.padEnd(n, 'x'), 'x', 1) !== null,
  },
  {
    what: 'nostrconnect URI',
    limit: 8_192,
    passes: (n) => readInvitation(`nostrconnect://${CLIENT}?${RELAY}&secret=x&x=`.padEnd(n, 'x'), true).ok,
  },
  { what: 'secret of a URI', limit: 256, passes: (n) => uri(RELAY, `secret=${'x'.repeat(n)}`).ok },
  { what: 'secret of a URI, least', limit: 1, least: true, passes: (n) => uri(RELAY, `secret=${'x'.repeat(n)}`).ok },
  {
    what: 'relay of a URI',
    limit: 512,
    passes: (n) => uri(`relay=${'wss://r.example/'.padEnd(n, 'x')}`, 'secret=x').ok,
  },
  {
    what: 'relays of a URI',
    limit: MAX_RELAYS,
    passes: (n) =>
      whole(uri('secret=x', ...Array.from({ length: n }, (_, i) => `relay=wss://r${i}.example`)), 'relays', n),
  },
  {
    what: 'perms of a URI',
    limit: 1_024,
    passes: (n) => whole(uri(RELAY, 'secret=x', `perms=${'x'.repeat(n)}`), 'perms', n),
  },
  { what: "a client's label", limit: 128, passes: (n) => clientLabel('x'.repeat(n)).length === n },
  { what: "a client's metadata", limit: 4_096, passes: (n) => labelOfMetadata('{"name":"x"}'.padEnd(n)) === 'x' },
];

const payload44 = nip44.encrypt('x'.repeat(1_000), key);
const payload04 = nip04.encrypt('x'.repeat(1_000), key);

function refusedAs(refusal: string, open: () => unknown): boolean {
  try {
    open();
    return false;
  } catch (error) {
    return (error as Error).message === refusal;
  }
}

function whole(read: ReturnType<typeof readInvitation>, member: 'relays' | 'perms', length: number): boolean {
  return read.ok && read.invitation[member].length === length;
}
