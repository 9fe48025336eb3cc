// deadline: 120 s
/**
 * Relays that go down and come back: clients on them are served again without doing anything but connecting to the relay
 * again, and whatever comes through several relays is one request (docs/RELAYS.md).
 */
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, rows, usesCounted } from '../support/database.ts';
import { OutsideRelay } from '../support/outside-relay.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { openAdmin, parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const relays = [new OutsideRelay(), new OutsideRelay()];
let daemon: TestDaemon;
let secretKey: Uint8Array;
let remote: string;
let policy: number;

test.before(async () => {
  for (const relay of relays) await relay.start();
  daemon = await new TestDaemon({ config: { nostr: { relays: relays.map(({ url }) => url) } } }).start();
  await until('both relays are ready', async () => (await states()).every((state) => state === 'ready'));

  const admin = await adminOf(daemon);
  policy = await createPolicy(admin, 'over relays', [{ method: 'sign_event', kind: 1, use_count: 1000 }]);
  const { bunker_url } = await issueToken(admin, 'demo', policy);
  admin.close();
  const url = parseBunkerUrl(bunker_url);
  assert.equal(url.relays, relays.map(({ url }) => url).sort(), 'clients are sent to the outside relays');
  secretKey = generateSecretKey();
  remote = url.pubkey;
  const client = await open(0);
  assert.is(await client.result('connect', [remote, url.secret]), 'ack');
  client.close();
});
test.after(async () => {
  await daemon?.remove();
  for (const relay of relays) await relay.stop();
});

const open = (i: number) => new RpcClient(secretKey, remote).open(relays[i]!.url);
const openAdminOn = (i: number) => openAdmin(daemon.adminSecretKey(), daemon.quickstart.daemon_pubkey, relays[i]!.url);
const policiesNamed = (name: string) =>
  rows<{ n: number }>(daemon, 'SELECT count(*) AS n FROM Policy WHERE name = ?', name)[0]!.n;
const newPolicy = (name: string) => JSON.stringify({ name, rules: [{ method: 'sign_event' }] });
const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });

async function health(): Promise<{ code: number; relays: { [url: string]: string } }> {
  const response = await fetch(daemon.quickstart.health_url);
  return { code: response.status, relays: ((await response.json()) as { relays: { [url: string]: string } }).relays };
}

/** How the daemon sees the outside relays, in their order. */
async function states(): Promise<(string | undefined)[]> {
  const seen = (await health()).relays;
  return relays.map(({ url }) => seen[url] ?? seen[`${url}/`]);
}

test('the same request through two relays is carried out once, and answered once, on both', async () => {
  const [one, other] = [await open(0), await open(1)];
  for (const [first, second] of [
    [one, other],
    [other, one],
  ] as const) {
    const counted = usesCounted(daemon, policy);
    const { id, event } = first.request('sign_event', [template()]);
    const answers = [first.next(id), second.next(id)];
    const verdicts = [first.submit(event), second.submit(event)];
    const [here, there] = await Promise.all(answers);
    assert.equal(here, there);
    assert.ok(verifyEvent(JSON.parse(here!.result)));
    for (const { ok } of await Promise.all(verdicts)) assert.ok(ok);
    // Late copies, on the other path than before.
    await second.submit(event);
    assert.is((await first.call('ping')).result, 'pong');
    for (const client of [first, second]) {
      const carried = client.deliveries.filter(({ text }) => JSON.parse(text).id === id);
      assert.is(new Set(carried.map(({ event }) => event.id)).size, 1);
    }
    assert.is(usesCounted(daemon, policy), counted + 1);
  }
  assert.is(auditRows(daemon, one.pubkey, 'sign_event').length, 2);
  one.close();
  other.close();
});

test('the same admin request through two relays is done once, and answered once, on both', async () => {
  const [one, other] = [await openAdminOn(0), await openAdminOn(1)];
  const name = crypto.randomUUID();
  const { id, event } = one.request('create_new_policy', [newPolicy(name)]);
  const answers = [one.next(id), other.next(id)];
  const verdicts = await Promise.all([one.submit(event), other.submit(event)]);
  const [here, there] = await Promise.all(answers);
  assert.equal([here?.result, there], ['["ok"]', here]);
  for (const { ok } of verdicts) assert.ok(ok);
  // An admin that tries again on the other relay, in a new envelope, is answered alike.
  assert.equal(await other.call('create_new_policy', [newPolicy(name)], { id }), here);
  assert.is(policiesNamed(name), 1);
  for (const admin of [one, other]) {
    const answers = () => admin.deliveries.filter(({ text }) => JSON.parse(text).id === id);
    await until('each envelope was answered', () => answers().length >= 2);
    assert.is((await admin.call('ping')).result, 'ok');
    assert.is(new Set(answers().map(({ event }) => event.id)).size, 2, 'and once');
  }
  one.close();
  other.close();
});

test('a daemon that is killed and started serves clients and admins that stayed on the relay', async () => {
  const [client, admin] = [await open(0), await openAdminOn(1)];
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  assert.is(await admin.result('ping'), 'ok');
  await daemon.kill();
  await daemon.start();
  await until('both relays are ready', async () => (await states()).every((state) => state === 'ready'));
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  const name = crypto.randomUUID();
  assert.is(await admin.result('create_new_policy', [newPolicy(name)]), '["ok"]');
  assert.is(policiesNamed(name), 1);
  assert.is(client.socket.readyState, client.socket.OPEN);
  client.close();
  admin.close();
});

test('while one relay is down the other serves, and health says which is down', async () => {
  await relays[0]!.stop();
  await until('it is noticed', async () => (await states())[0] !== 'ready');
  assert.is((await states())[1], 'ready');
  const client = await open(1);
  for (let i = 0; i < 5; i++) assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  client.close();
  const admin = await openAdminOn(1);
  assert.is(await admin.result('ping'), 'ok');
  admin.close();
});

test('a relay that comes back serves its clients again: no new connect, no new token', async () => {
  await relays[0]!.start();
  await until('it is ready again', async () => (await states())[0] === 'ready');
  const client = await open(0);
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  client.close();
  const admin = await openAdminOn(0);
  assert.is(await admin.result('ping'), 'ok');
  admin.close();
});

test('after all relays were down at once, again and again, each serves again', async () => {
  for (let round = 0; round < 2; round++) {
    for (const relay of relays) await relay.stop();
    await until('both are missed', async () => (await states()).every((state) => state !== 'ready'));
    for (const relay of relays) await relay.start();
  }
  await until('both are ready again', async () => (await states()).every((state) => state === 'ready'));
  assert.is((await health()).code, 200);
  for (const i of [0, 1]) {
    const client = await open(i);
    const counted = usesCounted(daemon, policy);
    assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
    assert.is(usesCounted(daemon, policy), counted + 1);
    client.close();
  }
});

test.run();
