/** Archives: what is refused, what a cut or a flipped bit does, and what a restore leaves behind. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CHUNK } from '../../src/maintenance/archive/chunks.ts';
import { digest } from '../../src/maintenance/archive/manifest.ts';
import { runMain } from '../cli/run.ts';
import { forge } from './forged.ts';
import { emptyFolder, legacyInstallation, rowsOf, runOn as run, withDatabase } from './installation.ts';

const passphrase = join(emptyFolder(), 'passphrase');
writeFileSync(passphrase, 'of the backup\n', { mode: 0o600 });
process.env.REDOUBT_KEYSTORE_LOG_N = '14';

async function archived(...args: string[]): Promise<{ data: string; file: string }> {
  const { data } = legacyInstallation();
  const file = join(emptyFolder(), 'archive');
  const { code, err } = await run(
    data,
    'backup',
    file,
    ...(args.length > 0 ? args : ['--passphrase-file', passphrase]),
  );
  assert.is(code, 0, err);
  return { data, file };
}

const restore = (data: string, file: string, ...args: string[]) =>
  run(data, 'restore', file, '--passphrase-file', passphrase, ...args);

/** A plain archive of these files, whatever they are called. */
function forged(entries: { path: string; content: string }[]): string {
  const list = entries.map(({ path, content }) => {
    const bytes = Buffer.from(content);
    return { path, size: bytes.length, sha256: digest(bytes) };
  });
  const counts = { keys: 0, pairings: 0, auditRows: 0 };
  return forge(
    JSON.stringify({ createdAt: 1, redoubt: '0', counts, entries: list }),
    entries.map(({ content }) => Buffer.from(content)),
  );
}

test('a backup is 0600, holds no secret in the clear, and comes back elsewhere byte for byte', async () => {
  const { data, file } = await archived();
  assert.is(statSync(file).mode & 0o777, 0o600);
  const config = readFileSync(join(data, 'nsecbunker.json'));
  const bytes = readFileSync(file);
  assert.not(bytes.includes(JSON.parse(config.toString()).admin.key));
  assert.not(bytes.includes('0890d1626528af1cd70b0758cced3cf6'));
  assert.equal(
    readdirSync(data).sort(),
    ['nsecbunker.db', 'nsecbunker.json', 'truth.json'],
    'nothing is left beside it',
  );
  const target = emptyFolder();
  const { code, out } = await restore(target, file, '--json');
  assert.is(code, 0);
  assert.ok(readFileSync(join(target, 'nsecbunker.json')).equals(config));
  for (const table of ['Key', 'KeyUser', 'Policy', 'PolicyRule', 'SigningCondition']) {
    assert.equal(rowsOf(join(target, 'nsecbunker.db'), table), rowsOf(join(data, 'nsecbunker.db'), table));
  }
  for (const name of ['nsecbunker.db', 'nsecbunker.json']) assert.is(statSync(join(target, name)).mode & 0o077, 0);
  assert.equal(readdirSync(target).sort(), ['keystore', 'nsecbunker.db', 'nsecbunker.json']);
  const report = JSON.parse(out);
  assert.equal([report.pairings, report.voided_tokens], [7, 1]);
  const token = withDatabase(join(target, 'nsecbunker.db'), (db) =>
    db.prepare('SELECT deletedAt FROM Token WHERE id = 8').pluck().get(),
  );
  assert.type(token, 'number');
});

test('a wrong passphrase, a flipped bit anywhere and an end that is missing are told, and nothing is written', async () => {
  const { data, file } = await archived();
  const whole = readFileSync(file);
  const bad = join(emptyFolder(), 'bad');
  const target = emptyFolder();
  writeFileSync(bad, 'wrong\n', { mode: 0o600 });
  const wrong = await run(target, 'restore', file, '--passphrase-file', bad);
  assert.equal([wrong.code, wrong.out], [1, '']);
  assert.match(wrong.err, /wrong passphrase/);
  const header = 100;
  const second = header + CHUNK + 16;
  const flips = [0, 14, 15, 17, 50, 60, header, header + CHUNK - 1, second, whole.length - 1];
  for (const at of flips) {
    const changed = Buffer.from(whole);
    changed[at]! ^= 1;
    writeFileSync(bad, changed);
    const { code, err } = await restore(target, bad);
    assert.is(code, 1, `bit at ${at}`);
    assert.match(err, /is no backup|damaged|wrong passphrase|format/, `bit at ${at}`);
  }
  // Also at the boundary of two chunks, where what is left is whole in itself.
  for (const length of [0, 10, header - 1, header, header + 10, second, whole.length - 1]) {
    writeFileSync(bad, whole.subarray(0, length));
    const { code, err } = await restore(target, bad);
    assert.is(code, 1, `cut at ${length}`);
    assert.match(err, /is no backup|damaged|cut short/, `cut at ${length}`);
  }
  writeFileSync(bad, Buffer.concat([whole, Buffer.from('x')]));
  assert.is((await restore(target, bad)).code, 1);
  assert.equal(readdirSync(target), []);
  assert.ok(existsSync(join(data, 'nsecbunker.db')));
});

