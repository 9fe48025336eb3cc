// deadline: 120 s
/** Relays of clients, and what the daemon tells clients of its own (docs/RELAYS.md, docs/PROTOCOL.md). */
import { generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools';
import { createNostrConnectURI } from 'nostr-tools/nip46';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeRelay } from '../relay/fake-relay.ts';
import { TestDaemon } from '../support/daemon.ts';
import { change, rows } from '../support/database.ts';
import { OutsideRelay } from '../support/outside-relay.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const env: Record<string, string> = { REDOUBT_ALLOW_PRIVATE_RELAYS: 'true', REDOUBT_LIMITS_CLIENT_RELAYS: '2' };
const daemon = new TestDaemon({ env });
const theirs = new OutsideRelay();
let fake: FakeRelay;
let admin: RpcClient;
let policy: number;
let key: string;

test.before(async () => {
  await theirs.start();
  fake = await FakeRelay.start();
  await start();
  policy = await createPolicy(admin, 'apps', [{ method: 'sign_event', kind: 1 }]);
  key = parseBunkerUrl(daemon.quickstart.bunker_url).pubkey;
});
test.after(async () => {
  await daemon.remove();
  await theirs.stop();
  await fake.stop();
});

async function start(): Promise<void> {
  await daemon.start();
  admin = await adminOf(daemon);
}

interface App {
  client: RpcClient;
  uri: string;
  secret: string;
}

async function app(relay: string, listens = true): Promise<App> {
  const secretKey = generateSecretKey();
  const secret = crypto.randomUUID();
  const uri = createNostrConnectURI({ clientPubkey: getPublicKey(secretKey), relays: [relay], secret, name: 'app' });
  const client = new RpcClient(secretKey, key);
  if (listens) await client.open(relay);
  return { client, uri, secret };
}

const connect = (uri: string, name = 'demo') =>
  admin.call('connect_client', [uri, name, policy], { timeoutMs: 20_000 });
const template = () => JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: 1_700_000_000 });
const clientRelays = async () =>
  (JSON.parse(await admin.result('get_status')) as { clientRelays: { url: string }[] }).clientRelays.map(
    ({ url }) => url,
  );
const users = (pubkey: string) =>
  rows<{ revokedAt: number | null }>(daemon, 'SELECT revokedAt FROM KeyUser WHERE userPubkey = ?', pubkey);

test("on a client's relay the key listens, and nobody else: not the daemon, no other key, no probe", async () => {
  await admin.result('create_new_key', ['other', 'a passphrase']);
  const { uri, client } = await app(fake.url, false);
  assert.is((await connect(uri)).result, '["ok"]');
  assert.equal(
    fake.framesOf('REQ').map(([, , filter]) => filter),
    [{ kinds: [24133], '#p': [key], limit: 0 }],
  );
  const published = fake.framesOf('EVENT').map(([, event]) => event as { pubkey: string; tags: string[][] });
  assert.equal(
    published.map(({ pubkey, tags }) => [pubkey, tags]),
    [[key, [['p', client.pubkey]]]],
  );
  assert.not.ok(JSON.stringify(fake.frames).includes(daemon.quickstart.daemon_pubkey));

  const [user] = JSON.parse(await admin.result('get_key_users', ['demo'])) as { id: number; pubkey: string }[];
  assert.is(user!.pubkey, client.pubkey);
  await admin.result('revoke_user', [user!.id]);
  await until('it is left when nobody needs it', () => fake.peers.size === 0);
  assert.equal(await clientRelays(), []);
});

test('the response is one with the secret; a client that is told again has one token', async () => {
  const { uri, client, secret } = await app(theirs.url);
  for (const times of [1, 2]) {
    assert.is((await connect(uri)).result, '["ok"]');
    await until('the client was told', () => client.received.length === times);
    assert.is(client.received.at(-1)!.result, secret);
    assert.is(client.received.at(-1)!.error, undefined);
  }
  const tokens = JSON.parse(await admin.result('get_key_tokens', ['demo'])) as { redeemed_by: string | null }[];
  assert.is(tokens.filter(({ redeemed_by }) => redeemed_by === client.pubkey).length, 1);
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  assert.is(await client.result('switch_relays'), 'null', 'it is where it wants to be');
  assert.is(await client.result('logout'), 'ack');
});

