import { generateSecretKey, getPublicKey, nip04, nip44 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { asSecret } from '../../src/actor/protocol.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { Conversations, encryptionOf } from '../../src/nip46/conversations.ts';
import { deriveReplayKey, Envelope, REQUEST_KIND } from '../../src/nip46/envelope.ts';
import { quickFinalize } from '../support/sign.ts';

const curve = await loadCurve();
const secretKey = generateSecretKey();
const pubkey = getPublicKey(secretKey);

test('contents are opened in the encryption that they are in, and sealed in the one that is asked for', () => {
  const client = generateSecretKey();
  const peer = new Conversations(curve.openKey(asSecret(secretKey))).with(getPublicKey(client));
  const text = 'between us, ünïcödé';
  const shared = nip44.getConversationKey(client, pubkey);
  const read = (bytes: Uint8Array) => Buffer.from(bytes).toString();
  assert.is(read(peer.open(nip44.encrypt(text, shared), 4096)), text);
  assert.is(read(peer.open(nip04.encrypt(client, pubkey, text), 4096)), text);
  assert.is(nip44.decrypt(peer.seal(text, 'nip44'), shared), text);
  assert.is(encryptionOf(peer.seal(text, 'nip04')), 'nip04');
  assert.is(nip04.decrypt(client, pubkey, peer.seal(text, 'nip04')), text);
});

test('beyond the bound the peer that was used longest ago is overwritten', () => {
  const conversations = new Conversations(curve.openKey(asSecret(secretKey)), 2);
  const [a, b, c] = [1, 2, 3].map(() => getPublicKey(generateSecretKey())) as [string, string, string];
  const first = conversations.with(a);
  const second = conversations.with(b);
  conversations.with(a);
  conversations.with(c);
  assert.throws(() => second.encryptNip04('text'), 'this key was wiped');
  assert.ok(first.encryptNip04('text'));
  assert.is.not(conversations.with(b), second);
});

test('a response is sealed although its client was evicted while the request waited', () => {
  const replayKey = deriveReplayKey(asSecret(secretKey));
  const limits = { maxClockSkew: 600, maxContent: 4096 };
  const envelope = new Envelope(curve, curve.openKey(asSecret(secretKey)), replayKey, limits, systemClock);
  for (const encryption of ['nip44', 'nip04'] as const) {
    const client = generateSecretKey();
    const clientPubkey = getPublicKey(client);
    const shared = nip44.getConversationKey(client, pubkey);
    const text = '{"id":"1","method":"ping"}';
    const content = encryption === 'nip44' ? nip44.encrypt(text, shared) : nip04.encrypt(client, pubkey, text);
    const request = { kind: REQUEST_KIND, tags: [['p', pubkey]], content, created_at: Math.floor(Date.now() / 1000) };
    const event = envelope.read(JSON.stringify(quickFinalize(request, client, clientPubkey)));
    if (typeof event === 'string') throw new Error(event);
    const opened = envelope.open(event);
    if (typeof opened === 'string') throw new Error(opened);
    envelope.conversations.wipe();
    const response = JSON.parse(envelope.seal(opened, 'the answer').raw) as { content: string };
    const answer =
      encryption === 'nip44'
        ? nip44.decrypt(response.content, shared)
        : nip04.decrypt(client, pubkey, response.content);
    assert.is(answer, 'the answer', encryption);
  }
});

test.run();
