// deadline: 60 s
/**
 * An admin that disappears: its connection is cut when it has sent a command, at a moment of chance. Whatever the command,
 * nothing is left half done, it is carried out once, and the same command again, over a new connection, is answered as
 * if nothing had happened.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { OutsideRelay } from '../support/outside-relay.ts';
import { adminOf, createPolicy, type Paired, pair } from '../support/provision.ts';
import type { RpcClient, RpcResponse } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const WITHIN_MS = 5;
const OLD = 'the first passphrase of a key';
const NEW = 'the second passphrase of a key';

const daemon = new TestDaemon({
  env: {
    REDOUBT_KEYSTORE_LOG_N: '14',
    REDOUBT_ALLOW_PRIVATE_RELAYS: 'true',
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
    REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
  },
});
const relay = new OutsideRelay();
/** Of a client that shows a nostrconnect:// URI. */
const app = getPublicKey(generateSecretKey());
let admin: RpcClient;
let client: Paired;
let policy: number;
/** What the client is told of the request that it made last. */
let asked: Promise<RpcResponse>;
/** Sealed files that were there before. */
let sealedBefore = 0;
const figures = { commands: 0, answeredAgain: 0, carriedOutTwice: 0 };

test.before(async () => {
  await relay.start();
  await daemon.start();
  admin = await adminOf(daemon);
  client = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }]);
  sealedBefore = sealedFiles();
  policy = await createPolicy(admin, 'of this test', [{ method: 'sign_event', kind: 1 }]);
});
test.after(async () => {
  printFigures('ADMIN-GONE', figures);
  admin?.close();
  client?.client.close();
  await daemon.remove();
  await relay.stop();
});

const template = (kind = 1) =>
  JSON.stringify({ kind, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });
const one = <T>(sql: string, ...values: unknown[]) => rows<{ v: T }>(daemon, sql, ...values)[0]?.v;
const count = (of: string, ...values: unknown[]) => one<number>(`SELECT count(*) AS v FROM ${of}`, ...values)!;
const user = () => one<number>('SELECT id AS v FROM KeyUser WHERE userPubkey = ?', client.client.pubkey)!;
const ruleOf = (kind: string) =>
  one<number>('SELECT id AS v FROM PolicyRule WHERE policyId = ? AND kind = ?', policy, kind)!;
const tokenOf = (name: string) => one<number>('SELECT id AS v FROM Token WHERE clientName = ?', name)!;
const sealed = () => sealedFiles() - sealedBefore;
const sealedFiles = () => readdirSync(join(daemon.data, 'keystore')).filter((name) => name.endsWith('.json')).length;
const opens = async (passphrase: string) => {
  await admin.result('lock_key', ['theirs']);
  return JSON.parse(await admin.result('unlock_key', ['theirs', passphrase])).success as boolean;
};
/** The client asks for what it has no rule for; @returns the question that waits for an admin. */
async function ask(kind: number): Promise<string> {
  asked = client.client.call('sign_event', [template(kind)]);
  let found: { id: string; kind: number; waiting: boolean } | undefined;
  await until('it waits for an admin', async () => {
    found = JSON.parse(await admin.result('get_requests')).find(
      (row: { kind: number; waiting: boolean }) => row.kind === kind && row.waiting,
    );
    return found !== undefined;
  });
  return found!.id;
}
const lockedKeys = async () =>
  (JSON.parse(await admin.result('get_keys')) as { name: string; locked: boolean }[])
    .filter(({ locked }) => locked)
    .map(({ name }) => name)
    .sort();

interface Command {
  method: string;
  params: () => unknown[] | Promise<unknown[]>;
  /** What there is of it when it was carried out once, and what that must be. */
  left: () => unknown;
  whole: unknown;
}