test('a plain archive tells a changed or a missing byte too', async () => {
  const { file } = await archived('--plain');
  const whole = readFileSync(file);
  const target = emptyFolder();
  const bad = join(emptyFolder(), 'bad');
  for (const at of [20, 60, 400, whole.length - 5_000]) {
    const changed = Buffer.from(whole);
    changed[at]! ^= 1;
    writeFileSync(bad, changed);
    assert.match((await run(target, 'restore', bad)).err, /damaged/, `bit at ${at}`);
  }
  writeFileSync(bad, whole.subarray(0, whole.length - 1));
  assert.match((await run(target, 'restore', bad)).err, /cut short/);
  assert.equal(readdirSync(target), []);
  assert.is((await run(target, 'restore', file)).code, 0);
});

test('paths that lead out, files that do not belong, and links are refused', async () => {
  const config = { path: 'config/nsecbunker.json', content: '{}' };
  const database = { path: 'database/nsecbunker.db', content: '' };
  for (const path of [
    '../evil',
    '/etc/evil',
    'keystore/../../evil',
    'config/..',
    'C:/evil',
    'keystore\\evil',
    'config//x',
  ]) {
    const target = emptyFolder();
    const { code, err } = await run(target, 'restore', forged([config, database, { path, content: 'x' }]));
    assert.is(code, 1);
    assert.match(err, /unsafe path/, path);
    assert.equal(readdirSync(target), []);
  }
  for (const path of ['config/evil', 'keystore/evil.json', 'evil']) {
    const { err } = await run(emptyFolder(), 'restore', forged([config, database, { path, content: 'x' }]));
    assert.match(err, /belongs to no installation/, path);
  }
  assert.match((await run(emptyFolder(), 'restore', forged([config, config, database]))).err, /a file twice/);
  assert.match((await run(emptyFolder(), 'restore', forged([config]))).err, /lacks database/);

  const { file } = await archived();
  const target = emptyFolder();
  const elsewhere = emptyFolder();
  symlinkSync(elsewhere, join(target, 'keystore'));
  assert.match((await restore(target, file, '--force')).err, /keystore is a link/);
  assert.equal([readdirSync(target), readdirSync(elsewhere)], [['keystore'], []]);
});

test('an archive decides on no place outside of the data folder', async () => {
  const { file } = await archived();
  const target = emptyFolder();
  const { code, err } = await runMain(['restore', file, '--data', target, '--passphrase-file', passphrase]);
  assert.is(code, 1);
  assert.match(err, /has the database at .*, outside of .*: say where it belongs with DATABASE_URL/);
  assert.equal(readdirSync(target), []);
});

test('an installation is replaced only when told to, and what was there is kept', async () => {
  const { data, file } = await archived();
  const before = readdirSync(data).sort();
  const refused = await restore(data, file);
  assert.is(refused.code, 1);
  assert.match(refused.err, /is in use .*--force replaces it/);
  const dry = await restore(data, file, '--dry-run', '--json');
  assert.is(dry.code, 0);
  assert.is(JSON.parse(dry.out).would_replace.length, 2);
  assert.equal(readdirSync(data).sort(), before);

  // What a database before it left: SQLite must not find it beside the new one.
  writeFileSync(join(data, 'nsecbunker.db-wal'), '');
  const { code, out } = await restore(data, file, '--force', '--json');
  assert.is(code, 0);
  const { kept } = JSON.parse(out) as { kept: { was: string; is: string }[] };
  assert.equal(
    kept.map(({ was }) => was).sort(),
    ['nsecbunker.db', 'nsecbunker.db-wal', 'nsecbunker.json'].map((name) => join(data, name)),
  );
  assert.not(existsSync(join(data, 'nsecbunker.db-wal')));
  for (const { is } of kept) assert.match(is, /\.before-restore-\d{8}T\d{6}Z$/);
  assert.is(rowsOf(kept.find(({ was }) => was.endsWith('.db'))!.is, 'Token').length, 8);
});

