/** What a restore over an installation repeats of what was ended there since, however old the archive is. */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyFolder, legacyInstallation, runOn, withDatabase } from './installation.ts';

/** An installation that Redoubt has adopted, and an archive of it. */
async function adopted() {
  const { data, database } = legacyInstallation();
  assert.is((await runOn(data, 'migrate')).code, 0);
  return { data, database, file: await backedUp(data) };
}

async function backedUp(data: string): Promise<string> {
  const file = join(emptyFolder(), 'archive');
  const { code, err } = await runOn(data, 'backup', file, '--plain');
  assert.is(code, 0, err);
  return file;
}

async function restored(data: string, file: string) {
  const { code, out, err } = await runOn(data, 'restore', file, '--force', '--json');
  assert.is(code, 0, err);
  return { ...JSON.parse(out), err };
}

const column = (database: string, sql: string) => withDatabase(database, (db) => db.prepare(sql).pluck().all());

/** As src/policy/commands/purge.ts does it. */
const PURGE = `
  DELETE FROM Token WHERE keyName = 'spire-7f3c9a';
  DELETE FROM SigningCondition WHERE keyUserId IN (SELECT id FROM KeyUser WHERE keyName = 'spire-7f3c9a');
  DELETE FROM KeyUser WHERE keyName = 'spire-7f3c9a';
  DELETE FROM Key WHERE keyName = 'spire-7f3c9a'`;

test('a key that was purged stays deleted, its clients revoked and its tokens void', async () => {
  const { data, database, file } = await adopted();
  withDatabase(database, (db) => db.exec(PURGE));
  const report = await restored(data, file);
  const { keys, clients, tokens } = report.revoked_since;
  assert.equal([keys, clients, tokens], [1, 2, 3]);
  assert.equal(report.purged_since.map((what: string) => what.replace(/([0-9a-f]{8})[0-9a-f]{56}/, '$1')).sort(), [
    ...['client spire-7f3c9a 4e430e37', 'client spire-7f3c9a ded1d9d0', 'key spire-7f3c9a'],
    ...[3, 4, 5].map((id) => `token ${id} of spire-7f3c9a`),
  ]);
  const alive = (table: string, date: string) =>
    column(database, `SELECT id FROM "${table}" WHERE ${date} IS NULL AND keyName = 'spire-7f3c9a'`);
  assert.equal([alive('Key', 'deletedAt'), alive('KeyUser', 'revokedAt'), alive('Token', 'deletedAt')], [[], [], []]);
  const granted = 'SELECT count(*) FROM SigningCondition WHERE allowed = 1 AND keyUserId IN (3, 4)';
  assert.equal(column(database, granted), [0]);
  assert.equal(column(database, 'SELECT id FROM "Key" WHERE deletedAt IS NULL'), [1, 3], 'and no other');
});

test('a key that was imported again after it was purged lives on; its clients of before do not', async () => {
  const { data, database, file } = await adopted();
  const [pubkey] = column(database, "SELECT pubkey FROM Key WHERE keyName = 'spire-7f3c9a'");
  withDatabase(database, (db) => {
    db.exec(PURGE);
    db.prepare("INSERT INTO Key (keyName, pubkey) VALUES ('spire-7f3c9a', ?)").run(pubkey);
  });
  const { keys, clients } = (await restored(data, file)).revoked_since;
  assert.equal([keys, clients], [0, 2]);
});

test('an archive of another installation, and one that is newer than what it replaces, lose nothing', async () => {
  const { data, database, file } = await adopted();
  // Another installation, whose own rows with these ids came and went.
  withDatabase(database, (db) => {
    db.exec(`${PURGE}; DELETE FROM Token; DELETE FROM Policy; DELETE FROM KeyUser; DELETE FROM Key`);
    db.exec(`INSERT INTO Key (keyName, pubkey) VALUES ('other', '${'ab'.repeat(32)}')`);
  });
  assert.equal((await restored(data, file)).purged_since, []);

  const older = await adopted();
  withDatabase(older.database, (db) =>
    db.exec(`INSERT INTO KeyUser (keyName, userPubkey) VALUES ('spire-7f3c9a', '${'cd'.repeat(32)}')`),
  );
  const newer = await backedUp(older.data);
  await restored(older.data, older.file);
  assert.equal((await restored(older.data, newer)).purged_since, []);
});