/** In an order in which each finds what it needs. */
const COMMANDS: Command[] = [
  {
    method: 'create_new_key',
    params: () => ['theirs', OLD],
    left: () => [count(`Key WHERE keyName = 'theirs'`), sealed()],
    whole: [1, 1],
  },
  {
    method: 'create_new_policy',
    params: () => [
      JSON.stringify({ name: 'theirs', rules: [1, 2, 3].map((kind) => ({ method: 'sign_event', kind })) }),
    ],
    left: () => [
      count(`Policy WHERE name = 'theirs'`),
      count(`PolicyRule WHERE policyId IN (SELECT id FROM Policy WHERE name = 'theirs')`),
    ],
    whole: [1, 3],
  },
  {
    method: 'add_policy_rule',
    params: () => [policy, 'sign_event', 5, 3],
    left: () => count(`PolicyRule WHERE policyId = ? AND kind = '5' AND maxUsageCount = 3`, policy),
    whole: 1,
  },
  {
    method: 'remove_policy_rule',
    params: () => [ruleOf('5')],
    left: () => count(`PolicyRule WHERE policyId = ? AND kind = '5'`, policy),
    whole: 0,
  },
  {
    method: 'create_new_token',
    params: () => ['demo', 'created', policy, 1],
    left: () => count(`Token WHERE clientName = 'created'`),
    whole: 1,
  },
  {
    method: 'issue_token',
    params: () => [JSON.stringify({ key: 'demo', client_name: 'issued', policy_id: policy })],
    left: () => count(`Token WHERE clientName = 'issued'`),
    whole: 1,
  },
  {
    method: 'pair',
    params: () => [JSON.stringify({ key: 'paired', client_name: 'paired', policy: 'theirs', passphrase: OLD })],
    left: () => [count(`Token WHERE clientName = 'paired'`), count(`Key WHERE keyName = 'paired'`), sealed()],
    whole: [1, 1, 2],
  },
  {
    method: 'rename_key_user',
    params: () => [client.client.pubkey, 'renamed'],
    left: () => one('SELECT description AS v FROM KeyUser WHERE id = ?', user()),
    whole: 'renamed',
  },
  {
    method: 'add_signing_condition',
    params: () => [user(), 'sign_event', 9],
    left: () => count(`SigningCondition WHERE keyUserId = ? AND kind = '9'`, user()),
    whole: 1,
  },
  {
    method: 'remove_signing_condition',
    params: () => [one<number>(`SELECT id AS v FROM SigningCondition WHERE keyUserId = ? AND kind = '9'`, user())],
    left: () => count(`SigningCondition WHERE keyUserId = ? AND kind = '9'`, user()),
    whole: 0,
  },
  {
    method: 'connect_client',
    params: () => [`nostrconnect://${app}?relay=${encodeURIComponent(relay.url)}&secret=of-the-app`, 'demo', policy],
    left: () => [
      count('KeyUser WHERE userPubkey = ?', app),
      count('Token WHERE keyUserId IN (SELECT id FROM KeyUser WHERE userPubkey = ?)', app),
    ],
    whole: [1, 1],
  },
  {
    method: 'approve_request',
    params: async () => [await ask(7), '{"kind":7}'],
    left: async () => [
      (await asked).error,
      count(`SigningCondition WHERE keyUserId = ? AND kind = '7' AND allowed = 1`, user()),
    ],
    whole: [undefined, 1],
  },
  {
    method: 'deny_request',
    params: async () => [await ask(8)],
    left: async () => [(await asked).error, count(`SigningCondition WHERE keyUserId = ? AND kind = '8'`, user())],
    whole: ['not authorized', 0],
  },
  {
    method: 'revoke_token',
    params: () => [tokenOf('issued')],
    left: () => count(`Token WHERE clientName = 'issued' AND deletedAt IS NOT NULL`),
    whole: 1,
  },
  { method: 'lock_key', params: () => ['theirs'], left: lockedKeys, whole: ['theirs'] },
  { method: 'unlock_key', params: () => ['theirs', OLD], left: lockedKeys, whole: [] },
  { method: 'lock_keys', params: () => [], left: lockedKeys, whole: ['demo', 'paired', 'theirs'] },
  {
    method: 'unlock_keys',
    params: () => [JSON.stringify({ passphrases: { theirs: OLD, paired: OLD } })],
    left: lockedKeys,
    whole: ['demo'],
  },
  {
    method: 'change_passphrase',
    params: () => ['theirs', OLD, NEW],
    left: async () => [await opens(OLD), await opens(NEW), sealed()],
    whole: [false, true, 2],
  },
  {
    method: 'revoke_user',
    params: () => [user()],
    left: () => [
      count('KeyUser WHERE id = ? AND revokedAt IS NOT NULL', user()),
      count('Token WHERE keyUserId = ? AND deletedAt IS NULL', user()),
    ],
    whole: [1, 0],
  },
  {
    method: 'delete_policy',
    params: () => [policy],
    left: () => count('Policy WHERE id = ? AND deletedAt IS NOT NULL', policy),
    whole: 1,
  },
  {
    method: 'delete_key',
    params: () => ['theirs'],
    left: () => count(`Key WHERE keyName = 'theirs' AND deletedAt IS NOT NULL`),
    whole: 1,
  },
  {
    method: 'purge_key',
    params: () => ['theirs'],
    left: () => [count(`Key WHERE keyName = 'theirs'`), sealed()],
    whole: [0, 1],
  },
  ...['get_keys', 'get_policies', 'get_audit', 'get_status', 'get_requests', 'ping'].map((method) => ({
    method,
    params: () => [],
    left: () => null,
    whole: null,
  })),
  ...['get_key_tokens', 'get_key_users'].map((method) => ({
    method,
    params: () => ['demo'],
    left: () => null,
    whole: null,
  })),
];