test('what fails leaves no grant and no relay, and says why', async () => {
  const nobody = await app('ws://127.0.0.1:1', false);
  assert.match((await connect(nobody.uri)).error ?? '', /none of the client's relays can be used: .*ECONNREFUSED/);
  const { uri } = await app(theirs.url);
  assert.match((await connect(uri, 'nope')).error ?? '', 'no key named "nope"');
  const { error = '' } = await admin.call('connect_client', [uri, 'demo', 999]);
  assert.match(error, 'no policy 999');
  assert.match((await connect(uri.replace(/secret=[^&]*/, 'secret='))).error ?? '', 'has no secret');
  await admin.result('lock_key', ['other']);
  assert.match((await connect(uri, 'other')).error ?? '', 'key other is locked');

  const mute = await FakeRelay.start({
    onFrame: (frame, peer) => {
      if (frame[0] === 'REQ') peer.send(['EOSE', frame[1]]);
      if (frame[0] === 'EVENT') peer.send(['OK', (frame[1] as { id: string }).id, false, 'blocked: not here']);
    },
  });
  const unheard = await app(mute.url, false);
  assert.match((await connect(unheard.uri)).error ?? '', /has taken the response .*blocked: not here.* not connected/);
  await mute.stop();
  assert.is(users(nobody.client.pubkey).length, 0);
  assert.ok(users(unheard.client.pubkey).every(({ revokedAt }) => revokedAt !== null));
});

test('of many relays no more are held than limits.clientRelays', async () => {
  const relays = [fake, await FakeRelay.start(), await FakeRelay.start()];
  const apps: App[] = [];
  for (const { url } of relays) apps.push(await app(url, false));
  assert.is((await connect(apps[0]!.uri)).result, '["ok"]');
  assert.is((await connect(apps[1]!.uri)).result, '["ok"]');
  assert.match((await connect(apps[2]!.uri)).error ?? '', 'limits.clientRelays');
  const bound = JSON.parse(await admin.result('get_key_users', ['demo'])) as { id: number; pubkey: string }[];
  for (const { client } of apps.slice(0, 2)) {
    await admin.result('revoke_user', [bound.find(({ pubkey }) => pubkey === client.pubkey)!.id]);
  }
  assert.is((await connect(apps[2]!.uri)).result, '["ok"]', 'those that are about to be left do not count');
  for (const relay of relays.slice(1)) await relay.stop();
});

test('without allowPrivateRelays nothing of the kind is dialled, not even what was', async () => {
  const { uri } = await app(theirs.url);
  assert.is((await connect(uri)).result, '["ok"]');
  await daemon.stop();
  env.REDOUBT_ALLOW_PRIVATE_RELAYS = 'false';
  await start();
  assert.equal(await clientRelays(), []);
  const other = await app(theirs.url);
  assert.match((await connect(other.uri)).error ?? '', 'names no relay that may be dialled');
  const { url } = fake;
  const named = await app(url.replace('ws://127.0.0.1', 'wss://localhost'), false);
  const before = fake.connections;
  assert.match((await connect(named.uri)).error ?? '', 'its name leads to no public address');
  assert.is(fake.connections, before);
});

test('switch_relays: a client from before the list changed is told it, once; one from after it is not', async () => {
  const { relay } = daemon.quickstart;
  const invite = async () => {
    const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
    const client = await new RpcClient(generateSecretKey(), pubkey).open(relay);
    assert.is(await client.result('connect', [pubkey, secret]), 'ack');
    return client;
  };
  const early = await invite();
  assert.is(await early.result('switch_relays'), 'null');
  await daemon.stop();
  env.REDOUBT_ADVERTISED_RELAYS = 'wss://b.example,wss://a.example';
  await start();
  const again = await new RpcClient(early.secretKey, key).open(relay);
  const late = await invite();
  const request = again.request('switch_relays', []);
  const answer = again.next(request.id);
  again.sendEvent(request.event);
  assert.is((await answer).result, '["wss://a.example","wss://b.example"]');
  const retried = await again.call('switch_relays', [], { id: request.id });
  assert.is(retried.result, '["wss://a.example","wss://b.example"]', 'a retry is answered alike');
  assert.is(await again.result('switch_relays'), 'null');
  assert.is(await late.result('switch_relays'), 'null');
  assert.ok('wss://a.example' in JSON.parse(await late.result('get_relays')));
});

test('metadata in a connect name a client that nobody has named', async () => {
  const secretKey = generateSecretKey();
  const client = await new RpcClient(secretKey, key).open(daemon.quickstart.relay);
  const now = Date.now();
  change(
    daemon,
    'INSERT INTO KeyUser (keyName, userPubkey, createdAt, updatedAt) VALUES (?, ?, ?, ?)',
    'demo',
    client.pubkey,
    now,
    now,
  );
  const metadata = JSON.stringify({ name: 'Ann\u001b[2J\u202e', image: 'http://127.0.0.1:1/never' });
  assert.is(await client.result('connect', [key, '', '', metadata]), 'ack');
  const users = JSON.parse(await admin.result('get_key_users', ['demo'])) as { pubkey: string; description: string }[];
  assert.is(users.find(({ pubkey }) => pubkey === client.pubkey)?.description, 'Ann [2J');
});

test.run();
