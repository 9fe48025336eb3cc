// deadline: 120 s
/**
 * A machine's life, from the five calls to its end (docs/PAIRING.md), on a daemon whose clock the test moves. Server and
 * machine are public libraries on a plain socket.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Event, generateSecretKey, nip19, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';

const HOUR_MS = 3_600_000;
const DAYS = 30;
const RULES = [
  ...[21000, 21001, 21002, 21003, 30078].map((kind) => ({ method: 'sign_event', kind })),
  { method: 'nip44_encrypt' },
  { method: 'nip44_decrypt' },
];

const daemon = new TestDaemon({
  entry: fileURLToPath(new URL('../support/clocked-daemon.ts', import.meta.url)),
  env: { REDOUBT_KEYSTORE_LOG_N: '14' },
});
/** How far the daemon's clock is ahead, ms. */
let ahead = 0;
let admin: RpcClient;

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  admin?.close();
  await daemon.remove();
});

const now = () => Math.floor((Date.now() + ahead) / 1000);

async function pass(ms: number): Promise<void> {
  const moved = once(daemon.child, 'message');
  daemon.child.send({ advance: ms });
  await moved;
  ahead += ms;
}

async function call(method: string, ...params: unknown[]): Promise<string> {
  const { result, error } = await admin.call(method, params, { createdAt: now() });
  if (error !== undefined) throw new Error(`${method}: ${error}`);
  return result;
}

interface Token {
  token: string;
  redeemed_at: string | null;
  expires_at: string;
  time_until_expiration: number;
}

/** Steps 3 to 5: a fresh token for the key, and what the machine is given of it. */
async function seedOf(key: string, npub: string, policy: number): Promise<string> {
  assert.is(await call('create_new_token', key, `machine ${key}`, policy, DAYS * 24), '["ok"]');
  const tokens = JSON.parse(await call('get_key_tokens', key)) as Token[];
  const { token } = tokens.filter(({ redeemed_at }) => redeemed_at === null).at(-1)!;
  const [tokenNpub, secret] = token.split('#');
  assert.is(tokenNpub, npub);
  const pubkey = nip19.decode(npub as `npub1${string}`).data;
  const { relay } = daemon.quickstart;
  const bunker_url = `bunker://${pubkey}?relay=${encodeURIComponent(relay)}&secret=${secret}`;
  const seed = { spire_npub: npub, spire_pubkey: pubkey, bunker_url, relays: [relay] };
  return `spire-seed:v1:${Buffer.from(JSON.stringify(seed)).toString('base64url')}`;
}

/** What the machine does at its first boot. */
async function firstBoot(seedUrl: string): Promise<RpcClient> {
  const seed = JSON.parse(Buffer.from(seedUrl.slice('spire-seed:v1:'.length), 'base64url').toString());
  const { pubkey, relays, secret } = parseBunkerUrl(seed.bunker_url);
  assert.equal([pubkey, relays], [seed.spire_pubkey, seed.relays]);
  const machine = await new RpcClient(generateSecretKey(), pubkey).open(relays[0]!);
  const connected = await machine.call('connect', [pubkey, secret], { createdAt: now() });
  if (connected.error !== undefined) throw new Error(connected.error);
  assert.is(connected.result, 'ack');
  return machine;
}

/** `signed`, or the refusal. */
async function sign(machine: RpcClient, kind = 21000): Promise<string | undefined> {
  const template = { kind, content: 'withdraw', tags: [['amount', '21']], created_at: now() };
  const { result, error } = await machine.call('sign_event', [JSON.stringify(template)], { createdAt: now() });
  if (error !== undefined) return error;
  const event = JSON.parse(result) as Event;
  assert.ok(verifyEvent(event));
  const { content, tags, created_at, pubkey } = event;
  assert.equal({ kind: event.kind, content, tags, created_at, pubkey }, { ...template, pubkey: machine.remote });
  return 'signed';
}

let npub: string;
let policy: number;
let machine: RpcClient;

test('the five calls, the seed, the first boot: the machine signs its kinds, and no other', async () => {
  npub = JSON.parse(await call('create_new_key', 'spire-7', 'a passphrase')).npub;
  const body = JSON.stringify({ name: 'spirekeeper-spire', rules: RULES });
  assert.is(await call('create_new_policy', body), '["ok"]');
  const policies = JSON.parse(await call('get_policies')) as { id: number; name: string }[];
  policy = policies.find(({ name }) => name === 'spirekeeper-spire')!.id;
  machine = await firstBoot(await seedOf('spire-7', npub, policy));
  for (const kind of [21000, 21001, 21002, 21003, 30078]) assert.is(await sign(machine, kind), 'signed');
  assert.is(await sign(machine, 1), 'not authorized');
});

test('30 days on the token has expired to the hour, and says so; pairing anew is the remedy', async () => {
  await pass((DAYS * 24 - 1) * HOUR_MS);
  assert.is(await sign(machine), 'signed');
  const [token] = JSON.parse(await call('get_key_tokens', 'spire-7')) as Token[];
  assert.ok(token!.time_until_expiration > 0 && token!.time_until_expiration <= 3600, 'a server can tell in time');
  await pass(HOUR_MS);
  for (const kind of [21000, 30078]) assert.is(await sign(machine, kind), 'token expired');
  assert.is(await sign(machine, 1), 'not authorized', 'what was never granted has not expired');
  const [expired] = JSON.parse(await call('get_key_tokens', 'spire-7')) as Token[];
  assert.ok(expired!.time_until_expiration < 0);

  machine.close();
  machine = await firstBoot(await seedOf('spire-7', npub, policy));
  assert.is(await sign(machine), 'signed');
});

test('a token that nobody redeemed in time is good for nothing', async () => {
  const seed = await seedOf('spire-7', npub, policy);
  await pass(DAYS * 24 * HOUR_MS);
  const late = await firstBoot(seed).then(() => 'ack', String);
  assert.match(late, 'token expired');
});

test('pairing anew without revoke_old leaves the others bound, with it they are refused at their next request', async () => {
  const again = async (more: object) => {
    const options = {
      key: 'spire-7',
      client_name: 'again',
      policy: 'spirekeeper-spire',
      expires_in_hours: 720,
      ...more,
    };
    return firstBoot(JSON.parse(await call('pair', JSON.stringify(options))).seed_url);
  };
  const second = await again({});
  const third = await again({});
  assert.equal([await sign(second), await sign(third)], ['signed', 'signed']);
  const fourth = await again({ revoke_old: true });
  assert.equal([await sign(second), await sign(third), await sign(fourth)], ['revoked', 'revoked', 'signed']);
  for (const old of [second, third]) old.close();
  machine.close();
  machine = fourth;
});

test('revoke_user: the stolen machine is refused at its very next request', async () => {
  assert.is(await sign(machine), 'signed');
  const users = JSON.parse(await call('get_key_users', 'spire-7')) as { id: number; pubkey: string }[];
  const { id } = users.find(({ pubkey }) => pubkey === machine.pubkey)!;
  assert.is(await call('revoke_user', String(id)), '["ok"]');
  assert.is(await sign(machine), 'revoked');
  assert.is((await machine.call('ping', [], { createdAt: now() })).error, 'revoked');
  machine.close();
});

test.run();
