import { generateSecretKey, getPublicKey, nip19, nip44 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { AdminClient } from '../../src/admin/client.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { pooledRandom } from '../../src/curve/random.ts';
import { type FakeRelay, startRelay } from '../cli/fake-relay.ts';
import { makeStage, type Stage } from './stage.ts';

const curve = await loadCurve();
let stage: Stage;
let relay: FakeRelay;
test.before.each(async () => {
  stage = await makeStage();
  relay = await startRelay(stage);
});
test.after.each(async () => {
  await relay.close();
  await stage.end();
});

function connect(relays = [relay.url], adminKey = stage.admin) {
  return AdminClient.connect({
    relays,
    daemonPubkey: stage.daemon,
    adminKey: asSecret(adminKey),
    curve,
    clock: stage.clock,
    random: pooledRandom(),
    answerMs: 300,
  });
}

async function connected(adminKey?: Uint8Array): Promise<AdminClient> {
  const made = await connect(undefined, adminKey);
  if (!made.ok) throw new Error(made.refusal);
  return made.client;
}

async function refusal(client: AdminClient, method = 'ping'): Promise<string> {
  const called = await client.call(method, []);
  client.close();
  if (called.ok) throw new Error('answered');
  return called.refusal;
}

test('methods are called, several at once, and secrets arrive as they are', async () => {
  const client = await connected();
  const passphrase = asSecret(new TextEncoder().encode('quote " back \\ tab \t \u00fc \u{1f511}'));
  const [ping, made, status] = await Promise.all([
    client.call('ping'),
    client.call('create_new_key', ['k', passphrase]),
    client.call('get_status'),
  ]);
  assert.equal(ping, { ok: true, result: 'ok' });
  assert.ok(made.ok && status.ok);
  assert.equal(stage.main.got, [{ name: 'k', passphrase: 'quote " back \\ tab \t \u00fc \u{1f511}' }]);
  client.close();
});

test("the daemon's refusals are passed on", async () => {
  assert.is(await refusal(await connected(), 'frobnicate'), 'Unknown method frobnicate');
});

test('one relay that answers is enough', async () => {
  const made = await connect(['ws://127.0.0.1:1', relay.url]);
  assert.ok(made.ok);
  assert.ok((await made.client.call('ping')).ok);
  made.client.close();
});

test('no relay: which, why, and what to do', async () => {
  const made = await connect(['ws://127.0.0.1:1']);
  assert.equal(made, {
    ok: false,
    refusal: 'no relay of the daemon can be reached: ws://127.0.0.1:1 (ECONNREFUSED); is the daemon running?',
  });
  relay.fault = 'deny';
  const denied = await connect();
  assert.ok(!denied.ok && denied.refusal.includes('(the relay refused the subscription: restricted: not here)'));
});

test('a relay that refuses with a reason that is no text is a relay that refuses', async () => {
  relay.fault = 'deny without a word';
  const denied = await connect();
  assert.ok(!denied.ok && denied.refusal.includes('(the relay refused the subscription: )'));
});

test('a daemon that does not answer', async () => {
  relay.fault = 'swallow';
  const text = await refusal(await connected());
  assert.ok(text.startsWith(`the daemon did not answer ping within 0.3 s over ${relay.url}: is it running`), text);
});

test('a relay that does not take the request, or hangs up', async () => {
  relay.fault = 'refuse';
  assert.is(
    await refusal(await connected()),
    `the relay ${relay.url} does not take the request: blocked: no such kind`,
  );
  relay.fault = 'hang up';
  assert.match(await refusal(await connected()), /^the relay closed the connection before the answer came/);
});

test('who is no admin is told which key to make one', async () => {
  const stranger = generateSecretKey();
  const npub = nip19.npubEncode(getPublicKey(stranger));
  const text = `${npub} is no admin of this daemon: add it to admin.npubs, or give another --admin-key-file`;
  assert.is(await refusal(await connected(stranger)), text);
});

test('answers of somebody else are not taken', async () => {
  relay.fault = 'swallow';
  const client = await connected();
  const other = await makeStage();
  other.settings({ admins: [getPublicKey(stage.admin)] });
  const pending = client.call('ping');
  while (relay.received.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const key = nip44.getConversationKey(stage.admin, stage.daemon);
  const { id } = JSON.parse(nip44.decrypt(relay.received[0]!.content, key));
  // Another daemon, which somehow knows what was asked, answers under its own key.
  other.main.onPublish = (event) => stage.main.onPublish(event);
  await other.ask('ping', [], { from: stage.admin, id });
  const called = await pending;
  assert.ok(!called.ok && called.refusal.startsWith('the daemon did not answer ping'), JSON.stringify(called));
  client.close();
  await other.end();
});

test.run();
