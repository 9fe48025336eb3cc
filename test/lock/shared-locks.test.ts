/** Installations with data folders of their own that name one database, or one keystore. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type SharedFiles, sharedLockHolder, takeSharedLocks } from '../../src/shared-locks.ts';
import { AdoptedDaemon } from '../support/adopted.ts';
import { runCli } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-shared-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** An installation with all of its files in one folder, but for what is named. */
function installation(name: string, named: Partial<SharedFiles> = {}): SharedFiles {
  const data = join(folder, name);
  mkdirSync(join(data, 'keystore'), { recursive: true });
  return { data, database: join(data, 'nsecbunker.db'), keystore: join(data, 'keystore'), ...named };
}

const refusal = (files: SharedFiles) => {
  const lock = takeSharedLocks(files);
  if (!lock.ok) return lock.refusal;
  lock.release();
  return null;
};

test('one database, or one keystore, is taken once, whatever way leads to it', () => {
  const one = installation('one');
  writeFileSync(one.database, '');
  symlinkSync(one.database, join(folder, 'link.db'));
  symlinkSync(one.keystore!, join(folder, 'link'));
  const lock = takeSharedLocks(one);
  assert.ok(lock.ok);
  for (const database of [one.database, join(folder, 'link.db')]) {
    const said = `another redoubt (process ${process.pid}) runs on ${database}: stop it first, or name another one with DATABASE_URL`;
    assert.is(refusal(installation('two', { database })), said);
    assert.is(refusal(installation('two', { database, keystore: null })), said);
  }
  for (const keystore of [one.keystore!, join(folder, 'link')]) {
    assert.match(refusal(installation('two', { keystore })) ?? '', 'REDOUBT_KEYSTORE_DIR');
  }
  const { database } = one;
  assert.equal(sharedLockHolder(installation('two', { database })), { pid: process.pid, of: database });
  assert.is(sharedLockHolder(installation('two')), null);
  lock.release();
  assert.is(refusal(installation('two', { database })), null);
});

test('two databases in one folder do not meet, and a refused start holds nothing', () => {
  const one = installation('three', { keystore: null });
  const lock = takeSharedLocks(one);
  assert.ok(lock.ok);
  const keystore = installation('four').keystore;
  assert.is(refusal(installation('four', { database: join(one.data, 'other.db') })), null);
  assert.not(refusal(installation('four', { database: one.database, keystore })) === null);
  assert.is(refusal(installation('four')), null);
  lock.release();
});

test('where no lock can be made it is left to who opens the file, and the data folder may be the keystore', () => {
  assert.is(refusal(installation('five', { database: join(folder, 'nowhere', 'x.db'), keystore: '/nowhere' })), null);
  const { data } = installation('six');
  const lock = takeSharedLocks(installation('six', { keystore: data }));
  assert.ok(lock.ok);
  assert.not(existsSync(join(data, 'redoubt.lock')));
  lock.release();
});

test('a second daemon, key upgrade and restore are refused beside a daemon on the same database', async () => {
  const first = new AdoptedDaemon();
  const second = new AdoptedDaemon();
  const archive = join(folder, 'archive');
  try {
    await first.start();
    const made = await runCli(['backup', archive, '--plain', '--config', first.config], { env: first.env() });
    assert.is(made.code, 0, made.stderr);
    const shared = { DATABASE_URL: `file:${first.database}` };
    const started = await second.start(shared).then(
      () => 'started',
      (error) => String(error),
    );
    assert.match(
      started,
      `redoubt: another redoubt (process ${first.child.pid}) runs on ${first.database}: stop it first`,
    );
    const env = { ...second.env(), ...shared };
    for (const args of [
      ['key', 'upgrade', '--same-passphrase', '--passphrase-file', first.config],
      ['restore', archive, '--force'],
    ]) {
      const { code, stderr } = await runCli([...args, '--config', second.config], { env });
      assert.is(code, 1, args[0]);
      assert.match(stderr, `(process ${first.child.pid}) runs on ${first.database}: stop it first`);
    }
    assert.is(await first.stop(), 0);
    await second.start(shared);
    assert.is(await second.stop(), 0);
    assert.not(existsSync(`${first.database}.redoubt.lock`));
  } finally {
    await second.remove();
    await first.remove();
  }
});

test('nothing is migrated while another has the database', async () => {
  const daemon = new AdoptedDaemon();
  const lock = takeSharedLocks({ data: folder, database: daemon.database, keystore: null });
  try {
    const migrate = () => runCli(['migrate', '--config', daemon.config], { env: daemon.env() });
    const refused = await migrate();
    assert.is(refused.code, 1);
    assert.match(refused.stderr, `another redoubt (process ${process.pid}) runs on ${daemon.database}`);
    if (lock.ok) lock.release();
    assert.is((await migrate()).code, 0);
  } finally {
    await daemon.remove();
  }
});

test.run();
