// deadline: 120 s
/** `redoubt key upgrade`: keys of nsecbunker.json into the keystore, and out of the old file. */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AdoptedDaemon, truth } from '../support/adopted.ts';
import { runCli } from '../support/cli.ts';

const NEW = 'a new passphrase, with an ümlaut';
const daemon = new AdoptedDaemon();
const passphrases: { [name: string]: string } = {};

test.before(() => {
  for (const [name, text] of Object.entries({ old: truth.passphrase, own: NEW, wrong: 'of nothing' })) {
    passphrases[name] = join(daemon.data, `${name}.txt`);
    writeFileSync(passphrases[name]!, `${text}\n`, { mode: 0o600 });
  }
});
test.after(() => daemon.remove());

const digest = () => createHash('sha256').update(readFileSync(daemon.config)).digest('hex');
const keyFiles = () =>
  existsSync(join(daemon.data, 'keystore'))
    ? readdirSync(join(daemon.data, 'keystore')).filter((name) => name.length === 69)
    : [];

interface Told {
  upgraded: string[];
  before: string[];
  removed: string[];
  deleted: string[];
  gone: string[];
  left: { key: string; why: string }[];
}

async function run(...args: string[]): Promise<{ code: number | null; data: Told; stderr: string }> {
  const command = ['key', 'upgrade', '--config', daemon.config, '--json', ...args];
  const { code, stdout, stderr } = await runCli(command, { env: daemon.env() });
  return { code, stderr, data: stdout === '' ? null : JSON.parse(stdout) };
}

test('before the database is adopted it is refused', async () => {
  const { code, stderr } = await run('--old-passphrase-file', passphrases.old!, '--passphrase-file', passphrases.own!);
  assert.is(code, 1);
  assert.match(stderr, 'run "redoubt migrate" first');
});

test('a wrong old passphrase seals only what needs none', async () => {
  await runCli(['migrate', '--config', daemon.config], { env: daemon.env() });
  const before = digest();
  const { code, data } = await run('--old-passphrase-file', passphrases.wrong!, '--passphrase-file', passphrases.own!);
  assert.is(code, 1);
  assert.equal(data.upgraded, ['alice@example.com']);
  assert.equal(
    data.left.map(({ key, why }) => [key, why]),
    ['lnbits-acct-1', 'lnbits-acct-2', 'spire-7f3c9a'].map((key) => [key, 'wrong passphrase']),
  );
  assert.equal(data.deleted, ['retired-key']);
  assert.is(digest(), before);
});

test('with the right one all are sealed, one without a row gets its row, and the old file stays', async () => {
  const before = digest();
  const { code, data } = await run('--old-passphrase-file', passphrases.old!, '--passphrase-file', passphrases.own!);
  assert.is(code, 0);
  assert.equal(data.upgraded, ['lnbits-acct-1', 'lnbits-acct-2', 'spire-7f3c9a']);
  assert.equal(data.before, ['alice@example.com']);
  assert.is(keyFiles().length, 4);
  const row = daemon.rows<{ pubkey: string }>(`SELECT pubkey FROM "Key" WHERE keyName = 'lnbits-acct-2'`);
  assert.equal(row, [{ pubkey: truth.keys['lnbits-acct-2']!.pubkey }]);
  const slots = JSON.parse(readFileSync(join(daemon.data, 'keystore', 'keystore.json'), 'utf8')).slots;
  assert.is(slots.length, 1, 'one passphrase, one slot');
  assert.is(digest(), before);
});

test('while a daemon runs it is refused; there the new passphrase counts, and the old one is wrong', async () => {
  await daemon.start();
  const { code, stderr } = await run('--remove-legacy', '--passphrase-file', passphrases.own!);
  assert.is(code, 1);
  assert.match(stderr, 'stop it first');
  const admin = await daemon.admin();
  const unlock = async (name: string, passphrase: string) =>
    JSON.parse(await admin.result('unlock_key', [name, passphrase])) as { success: boolean; error?: string };
  assert.equal(await unlock('lnbits-acct-2', truth.passphrase), { success: false, error: 'wrong passphrase' });
  assert.equal(await unlock('lnbits-acct-2', NEW), { success: true });
  // It lay there unencrypted; now it waits for its passphrase.
  assert.equal(await unlock('alice@example.com', truth.passphrase), { success: false, error: 'wrong passphrase' });
  admin.close();
  assert.is(await daemon.stop(), 0);
});