/** How often a command was carried out, and how often its answer was given once more; of one moment. */
function ended(method: string): { once: number; again: number } {
  const outcomes = rows<{ params: string }>(
    daemon,
    `SELECT params FROM Log WHERE type = 'admin' AND method = ?`,
    method,
  )
    .map(({ params }) => JSON.parse(params) as { phase: string; outcome?: string })
    .filter(({ phase }) => phase === 'end')
    .map(({ outcome }) => outcome);
  const again = outcomes.filter((outcome) => outcome === 'answered again').length;
  return { once: outcomes.length - again, again };
}

/** Sends it and is gone, while it is on its way or in work. */
async function sendAndVanish(method: string, params: unknown[], id: string): Promise<void> {
  const vanishing = await adminOf(daemon);
  vanishing.sendEvent(vanishing.request(method, params, { id }).event);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * WITHIN_MS));
  vanishing.socket.terminate();
  await until('it is gone', () => vanishing.socket.readyState === vanishing.socket.CLOSED);
}

for (const { method, params, left, whole } of COMMANDS) {
  test(`${method}: an admin that vanishes leaves nothing half done, and may say the same again`, async () => {
    const given = await params();
    const id = `gone ${method}`;
    const before = ended(method);
    await sendAndVanish(method, given, id);
    const { result, error } = await admin.call(method, given, { id });
    assert.is(error, undefined);
    const done = method === 'unlock_key' ? (JSON.parse(result) as { success: boolean }).success : true;
    assert.ok(done, result);
    const after = ended(method);
    const times = after.once - before.once;
    figures.commands++;
    figures.answeredAgain += after.again - before.again;
    if (times > 1) figures.carriedOutTwice++;
    assert.ok(times <= 1, 'it was carried out once');
    assert.equal(await left(), whole);
  });
}

test('a client is served after all that', async () => {
  const passphrase = JSON.stringify({ passphrases: { paired: OLD } });
  assert.is(JSON.parse(await admin.result('unlock_keys', [passphrase])).success, 1);
  const { client: fresh } = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }], 'paired');
  assert.ok(verifyEvent(JSON.parse(await fresh.result('sign_event', [template()]))));
  fresh.close();
});

test.run();
