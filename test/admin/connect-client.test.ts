import { generateSecretKey, getPublicKey } from 'nostr-tools';
import { createNostrConnectURI } from 'nostr-tools/nip46';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeStage, type Stage } from './stage.ts';

let stage: Stage;
const client = getPublicKey(generateSecretKey());
const uri = createNostrConnectURI({
  clientPubkey: client,
  relays: ['wss://relay.example', 'ws://127.0.0.1:1'],
  secret: 'told to nobody else',
  name: 'an app',
});

test.before.each(async () => {
  stage = await makeStage();
  stage.records.addKey('demo');
  stage.main.unlocked.add('demo');
  await stage.ask('create_new_policy', [JSON.stringify({ name: 'apps', rules: [{ method: 'sign_event' }] })]);
});
test.after.each(() => stage.end());

const connect = (...params: unknown[]) => stage.ask('connect_client', params);
const commands = () => stage.records.asked.map(([command]) => command);

test('the client is reached, bound and told, in this order; the secret goes to the key alone', async () => {
  assert.is((await connect(uri, 'demo', '1')).result, '["ok"]');
  const [[command, introduced]] = stage.records.asked as [[string, object]];
  const createdBy = getPublicKey(stage.admin);
  const relays = ['wss://relay.example'];
  const askedAt = stage.clock.now();
  assert.equal(
    [command, introduced],
    ['introduceClient', { keyName: 'demo', client, relays, label: 'an app', policyId: 1, createdBy, askedAt }],
  );
  assert.equal(stage.main.told, [{ client, secret: 'told to nobody else' }]);
  const kept = JSON.stringify([stage.records.begun, stage.records.ended, stage.main.logs]);
  assert.not.match(kept, 'told to nobody else');
  const ended = stage.records.ended.at(-1);
  assert.equal([ended?.method, ended?.target, ended?.outcome], ['connect_client', 'demo', 'ok']);
});

test('the same request again, from the same admin, does nothing twice', async () => {
  const first = await stage.ask('connect_client', [uri, 'demo', 1], { id: 'same' });
  assert.equal(await stage.ask('connect_client', [uri, 'demo', 1], { id: 'same' }), first);
  assert.equal(commands(), ['introduceClient']);
  assert.is(stage.main.told.length, 1);
});

test('what is refused is not bound', async () => {
  const refused = async (...params: unknown[]) => (await connect(...params)).error ?? 'ok';
  assert.match(await refused('bunker://x', 'demo', 1), 'Invalid params: the URI is not a nostrconnect:// URI');
  assert.match(await refused(false, 'demo', 1), 'Invalid params: uri must be text');
  assert.match(await refused(uri), 'Invalid params: keyName is missing');
  assert.match(await refused(uri, 'nope', 1), 'no key named "nope"');
  assert.match(await refused(uri, 'demo', 7), 'no policy 7');
  stage.main.reached = { ok: false, refusal: "none of the client's relays can be used: it is down" };
  assert.match(await refused(uri, 'demo', 1), "none of the client's relays can be used");
  assert.equal(commands(), []);
  stage.main.unlocked.clear();
  assert.match(await refused(uri, 'demo', 1), 'key demo is locked');
});

test('a client that cannot be told is unbound again; a binding that is refused lets go of its relays', async () => {
  stage.main.taken = { ok: false, refusal: 'no relay has taken it' };
  assert.match((await connect(uri, 'demo', 1)).error ?? '', 'no relay has taken it; the client was not connected');
  assert.equal(commands(), ['introduceClient', 'forgetClient']);
  stage.records.handlers.introduceClient = () => ({ ok: false, refusal: 'audit log unavailable' });
  assert.is((await connect(uri, 'demo', 1)).error, 'audit log unavailable');
  await stage.settled();
  assert.equal(stage.main.left, [client]);
});

test('private relays only where that is allowed', async () => {
  const local = createNostrConnectURI({ clientPubkey: client, relays: ['ws://127.0.0.1:1'], secret: 's' });
  assert.match((await connect(local, 'demo', 1)).error ?? '', 'allowPrivateRelays');
  stage.settings({ allowPrivateRelays: true });
  assert.is((await connect(local, 'demo', 1)).result, '["ok"]');
});

test("the daemon's key signs in to configured relays, with challenges of up to 256 bytes, and to no other", async () => {
  stage.settings({ configured: ['wss://relay.example'] });
  const ask = (relay: string, challenge: string) => stage.link.ask('authenticate', { relay, challenge });
  const event = JSON.parse((await ask('wss://relay.example', 'x'.repeat(256)))!);
  assert.equal([event.kind, event.pubkey, event.content], [22242, stage.daemon, '']);
  assert.equal(event.tags, [
    ['relay', 'wss://relay.example'],
    ['challenge', 'x'.repeat(256)],
  ]);
  for (const [relay, challenge] of [
    ['wss://elsewhere.example', 'x'],
    ['wss://relay.example', ''],
    ['wss://relay.example', 'x'.repeat(257)],
    ['wss://relay.example', '\ud800'],
  ] as const) {
    assert.is(await ask(relay, challenge), null);
  }
});

test.run();
