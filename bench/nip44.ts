/**
 * NIP-44 and the ways to do its parts, at the size of a usual request; what src/nip46/nip44.ts was chosen by.
 *
 *   npm run bench -- nip44 [--bytes 500] [--rounds 9] [--calls 20000]
 */
import { createCipheriv, createHmac, hash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { chacha20 } from '@noble/ciphers/chacha.js';
import { expand } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import * as nostrTools from 'nostr-tools/nip44';
import { asSecret } from '../src/actor/protocol.ts';
import { Conversation, conversationKey } from '../src/nip46/nip44.ts';
import { inTurn, publish, spread } from './measure.ts';

const { values: options } = parseArgs({
  options: {
    bytes: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '9' },
    calls: { type: 'string', default: '20000' },
  },
});
const calls = Number(options.calls);
const sharedX = asSecret(new Uint8Array(randomBytes(32)));
const key = conversationKey(sharedX);
const conversation = new Conversation(sharedX);
const nonce = new Uint8Array(randomBytes(32));
const text = 'x'.repeat(Number(options.bytes));
const payload = conversation.encrypt(text, nonce);
const padded = new Uint8Array(Buffer.from(payload, 'base64').length - 65);
const out = new Uint8Array(padded.length);
const chachaNonce = new Uint8Array(12);
const nodeNonce = new Uint8Array(16);
const message = new Uint8Array(32 + padded.length);

const { iHash, oHash } = hmac.create(sha256, key);
const worker = sha256.create();
const okm = new Uint8Array(96);
const block = new Uint8Array(32);

function keysFromKeptState(): void {
  for (let i = 1; i <= 3; i++) {
    const inner = iHash._cloneInto(worker);
    if (i > 1) inner.update(block);
    inner.update(nonce).update(Uint8Array.of(i)).digestInto(block);
    oHash._cloneInto(worker).update(block).digestInto(block);
    okm.set(block, 32 * (i - 1));
  }
}

function keysFromNode(): void {
  let last = new Uint8Array(0);
  for (let i = 1; i <= 3; i++) {
    last = new Uint8Array(createHmac('sha256', key).update(last).update(nonce).update(Uint8Array.of(i)).digest());
    okm.set(last, 32 * (i - 1));
  }
}

const keyed = new Uint8Array(64 + message.length);
const outer = new Uint8Array(96);

function macFromOneShots(encoding: 'buffer' | 'latin1'): void {
  for (let i = 0; i < 64; i++) {
    keyed[i] = (key[i] ?? 0) ^ 0x36;
    outer[i] = (key[i] ?? 0) ^ 0x5c;
  }
  keyed.set(message, 64);
  const inner = hash('sha256', keyed, encoding);
  if (typeof inner === 'string') Buffer.from(outer.buffer).write(inner, 64, 'latin1');
  else outer.set(inner, 64);
  hash('sha256', outer, encoding);
}

const ways: [part: string, way: string, work: () => unknown][] = [
  ['message keys', '@noble/hashes, HMAC state of the conversation key kept', keysFromKeptState],
  ['message keys', '@noble/hashes expand', () => expand(sha256, key, nonce, 76)],
  ['message keys', 'node:crypto createHmac', keysFromNode],
  ['MAC', 'node:crypto hash, twice, as latin1', () => macFromOneShots('latin1')],
  ['MAC', 'node:crypto hash, twice, as Buffer', () => macFromOneShots('buffer')],
  ['MAC', 'node:crypto createHmac', () => createHmac('sha256', key).update(message).digest()],
  ['MAC', '@noble/hashes hmac', () => hmac(sha256, key, message)],
  ['ChaCha20', '@noble/ciphers, in place', () => chacha20(key, chachaNonce, padded, padded)],
  ['ChaCha20', '@noble/ciphers, into another array', () => chacha20(key, chachaNonce, padded, out)],
  ['ChaCha20', '@noble/ciphers', () => chacha20(key, chachaNonce, padded)],
  ['ChaCha20', 'node:crypto', () => createCipheriv('chacha20', key, nodeNonce).update(padded)],
  ['encrypt', 'here', () => conversation.encrypt(text)],
  ['encrypt', 'nostr-tools', () => nostrTools.encrypt(text, key)],
  ['decrypt', 'here', () => conversation.decrypt(payload, payload.length)],
  ['decrypt', 'nostr-tools', () => nostrTools.decrypt(payload, key)],
];

for (const [, , work] of ways) for (let i = 0; i < calls; i++) work();
const samples = await inTurn(ways, Number(options.rounds), ([, , work]) => {
  const before = performance.now();
  for (let i = 0; i < calls; i++) work();
  return ((performance.now() - before) * 1000) / calls;
});
publish(
  'nip44',
  `NIP-44 at ${options.bytes} bytes of plaintext and the ways to do its parts, us a call`,
  ways.map(([part, way], i) => ({ part, way, us: spread(samples[i]!) })),
);
