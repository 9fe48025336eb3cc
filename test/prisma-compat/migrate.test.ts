// deadline: 120 s
/** `redoubt migrate`, from a program folder that is not written to, without npm; and a file of 2023 in use. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { damage, FIXTURES } from '../store/folder.ts';
import { AdoptedDaemon, truth } from '../support/adopted.ts';
import { runCli } from '../support/cli.ts';
import { createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'redoubt-migrate-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** A copy of what nsecbunkerd 0.10.5 left. */
function installation(name: string): { config: string; database: string; env: Record<string, string> } {
  const data = join(folder, name);
  cpSync(join(FIXTURES, 'legacy-0.10.5'), data, { recursive: true });
  const database = join(data, 'nsecbunker.db');
  return { config: join(data, 'nsecbunker.json'), database, env: { DATABASE_URL: `file:${database}` } };
}

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

test('--check and --dry-run say what would run and change nothing; then it is done, once', async () => {
  const { config, database, env } = installation('one');
  const before = digest(database);
  const migrate = (...args: string[]) => runCli(['migrate', '--config', config, ...args], { env });
  const check = await migrate('--check', '--json');
  assert.is(check.code, 1);
  const plan = JSON.parse(check.stdout);
  assert.equal(plan.pending, ['0001-tables', '0002-additions']);
  assert.equal([plan.origin, plan.nsecbunkerd_migrations, plan.migrated], ['nsecbunkerd', 22, false]);
  assert.is((await migrate('--dry-run')).code, 0);
  assert.is(digest(database), before);
  assert.equal(
    readdirSync(join(folder, 'one')).filter((name) => name.includes('pre-redoubt')),
    [],
  );

  const done = await migrate('--json');
  assert.is(done.code, 0);
  assert.is(JSON.parse(done.stdout).migrated, true);
  assert.is(digest(JSON.parse(done.stdout).copy).length, 64);
  assert.is((await migrate('--check')).code, 0);
  assert.is((await migrate()).code, 0);
});

test('a database that is gone beside keys is refused by migrate and by start, with one line', async () => {
  const { config, database, env } = installation('two');
  rmSync(database);
  for (const command of ['migrate', 'start']) {
    const { code, stderr } = await runCli([command, '--config', config], { env });
    assert.is(code, 1);
    assert.match(
      stderr,
      /^redoubt: the keystore has 5 keys but the database is empty: restore a backup, or pass --allow-empty-db if every pairing may be lost .*\n$/m,
    );
    assert.not(readdirSync(join(folder, 'two')).includes('nsecbunker.db'));
  }
  writeFileSync(database, 'nothing that SQLite knows, but there');
  const foreign = await runCli(['migrate', '--config', config, '--allow-empty-db'], { env });
  assert.is(foreign.code, 1);
  assert.match(foreign.stderr, 'not a SQLite database');
  rmSync(database);
  assert.is((await runCli(['migrate', '--config', config, '--allow-empty-db'], { env })).code, 0);
});

test('a table of keys that was damaged since ends the start with one line', async () => {
  const { config, database, env } = installation('damaged');
  assert.is((await runCli(['migrate', '--config', config], { env })).code, 0);
  damage(database, 'Key');
  const { code, stderr } = await runCli(['start', '--config', config], { env });
  assert.is(code, 1);
  const told = stderr.split('\n').filter((line) => !line.startsWith('{'));
  assert.match(told.join('\n'), /^redoubt: the start failed \(keys: SqliteError \(SQLITE_CORRUPT\)\): .*\n$/);
});

test('the program writes nothing beside itself and needs no npm', async () => {
  const program = join(folder, 'program');
  cpSync(join(root, 'dist'), join(program, 'dist'), { recursive: true });
  copyFileSync(join(root, 'package.json'), join(program, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(program, 'node_modules'));
  const files = readdirSync(program, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !name.startsWith('node_modules'),
  );
  const state = () =>
    files.map((name) => {
      const { mtimeMs, size, mode } = statSync(join(program, name));
      return [name, mtimeMs, size, mode];
    });
  for (const name of files) chmodSync(join(program, name), statSync(join(program, name)).mode & 0o555);
  chmodSync(program, 0o555);
  const before = state();
  const daemon = new AdoptedDaemon(join(program, 'dist', 'redoubt.js'));
  try {
    await daemon.start({ PATH: '/nonexistent' });
    assert.is(await daemon.stop(), 0);
    assert.equal(state(), before);
    assert.equal(readdirSync(program).sort(), ['dist', 'node_modules', 'package.json']);
  } finally {
    await daemon.remove();
    chmodSync(program, 0o755);
    for (const name of files) if (statSync(join(program, name)).isDirectory()) chmodSync(join(program, name), 0o755);
  }
});

test('a file of June 2023 is brought forward and used: old keys, new clients', async () => {
  const daemon = new AdoptedDaemon(undefined, join(FIXTURES, 'legacy-2023-06', 'nsecbunker.db'));
  try {
    await daemon.start();
    const admin = await daemon.admin();
    assert.is(JSON.parse(await admin.result('unlock_key', ['lnbits-acct-1', truth.passphrase])).success, true);
    const policy = await createPolicy(admin, 'notes', [{ method: 'sign_event', kind: 1 }]);
    const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'lnbits-acct-1', policy)).bunker_url);
    admin.close();
    assert.is(pubkey, truth.keys['lnbits-acct-1']!.pubkey);
    const client = await new RpcClient(generateSecretKey(), pubkey).open(daemon.relay);
    assert.is(await client.result('connect', [pubkey, secret]), 'ack');
    const template = JSON.stringify({ kind: 1, content: 'x', tags: [], created_at: Math.floor(Date.now() / 1000) });
    assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template]))));
    client.close();
  } finally {
    await daemon.remove();
  }
});

test.run();
