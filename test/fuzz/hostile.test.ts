// deadline: 150 s
/**
 * Thousands of malformed and hostile events through raw sockets: no crash, no signature, memory flat, and a good client keeps
 * working meanwhile. Limits are raised, so that the events reach the code behind the limits.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { generateSecretKey, getPublicKey, nip44, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket } from 'ws';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { quickFinalize } from '../support/sign.ts';

const COUNT = Number(process.env.REDOUBT_HOSTILE_EVENTS ?? 6_000);
const SOCKETS = 4;

const daemon = new TestDaemon({
  env: {
    REDOUBT_LIMITS_CLIENT_RATE: '100000',
    REDOUBT_LIMITS_CLIENT_BURST: '100000',
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
    REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
  },
});
test.before(async () => {
  await daemon.start();
});
test.after(() => daemon.remove());

/** One hostile frame; `i` picks the kind of malice and varies it. */
type Malice = (i: number) => string;

function malices(bound: RpcClient, key: string): Malice[] {
  const stranger = generateSecretKey();
  const strangerPubkey = getPublicKey(stranger);
  const now = () => Math.floor(Date.now() / 1000);
  const frame = (event: unknown) => JSON.stringify(['EVENT', event]);
  const signed = (content: string, more: Partial<SignedEvent> = {}) =>
    quickFinalize(
      { kind: 24133, tags: [['p', key]], content, created_at: now(), ...more },
      bound.secretKey,
      bound.pubkey,
    );
  const body = (text: string) => frame(bound.request('', [], { body: text }).event);
  const template = (value: unknown) =>
    body(JSON.stringify({ id: 'h', method: 'sign_event', params: [JSON.stringify(value)] }));
  const flipped = (text: string, i: number) => {
    const at = i % text.length;
    return text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1);
  };
  const good = signed(
    nip44.encrypt(
      JSON.stringify({ id: '1', method: 'ping', params: [] }),
      nip44.getConversationKey(bound.secretKey, key),
    ),
  );

  return [
    // Frames that are no NIP-01 message.
    (i) => '['.repeat((i % 400) + 1),
    (i) => JSON.stringify(['EVENT', frame(good)]).slice(0, (i % 300) + 2),
    () => '{"EVENT":{}}',
    (i) => JSON.stringify(['NOSUCH', i]),
    () => JSON.stringify(['EVENT']),
    () => JSON.stringify(['EVENT', null]),
    () => JSON.stringify(['REQ', { toString: 1 }, 7]),
    () => '["EVENT",{"__proto__":{"kind":24133},"constructor":1}]',
    // Events of the wrong shape or kind.
    (i) => frame({ ...good, kind: i % 60_000 }),
    () => frame({ ...good, tags: 'p' }),
    () => frame({ ...good, tags: [['p', { hex: key }]] }),
    () => frame({ ...good, content: null }),
    () => frame({ ...good, created_at: 1e300 }),
    () => frame({ ...good, pubkey: good.pubkey.toUpperCase() }),
    () => frame({ ...good, id: undefined }),
    () =>
      frame(
        quickFinalize({ kind: 24134, tags: [['p', key]], content: 'x', created_at: now() }, stranger, strangerPubkey),
      ),
    // Signatures and ids that are not the event's own.
    (i) => frame({ ...good, sig: flipped(good.sig, i) }),
    (i) => frame({ ...good, id: flipped(good.id, i) }),
    () => frame({ ...good, sig: randomBytes(64).toString('hex'), id: randomBytes(32).toString('hex') }),
    () => frame({ ...good, content: `${good.content}A` }),
    () => frame({ ...good, pubkey: strangerPubkey }),
    () => frame({ ...good, pubkey: 'f'.repeat(64) }),
    // Genuine events with ciphertexts that are none.
    (i) => frame(signed(good.content.slice(0, i % good.content.length))),
    (i) => frame(signed(randomBytes(i % 300).toString('base64'))),
    () => frame(signed('')),
    () => frame(signed('AAAA?iv=AAAA')),
    (i) => frame(signed(`${randomBytes(16 * (i % 9)).toString('base64')}?iv=${randomBytes(16).toString('base64')}`)),
    (i) => frame(signed(flipped(good.content, i))),
    () =>
      frame(
        quickFinalize(
          { kind: 24133, tags: [['p', key]], content: 'garbage', created_at: now() },
          stranger,
          strangerPubkey,
        ),
      ),
    () => frame(signed(good.content, { created_at: now() - 30 * 86_400 })),
    // Messages that are no request, and requests that cannot be carried out.
    () => body('null'),
    () => body('[]'),
    () => body('"ping"'),
    () => body('{"id":{},"method":"ping"}'),
    () => body('{"id":"x","result":"ack"}'),
    (i) => body(`{"id":"${'x'.repeat(i % 600)}","method":"ping","params":[]}`),
    () => body('{"id":"u","method":"__proto__","params":[]}'),
    () => body('{"id":"u","method":"constructor","params":[]}'),
    (i) => body(JSON.stringify({ id: 'u', method: `nosuch_${i}`, params: [] })),
    () => body('{"id":"p","method":"sign_event","params":{"0":"{}"}}'),
    () => body('{"id":"p","method":"sign_event","params":[{}]}'),
    () => body('{"id":"p","method":"sign_event","params":[[["{}"]]]}'),
    () => body('{"id":"p","method":"nip44_encrypt","params":["zz","text"]}'),
    () => body(`{"id":"p","method":"nip44_decrypt","params":["${'0'.repeat(64)}","text"]}`),
    () => body(`{"id":"p","method":"nip04_decrypt","params":["${strangerPubkey}","no ciphertext"]}`),
    () => body('{"id":"p","method":"connect","params":["",7]}'),
    // Templates that are no event.
    () => template(null),
    () => template([]),
    () => template({ kind: '1', content: '', tags: [] }),
    () => template({ kind: -1, content: '', tags: [] }),
    () => template({ kind: 1.5, content: '', tags: [] }),
    () => template({ kind: 70_000, content: '', tags: [] }),
    () => template({ kind: 1, content: 7, tags: [] }),
    () => template({ kind: 1, content: '', tags: [[1]] }),
    () => template({ kind: 1, content: '', tags: [], created_at: now() + 10_000_000 }),
    () => template({ kind: 1, content: '', tags: [], pubkey: strangerPubkey }),
    // What the policy denies whatever a rule says.
    () => template({ kind: 24133, content: '', tags: [] }),
    () => template({ kind: 24134, content: '', tags: [] }),
  ];
}