test('what was revoked after the archive was made stays revoked', async () => {
  const { data, file } = await archived();
  const later = Date.now() + 1_000;
  withDatabase(join(data, 'nsecbunker.db'), (db) => {
    db.exec(`
      UPDATE KeyUser SET revokedAt = ${later} WHERE id = 1;
      UPDATE Token SET deletedAt = ${later} WHERE id = 6;
      UPDATE Policy SET deletedAt = ${later} WHERE id = 4;
      DELETE FROM PolicyRule WHERE id = 5;
      DELETE FROM SigningCondition WHERE id IN (6, 10);
      INSERT INTO SigningCondition (method, allowed, keyUserId) VALUES ('*', 0, 3);
      UPDATE Key SET deletedAt = ${later} WHERE id = 3;
      INSERT INTO KeyUser (id, keyName, userPubkey) VALUES (10, 'lnbits-acct-2', 'since');
      INSERT INTO Token (keyName, token, clientName, createdBy, redeemedAt, keyUserId) VALUES ('lnbits-acct-2', 's', '', '', ${later}, 10);
    `);
  });
  const { code, out, err } = await restore(data, file, '--force', '--json');
  assert.is(code, 0, err);
  const report = JSON.parse(out);
  assert.equal(report.revoked_since, {
    clients: 1,
    tokens: 1,
    policies: 1,
    rules: 1,
    conditions: 1,
    denied_clients: 1,
    keys: 1,
    locks: 0,
  });
  assert.equal(report.pairings_since, ['lnbits-acct-2 since']);
  withDatabase(join(data, 'nsecbunker.db'), (db) => {
    const one = (sql: string) => db.prepare(sql).pluck().get();
    assert.is(one('SELECT revokedAt FROM KeyUser WHERE id = 1'), later);
    assert.type(one('SELECT deletedAt FROM Token WHERE id = 1'), 'number', "a revoked client's token");
    assert.is(one('SELECT count(*) FROM SigningCondition WHERE keyUserId = 1'), 0);
    assert.is(one('SELECT deletedAt FROM Token WHERE id = 6'), later);
    assert.is(one('SELECT deletedAt FROM Policy WHERE id = 4'), later);
    assert.is(one('SELECT count(*) FROM PolicyRule WHERE id = 5'), 0);
    assert.is(one('SELECT count(*) FROM SigningCondition WHERE id = 6'), 0, 'a permission that was taken back');
    assert.is(one('SELECT count(*) FROM SigningCondition WHERE id = 10'), 1, 'a denial of the archive');
    assert.is(one("SELECT count(*) FROM SigningCondition WHERE method = '*' AND keyUserId = 3"), 1);
    assert.is(one('SELECT deletedAt FROM Key WHERE id = 3'), later);
  });
});

test('what was revoked before the archive was made, and paired again, is not revoked again', async () => {
  const { data, file } = await archived();
  withDatabase(join(data, 'nsecbunker.db'), (db) => db.exec('UPDATE KeyUser SET revokedAt = 1000 WHERE id = 2'));
  const report = JSON.parse((await restore(data, file, '--force', '--json')).out);
  assert.is(report.revoked_since.clients, 0);
});

test('a backup replaces no file, and one that fails leaves none', async () => {
  const { data, file } = await archived();
  const there = await run(data, 'backup', file, '--plain');
  assert.equal([there.code, there.out], [1, '']);
  assert.match(there.err, /is there already: give another name/);
  const folder = emptyFolder();
  assert.match((await run(data, 'backup', join(folder, 'none', 'a'), '--plain')).err, /the folder .* does not exist/);
  mkdirSync(join(data, 'keystore'));
  // Pages that belong to something.
  const bytes = readFileSync(join(data, 'nsecbunker.db'));
  bytes.fill(0xff, 8192, 16_384);
  writeFileSync(join(data, 'nsecbunker.db'), bytes);
  const damaged = await run(data, 'backup', join(folder, 'a'), '--plain');
  assert.is(damaged.code, 1);
  assert.match(damaged.err, /is damaged/);
  assert.equal(
    [readdirSync(folder), readdirSync(data).sort()],
    [[], ['keystore', 'nsecbunker.db', 'nsecbunker.json', 'truth.json']],
  );
  const dry = await run(legacyInstallation().data, 'backup', join(folder, 'a'), '--dry-run', '--json');
  assert.equal([dry.code, JSON.parse(dry.out).pairings, readdirSync(folder)], [0, 7, []]);
});

test.run();
