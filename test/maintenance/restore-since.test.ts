/** What a restore over an installation repeats of what was ended there since, however old the archive is. */
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

test.run();
