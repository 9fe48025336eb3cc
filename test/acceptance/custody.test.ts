// deadline: 120 s
/** Keys in the hands of a running daemon: unlocked twice, under new passphrases, purged, more than it has threads for. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools';
import { decode, nsecEncode } from 'nostr-tools/nip19';
import { decrypt } from 'nostr-tools/nip49';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf, createPolicy, type Paired, pair } from '../support/provision.ts';
import type { RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const MAX_ACTIVE = 3;
/** Threads that are kept ready. */
const BLANK = 2;
const KEYS = 5;
const ROUNDS = 3;

const daemon = new TestDaemon({
  env: {
    REDOUBT_KEYSTORE_LOG_N: '14',
    REDOUBT_MAX_ACTIVE_KEYS: `${MAX_ACTIVE}`,
    REDOUBT_LIMITS_CLIENT_RATE: '100000',
    REDOUBT_LIMITS_CLIENT_BURST: '100000',
  },
});
let admin: RpcClient;
const open: RpcClient[] = [];

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  admin?.close();
  for (const client of open) client.close();
  await daemon.remove();
});

const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });

async function paired(key: string): Promise<Paired> {
  const made = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }], key);
  open.push(made.client);
  return made;
}

const unlocked = async (name: string, passphrase: string) =>
  JSON.parse((await admin.call('unlock_key', [name, passphrase])).result) as { success: boolean; error?: string };

/** Threads that hold a key or are blank. */
function keyThreads(): number {
  const tasks = `/proc/${daemon.pid}/task`;
  const nameOf = (task: string) => {
    try {
      return readFileSync(join(tasks, task, 'comm'), 'utf8').trim();
    } catch {
      return 'gone';
    }
  };
  return readdirSync(tasks).filter((task) => nameOf(task) === 'key').length;
}

test('a thread is kept ready for each key that has none, up to two', async () => {
  const { client } = await paired('demo');
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  await until('only the one that signs has a thread', () => keyThreads() === 1);
  for (const [name, threads] of [
    ['ready 1', 2],
    ['ready 2', 3],
    ['ready 3', 3],
  ] as const) {
    await admin.result('create_new_key', [name, 'p']);
    await until(`${threads} threads with ${name}`, () => keyThreads() === threads);
  }
  for (const name of ['ready 1', 'ready 2', 'ready 3']) await admin.result('lock_key', [name]);
});

test('unlocking an unlocked key under load succeeds, derives nothing and drops no request', async () => {
  const { client } = await paired('demo');
  let going = true;
  let signed = 0;
  const lane = async () => {
    while (going) {
      assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
      signed++;
    }
  };
  const lanes = Promise.all([lane(), lane(), lane()]);
  for (let i = 0; i < 8; i++) {
    const before = signed;
    // Nobody looks at the passphrase: a derivation would find out that it is wrong.
    assert.equal(await unlocked('demo', `no passphrase of it ${i}`), { success: true });
    await until('it signs on', () => signed > before);
  }
  going = false;
  await lanes;
});

test('a passphrase is changed while the key signs; the next unlock wants the new one', async () => {
  await admin.result('create_new_key', ['changed', 'the first']);
  await admin.result('create_new_key', ['with it', 'the first']);
  const { client } = await paired('changed');
  assert.is(await admin.result('change_passphrase', ['changed', 'the first', 'the second']), '["ok"]');
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  await admin.result('lock_key', ['changed']);
  assert.equal(await unlocked('changed', 'the first'), { success: false, error: 'wrong passphrase' });
  assert.equal(await unlocked('changed', 'the second'), { success: true });
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));

  const error = async (params: unknown[]) => (await admin.call('change_passphrase', params)).error;
  assert.is(await error(['changed', 'the first', 'x']), 'wrong passphrase');
  assert.is(await error(['nobody', 'the first', 'x']), 'no key named "nobody": get_keys lists them');
  assert.is(await error(['changed', 'the second', '']), 'the new passphrase is empty: give one');
  assert.is(await error(['changed']), 'Invalid params: oldPassphrase is missing');
  assert.is(await error(['*', 'of no key', 'x']), 'wrong passphrase');
  assert.is(await admin.result('change_passphrase', ['*', 'the first', 'the second']), '["ok"]');
  await admin.result('lock_key', ['with it']);
  assert.equal(await unlocked('with it', 'the second'), { success: true });
});

test('wrong old passphrases are slowed down like any others', async () => {
  await admin.result('create_new_key', ['guarded', 'the passphrase']);
  let error: string | undefined;
  for (let i = 0; i < 6; i++) error = (await admin.call('change_passphrase', ['guarded', `guess ${i}`, 'x'])).error;
  assert.match(error!, /^too many wrong passphrases: try again in \d+ s$/);
  await until('the admin may try again', async () => {
    return (await admin.call('change_passphrase', ['guarded', 'the passphrase', 'x'])).error === undefined;
  });
});