test('an archive from before the adoption: what was revoked, locked and deleted since stays so', async () => {
  const { data, database } = legacyInstallation();
  // A key of nsecbunker.json that nobody has used yet, and that is given its row later.
  withDatabase(database, (db) => db.exec("DELETE FROM Key WHERE keyName = 'alice@example.com'"));
  const file = await backedUp(data);
  assert.is((await runOn(data, 'migrate')).code, 0);
  const later = Date.now() + 1_000;
  withDatabase(database, (db) =>
    db.exec(`
      UPDATE Key SET lockedAt = ${later} WHERE keyName = 'spire-7f3c9a';
      UPDATE KeyUser SET revokedAt = ${later} WHERE id = 1;
      INSERT INTO Key (keyName, pubkey, deletedAt) VALUES ('alice@example.com', '${'ab'.repeat(32)}', ${later});
      INSERT INTO redoubt_meta VALUES ('lockedAt:lnbits-acct-2', '${later}'), ('lockedAt:lnbits-acct-1', '1000')`),
  );
  const { clients, keys, locks } = (await restored(data, file)).revoked_since;
  assert.equal([clients, keys, locks], [1, 1, 2]);
  assert.equal(column(database, 'SELECT keyName FROM Key WHERE lockedAt IS NOT NULL'), ['spire-7f3c9a']);
  assert.equal(column(database, 'SELECT id FROM KeyUser WHERE revokedAt IS NOT NULL ORDER BY id'), [1, 5]);
  assert.equal(column(database, 'SELECT keyName FROM Key WHERE deletedAt = (SELECT max(deletedAt) FROM Key)'), [
    'alice@example.com',
  ]);
  const locked = "SELECT name FROM redoubt_meta WHERE name LIKE 'lockedAt:%'";
  assert.equal(column(database, locked), ['lockedAt:lnbits-acct-2'], 'and not what was locked before');
  const left = readdirSync(data).filter((name) => name.startsWith('.'));
  assert.equal(left, []);
});

test('the lock of a key without a row is carried into an archive of our own form too', async () => {
  const { data, database, file } = await adopted();
  const lock = `INSERT INTO redoubt_meta VALUES ('lockedAt:lnbits-acct-2', '${Date.now() + 1_000}')`;
  withDatabase(database, (db) => db.exec(lock));
  assert.is((await restored(data, file)).revoked_since.locks, 1);
  assert.equal(column(database, "SELECT count(*) FROM redoubt_meta WHERE name = 'lockedAt:lnbits-acct-2'"), [1]);
});

test('an archive from before clients could be revoked: they stay revoked', async () => {
  const { data, database } = legacyInstallation();
  copyFileSync(new URL('../fixtures/legacy-2023-06/nsecbunker.db', import.meta.url), database);
  withDatabase(database, (db) => {
    const add = db.prepare("INSERT INTO KeyUser (keyName, userPubkey, updatedAt) VALUES ('lnbits-acct-1', ?, 1)");
    for (const pubkey of ['ab', 'cd']) add.run(pubkey.repeat(32));
  });
  const file = await backedUp(data);
  assert.is((await runOn(data, 'migrate')).code, 0);
  withDatabase(database, (db) => db.exec(`UPDATE KeyUser SET revokedAt = ${Date.now() + 1_000} WHERE id = 1`));
  assert.is((await restored(data, file)).revoked_since.clients, 1);
  assert.equal(column(database, 'SELECT id FROM KeyUser WHERE revokedAt IS NOT NULL'), [1]);
});

test('where Redoubt has adopted nothing, a restore adopts nothing', async () => {
  const { data, database } = legacyInstallation();
  await restored(data, await backedUp(data));
  assert.equal(column(database, "SELECT name FROM sqlite_master WHERE name LIKE 'redoubt%'"), []);
});

test('an admin who was taken out of the configuration since is named', async () => {
  const { data, file } = await adopted();
  const path = join(data, 'nsecbunker.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  const [npub] = config.admin.npubs;
  const dry = () => runOn(data, 'restore', file, '--dry-run', '--json');
  assert.equal(JSON.parse((await dry()).out).warnings, []);
  writeFileSync(path, JSON.stringify({ ...config, admin: { ...config.admin, npubs: [] } }));
  const line = `admins whom only the archive names, and who administrate again: ${npub}`;
  assert.equal(JSON.parse((await dry()).out).warnings, [line]);
  writeFileSync(path, '{');
  assert.match(JSON.parse((await dry()).out).warnings.join(), /who was removed is not known/);
});

test.run();