test(`${COUNT} hostile events: no crash, no signature, memory flat, a good client works on`, async () => {
  const { relay } = daemon.quickstart;
  const admin = await adminOf(daemon);
  const policy = await createPolicy(admin, 'all', [{ method: 'sign_event', kind: 'all' }]);
  const connect = async () => {
    const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
    const client = await new RpcClient(generateSecretKey(), pubkey).open(relay);
    assert.is(await client.result('connect', [pubkey, secret]), 'ack');
    return client;
  };
  const good = await connect();
  const hostile = await connect();
  const wicked = malices(hostile, good.remote);

  let sockets = await Promise.all(Array.from({ length: SOCKETS }, () => raw(relay)));
  let signatures = 0;
  let early = 0;
  for (let i = 0; i < COUNT; i++) {
    const slot = i % SOCKETS;
    // The relay may close a socket that misbehaves: then the next one is opened, as an attacker would.
    if (sockets[slot]!.readyState !== WebSocket.OPEN) sockets[slot] = await raw(relay);
    sockets[slot]!.send(wicked[i % wicked.length]!(i));
    // No faster than they are looked at: what a full queue drops tests nothing. And the good client works on.
    if (i % 24 === 23) assert.is(await good.result('ping'), 'pong');
    if (i % 1000 === 999) {
      // A frame that is far too large ends the socket, not the relay.
      const large = await raw(relay);
      large.send(JSON.stringify(['EVENT', { content: 'x'.repeat(2 * 1024 * 1024) }]));
      const template = JSON.stringify({ kind: 1, content: `good ${i}`, tags: [] });
      const event = JSON.parse(await good.result('sign_event', [template])) as SignedEvent;
      assert.ok(verifyEvent(event));
      signatures++;
      large.terminate();
    }
    if (i === Math.floor(COUNT / 4)) early = residentMb(daemon.pid);
  }
  assert.is(await good.result('ping'), 'pong');
  const late = residentMb(daemon.pid);
  assert.ok(late < early + 48, `resident memory went from ${early} to ${late} MiB`);
  for (const response of hostile.received) {
    assert.not.match(response.result, '"sig"');
  }
  sockets.forEach((socket) => void socket.terminate());
  sockets = [];
  admin.close();
  good.close();
  hostile.close();

  assert.is(await daemon.stop(), 0);
  const database = new Database(join(daemon.data, 'nsecbunker.db'), { readonly: true });
  const { n } = database.prepare(`SELECT count(*) AS n FROM Log WHERE method = 'sign_event'`).get() as { n: number };
  database.close();
  assert.is(n, signatures, 'only the good client got signatures');
});

async function raw(relay: string): Promise<WebSocket> {
  const socket = new WebSocket(relay);
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('open', resolve));
  return socket;
}

function residentMb(pid: number): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kb) / 1024);
}

test.run();