test('a purged key is gone, with its clients and tokens, and its name and the key itself may be used again', async () => {
  const secret = generateSecretKey();
  const pubkey = getPublicKey(secret);
  const file = join(daemon.data, 'keystore', `${pubkey}.json`);
  await admin.result('create_new_key', ['spent', 'a passphrase', nsecEncode(secret)]);
  const { client } = await paired('spent');
  const refused = async () => (await admin.call('purge_key', ['spent'])).error;
  assert.is(await refused(), 'key "spent" is not deleted: delete it first');
  await admin.result('delete_key', ['spent']);
  assert.match((await admin.call('create_new_key', ['spent', 'x'])).error!, 'was deleted');
  assert.ok(readFileSync(file));
  assert.is(await admin.result('purge_key', ['spent']), '["ok"]');
  assert.throws(() => readFileSync(file), /ENOENT/);
  assert.is(await refused(), 'no key named "spent": get_keys lists them');

  await admin.result('create_new_key', ['spent', 'a passphrase', nsecEncode(secret)]);
  assert.equal(JSON.parse(await admin.result('get_key_users', ['spent'])), []);
  assert.equal(JSON.parse(await admin.result('get_key_tokens', ['spent'])), []);
  await client.submit(client.request('sign_event', [template()]).event);
  await paired('spent');
  assert.is(client.received.length, 1, 'who was bound to the purged key is a stranger to the new one');

  // As a kill between the file and its row would leave it.
  await admin.result('delete_key', ['spent']);
  const sealed = readFileSync(file);
  await admin.result('purge_key', ['spent']);
  writeFileSync(file, sealed);
  await admin.result('create_new_key', ['spent', 'another passphrase']);
  await admin.result('create_new_key', ['spent, not lost', 'x', nsecEncode(secret)]).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, 'Invalid params'),
  );
  await admin.result('create_new_key', ['not lost', 'x', nsecEncode(secret)]);
  assert.ok(verifyEvent(JSON.parse(await (await paired('not lost')).client.result('sign_event', [template()]))));
});

test('a pairing that is refused leaves no key file', async () => {
  for (let i = 0; i < 2; i++) await createPolicy(admin, 'named twice', [{ method: 'ping' }]);
  const files = () => readdirSync(join(daemon.data, 'keystore'));
  const before = files();
  const pairing = { key: 'unpaired', client_name: 'c', policy: 'named twice', passphrase: 'p' };
  assert.match((await admin.call('pair', [JSON.stringify(pairing)])).error!, /^2 policies are named "named twice"/);
  assert.equal(files(), before);
});

test('the command line changes, exports and purges', async () => {
  const files = ['old', 'new', 'own'].map((name) => join(daemon.data, name));
  const [old, replacement, own] = files as [string, string, string];
  writeFileSync(old, 'the old one\n', { mode: 0o600 });
  writeFileSync(replacement, 'the new one\n', { mode: 0o600 });
  writeFileSync(own, "ncryptsec's own\n", { mode: 0o600 });
  const key = generateSecretKey();
  await admin.result('create_new_key', ['by hand', 'the old one', nsecEncode(key)]);
  const cli = (...args: string[]) => runCli(['key', ...args, '--data', daemon.data]);
  const exported = async (...args: string[]) => {
    const { code, stdout, stderr } = await cli('export', 'by hand', ...args);
    assert.is(code, 0, stderr);
    return stdout.trim();
  };
  const both = ['--passphrase-file', old, '--new-passphrase-file', replacement];
  assert.is((await cli('change-passphrase', '--all', 'by hand', ...both)).code, 2);
  const changed = await cli('change-passphrase', 'by hand', ...both, '--json');
  assert.equal(JSON.parse(changed.stdout), { name: 'by hand', changed: true });
  const wrong = await cli('export', 'by hand', '--passphrase-file', old);
  assert.equal([wrong.code, wrong.stdout, wrong.stderr], [1, '', 'redoubt: wrong passphrase\n']);
  assert.is(await exported('--passphrase-file', replacement), nsecEncode(key));
  const ncryptsec = ['--format', 'ncryptsec', '--key-passphrase-file', own];
  const text = await exported('--passphrase-file', replacement, ...ncryptsec);
  assert.equal(decrypt(text as `ncryptsec1${string}`, "ncryptsec's own"), key);
  const json = JSON.parse(await exported('--passphrase-file', replacement, '--format', 'hex', '--json'));
  assert.is(json.key, Buffer.from(key).toString('hex'));
  assert.is(decode(json.npub).data, getPublicKey(key));

  await admin.result('delete_key', ['by hand']);
  const purged = await cli('purge', 'by hand', '--yes', '--json');
  assert.equal(JSON.parse(purged.stdout), { name: 'by hand', purged: true });
});

test('more keys than threads: all are answered, also at once, and no thread is left over', async () => {
  const clients: RpcClient[] = [];
  for (let i = 0; i < KEYS; i++) {
    await admin.result('create_new_key', [`many ${i}`, 'one for all']);
    clients.push((await paired(`many ${i}`)).client);
  }
  const sign = async (client: RpcClient) =>
    assert.ok(verifyEvent(JSON.parse((await client.call('sign_event', [template()], { timeoutMs: 25_000 })).result)));
  let most = 0;
  const watching = setInterval(() => {
    most = Math.max(most, keyThreads());
  }, 5);
  // Whoever asks finds the threads of other keys busy.
  for (let round = 0; round < ROUNDS; round++) await Promise.all(clients.map(sign));
  clearInterval(watching);
  assert.ok(most > MAX_ACTIVE, 'they are counted');
  assert.ok(most <= MAX_ACTIVE + BLANK, `${most} threads`);
  const { keys } = JSON.parse(await admin.result('get_status')) as { keys: { active: number } };
  assert.ok(keys.active <= MAX_ACTIVE, `${keys.active} active`);
});

test.run();