test('--remove-legacy takes nothing out when a sealed key does not open', async () => {
  const before = digest();
  const wrong = await run('--remove-legacy', '--passphrase-file', passphrases.wrong!);
  assert.is(wrong.code, 1);
  assert.is(wrong.data.left.length, 4);
  assert.equal(wrong.data.removed, []);
  const path = join(daemon.data, 'keystore', `${truth.keys['spire-7f3c9a']!.pubkey}.json`);
  const sealed = JSON.parse(readFileSync(path, 'utf8'));
  const first = sealed.ciphertext[0];
  writeFileSync(
    path,
    JSON.stringify({ ...sealed, ciphertext: `${first === 'A' ? 'B' : 'A'}${sealed.ciphertext.slice(1)}` }),
  );
  const damaged = await run('--remove-legacy', '--passphrase-file', passphrases.own!);
  assert.is(damaged.code, 1);
  assert.equal(damaged.data.left, [{ key: 'spire-7f3c9a', why: 'key file is damaged' }]);
  assert.is(digest(), before);
  writeFileSync(path, JSON.stringify(sealed));
});

test('--remove-legacy takes out what is proven, and nothing else', async () => {
  chmodSync(daemon.config, 0o640);
  const before = JSON.parse(readFileSync(daemon.config, 'utf8'));
  const { code, data } = await run('--remove-legacy', '--passphrase-file', passphrases.own!);
  assert.is(code, 0);
  assert.is(data.removed.length, 4);
  const after = JSON.parse(readFileSync(daemon.config, 'utf8'));
  assert.equal(Object.keys(after.keys), ['retired-key']);
  assert.equal({ ...after, keys: null }, { ...before, keys: null });
  assert.equal(after.keys['retired-key'], before.keys['retired-key']);
  assert.is(statSync(daemon.config).mode & 0o777, 0o640);
});

test('and the clients go on signing', async () => {
  await daemon.start();
  const admin = await daemon.admin();
  const swept = JSON.parse(await admin.result('unlock_keys', [JSON.stringify({ passphrase: NEW })]));
  assert.equal(swept, { success: 4, total: 4, failed: [] });
  admin.close();
  const template = JSON.stringify({ kind: 1, content: 'x', tags: [], created_at: Math.floor(Date.now() / 1000) });
  for (const [name, key] of [
    ['lnbits2', 'lnbits-acct-2'],
    ['manual', 'alice@example.com'],
  ] as const) {
    const client = await daemon.client(name, key);
    assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template]))));
    client.close();
  }
});

test('a deleted key is purged once --remove-deleted has taken it out of the old file, and named it', async () => {
  const purge = async () => {
    const admin = await daemon.admin();
    const { result, error } = await admin.call('purge_key', ['retired-key']);
    admin.close();
    return error ?? result;
  };
  assert.match(await purge(), '"redoubt key upgrade --remove-deleted" first');
  assert.is(await daemon.stop(), 0);
  const before = JSON.parse(readFileSync(daemon.config, 'utf8'));
  const { code, data } = await run('--remove-deleted');
  assert.is(code, 0);
  assert.equal([data.gone, data.deleted, data.removed], [['retired-key'], [], []]);
  assert.equal(JSON.parse(readFileSync(daemon.config, 'utf8')), { ...before, keys: {} });
  await daemon.start();
  assert.is(await purge(), '["ok"]');
  assert.equal(daemon.rows(`SELECT 1 FROM "Key" WHERE keyName = 'retired-key'`), []);
});

test('a database whose lock another program holds ends it with one line, and it is run again', async () => {
  const other = new AdoptedDaemon();
  const cli = (...args: string[]) => runCli([...args, '--config', other.config], { env: other.env() });
  const upgrade = () => cli('key', 'upgrade', '--same-passphrase', '--passphrase-file', passphrases.old!);
  try {
    assert.is((await cli('migrate')).code, 0);
    const db = new Database(other.database);
    db.exec('BEGIN IMMEDIATE');
    const { code, stderr } = await upgrade();
    db.exec('ROLLBACK');
    db.close();
    assert.is(code, 1);
    assert.is(stderr, 'redoubt: the database: another program holds its lock (SQLITE_BUSY)\n');
    assert.is((await upgrade()).code, 0);
  } finally {
    await other.remove();
  }
});

test.run();
