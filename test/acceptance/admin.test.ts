/** What an admin changes on a running daemon is in force at the client's very next request (docs/POLICY.md). */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';
import { adminOf, issueToken, pair } from '../support/provision.ts';
import { parseBunkerUrl, type RpcClient } from '../support/rpc.ts';

const daemon = new TestDaemon();
let admin: RpcClient;

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  admin?.close();
  await daemon.remove();
});

interface User {
  id: number;
  name: string;
  pubkey: string;
  description: string | null;
  lastUsedAt: string | null;
  revokedAt: string | null;
  signingConditions: { id: number; kind: string | null; allowed: boolean; keyUserId: number }[];
}

/** Signs a fresh event of this kind: `signed`, or the refusal. */
async function sign(client: RpcClient, kind = 1): Promise<string | undefined> {
  const template = { kind, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) };
  const { result, error } = await client.call('sign_event', [JSON.stringify(template)]);
  return error === undefined && verifyEvent(JSON.parse(result)) ? 'signed' : error;
}

async function userOf({ pubkey }: RpcClient, key = 'demo'): Promise<User> {
  const users = JSON.parse(await admin.result('get_key_users', [key])) as User[];
  return users.find((user) => user.pubkey === pubkey)!;
}

async function ok(method: string, ...params: unknown[]): Promise<void> {
  assert.equal(JSON.parse(await admin.result(method, params)), ['ok'], method);
}

const paired = (kind: number, key = 'demo') => pair(admin, daemon.quickstart, [{ method: 'sign_event', kind }], key);

test('revoke_user: the very next request is refused, and a new token brings the client back with nothing of before', async () => {
  const { client, policy } = await paired(1);
  assert.is(await sign(client), 'signed');
  const { id } = await userOf(client);
  await ok('add_signing_condition', id, 'sign_event', 7);
  assert.is(await sign(client, 7), 'signed');
  await ok('revoke_user', id);
  assert.is(await sign(client), 'revoked');
  assert.is(await sign(client, 7), 'revoked');
  assert.is((await client.call('ping')).error, 'revoked');
  assert.type((await userOf(client)).revokedAt, 'string');
  const fresh = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
  assert.is(await client.result('connect', [client.remote, fresh.secret]), 'ack');
  assert.is(await sign(client), 'signed');
  assert.is(await sign(client, 7), 'not authorized');
  client.close();
});

test('add_policy_rule and remove_policy_rule: what was denied is allowed at once, and denied again', async () => {
  const { client, policy } = await paired(1);
  assert.is(await sign(client, 30_078), 'not authorized');
  await ok('add_policy_rule', String(policy), 'sign_event', '30078');
  assert.is(await sign(client, 30_078), 'signed');
  await ok('add_policy_rule', policy, JSON.stringify({ method: 'sign_event', kind: '30078' }));
  type Listed = { id: number; rules: { id: number; kind: string | null }[] };
  const listed = (JSON.parse(await admin.result('get_policies')) as Listed[]).find(({ id }) => id === policy)!;
  assert.equal(
    listed.rules.map(({ kind }) => kind),
    ['1', '30078'],
  );
  await ok('remove_policy_rule', listed.rules[1]!.id);
  assert.is(await sign(client, 30_078), 'not authorized');
  assert.is(await sign(client), 'signed');
  client.close();
});

test('delete_policy: what it granted is denied at once', async () => {
  const { client, policy } = await paired(1);
  assert.is(await sign(client), 'signed');
  await ok('delete_policy', policy);
  assert.is(await sign(client), 'policy expired');
  assert.is(await client.result('ping'), 'pong');
  client.close();
});

test('signing conditions: denied and allowed at once, and gone when they are removed', async () => {
  const { client } = await paired(1);
  const { id } = await userOf(client);
  await ok('add_signing_condition', id, JSON.stringify({ method: 'sign_event', kind: 1, allowed: false }));
  assert.is(await sign(client), 'not authorized');
  const [condition] = (await userOf(client)).signingConditions;
  assert.equal([condition!.kind, condition!.allowed, condition!.keyUserId], ['1', false, id]);
  await ok('remove_signing_condition', condition!.id);
  assert.is(await sign(client), 'signed');
  assert.is(await sign(client, 9), 'not authorized');
  await ok('add_signing_condition', id, 'sign_event');
  assert.is(await sign(client, 9), 'signed');
  client.close();
});

test('delete_key: nothing is answered, its file and its name stay, over a restart too', async () => {
  await admin.result('create_new_key', ['doomed', 'a passphrase']);
  const { client } = await paired(1, 'doomed');
  assert.is(await sign(client), 'signed');
  const before = JSON.parse(await admin.result('get_status')).keys;
  const files = readdirSync(join(daemon.data, 'keystore'));
  await ok('delete_key', 'doomed');
  const answers = client.received.length;
  await client.submit(client.request('ping', []).event);
  assert.equal(JSON.parse(await admin.result('get_status')).keys, {
    ...before,
    total: before.total - 1,
    unlocked: before.unlocked - 1,
    active: before.active - 1,
  });
  assert.is(client.received.length, answers);
  assert.equal(readdirSync(join(daemon.data, 'keystore')), files);
  const again = await admin.call('create_new_key', ['doomed', 'a passphrase']);
  assert.match(again.error!, /^a key named "doomed" was deleted/);
  client.close();
  admin.close();
  await daemon.stop();
  await daemon.start();
  admin = await adminOf(daemon);
  const keys = JSON.parse(await admin.result('get_keys')) as { name: string }[];
  assert.equal(
    keys.map(({ name }) => name),
    ['demo'],
  );
  assert.is(JSON.parse(await admin.result('get_status')).keys.total, 1);
});

test('the same from the command line, and the log tells who did it', async () => {
  const { client } = await paired(1);
  const json = async (...args: string[]) => {
    const ran = await runCli([...args, '--data', daemon.data, '--json']);
    assert.equal([ran.code, ran.stderr], [0, '']);
    return JSON.parse(ran.stdout);
  };
  await json('user', 'rename', client.pubkey, 'phone', '--key', 'demo');
  const listed = ((await json('user', 'list', 'demo')) as User[]).find(({ pubkey }) => pubkey === client.pubkey)!;
  assert.equal([listed.name, listed.description], ['demo', 'phone']);
  assert.is(await sign(client), 'signed');
  assert.equal(await json('user', 'revoke', String(listed.id)), { id: listed.id, revoked: true });
  assert.is(await sign(client), 'revoked');

  type Entry = { id: number; type: string; method: string; params: { [name: string]: unknown } };
  const own = (await json('audit', 'list', '--client', client.pubkey)) as Entry[];
  assert.equal(
    own.map(({ type, method }) => [type, method]),
    [
      ['request', 'sign_event'],
      ['connect', 'connect'],
    ],
  );
  const [end, begin] = (await json('audit', 'list', '--limit', '2')) as Entry[];
  assert.equal(
    [begin!.method, begin!.params.phase, begin!.params.target],
    ['revoke_user', 'begin', `user ${listed.id}`],
  );
  assert.equal([end!.method, end!.params.phase, end!.params.outcome], ['revoke_user', 'end', 'ok']);
  assert.is(begin!.params.admin, admin.pubkey);
  const exported = (await json('audit', 'export', '--client', client.pubkey)) as Entry[];
  assert.equal(exported, own.reverse());
  const all = await runCli(['audit', 'export', '--data', daemon.data]);
  assert.is(all.stdout.trim().split('\n').length, rows(daemon, 'SELECT id FROM Log').length);
  client.close();
});

test.run();
