/** `redoubt strip-photocopies` on what nsecbunkerd 0.10.5 left. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Redeemed } from '../../prisma-compat/photocopies.ts';
import { deleteConditions, planStrip } from '../../prisma-compat/strip-photocopies.ts';
import { runMain } from '../cli/run.ts';
import { legacyInstallation, rowsOf, withDatabase } from '../maintenance/installation.ts';

const KEPT_TABLES = ['Key', 'KeyUser', 'Token', 'Policy', 'PolicyRule', 'Log', 'Request', 'User', '_prisma_migrations'];
const NOW = Date.UTC(2027, 0, 1);
const ids = (path: string) => rowsOf(path, 'SigningCondition').map((row) => (row as { id: number }).id);

async function strip(database: string, data: string, ...args: string[]) {
  process.env.DATABASE_URL = `file:${database}`;
  try {
    return await runMain(['strip-photocopies', '--data', data, ...args]);
  } finally {
    delete process.env.DATABASE_URL;
  }
}

test('photocopies and their connects go; what was set by hand, every pairing and every other row stay', async () => {
  const { data, database } = legacyInstallation();
  const conditions = rowsOf(database, 'SigningCondition');
  const kept = KEPT_TABLES.map((table) => rowsOf(database, table));
  const { code, out } = await strip(database, data, '--json');
  assert.is(code, 0);
  const report = JSON.parse(out);
  assert.equal(report.found, { photocopies: 5, connects: 2, overrides: 3, denials: 1, loose: 0 });
  assert.equal([report.to_delete, report.deleted, report.pairings], [7, 7, { before: 7, after: 7 }]);
  // 8 and 9: the manual override, with the connect of a client that redeemed nothing. 10 and 11: the ban.
  assert.equal(ids(database), [8, 9, 10, 11]);
  assert.equal(
    KEPT_TABLES.map((table) => rowsOf(database, table)),
    kept,
  );
  assert.equal(rowsOf(report.backup, 'SigningCondition'), conditions, 'the copy is the database as it was');
  assert.is(statSync(report.backup).mode & 0o777, 0o600);

  const again = JSON.parse((await strip(database, data, '--json')).out);
  assert.equal([again.to_delete, again.deleted, again.backup], [0, 0, null]);
});

test('a dry run changes nothing and leaves no file', async () => {
  const { data, database } = legacyInstallation();
  const before = readFileSync(database);
  const names = readdirSync(data);
  const { code, out, err } = await strip(database, data, '--dry-run');
  assert.equal([code, out], [0, 'nothing was changed: 7 rows would be deleted\n']);
  assert.match(err, /5 photocopies and 2 connects that redeeming wrote; set by hand: 3 permissions, 1 denials/);
  assert.ok(readFileSync(database).equals(before));
  assert.equal(readdirSync(data), names);
});

test('--all takes everything, and shows first what was set by hand', async () => {
  const { data, database } = legacyInstallation();
  const { code, out, err } = await strip(database, data, '--all');
  assert.is(code, 0);
  assert.match(
    err,
    /with these, which somebody set by hand:[\s\S]*denial +alice@example.com +cc9e9d104ad78b23 +denied by hand/,
  );
  assert.match(err, /9 +override +alice@example.com +02cae9fc74410b67 +manual override, no token +sign_event +1/);
  assert.match(out, /11 rows deleted; pairings before 7, after 7/);
  assert.equal(ids(database), []);
});

test('without a configuration or a database it says so and makes none', async () => {
  const { data } = legacyInstallation();
  const none = join(data, 'none.db');
  const { code, err } = await strip(none, data);
  assert.is(code, 1);
  assert.match(err, /there is no database at .*none\.db/);
  assert.not(readdirSync(data).includes('none.db'));
});

test('what is a copy of a rule, and what is not', () => {
  const { database } = legacyInstallation();
  withDatabase(database, (db) => {
    db.exec('ALTER TABLE SigningCondition ADD COLUMN expiresAt DATETIME');
    db.exec(
      "INSERT INTO PolicyRule (id, method, kind, policyId) VALUES (90, 'decrypt', '', 2), (91, 'connect', NULL, 4)",
    );
    const redeemed = new Redeemed(db);
    const base = {
      id: 1,
      keyUserId: 4,
      method: 'sign_event',
      kind: '21000',
      content: null,
      allowed: 1,
      expiresAt: null,
    };
    const sort = (over: object) => redeemed.sortOf({ ...base, ...over }, NOW);
    assert.is(sort({}), 'photocopy', 'the token has expired');
    assert.is(sort({ kind: '1' }), 'override', 'no rule has that kind');
    assert.is(sort({ kind: 'all' }), 'override', 'no rule has every kind');
    assert.is(sort({ kind: null }), 'override');
    assert.is(sort({ method: 'nip44_encrypt', kind: null }), 'photocopy');
    assert.is(sort({ method: 'nip04_encrypt', kind: null }), 'override');
    assert.is(sort({ method: 'decrypt', kind: null }), 'photocopy', 'an empty kind was copied as none');
    assert.is(sort({ keyUserId: 7 }), 'override', 'this client has redeemed nothing');
    assert.is(sort({ keyUserId: 1 }), 'override', "a rule of another client's policy");
    assert.is(sort({ keyUserId: 7, method: 'connect', kind: null }), 'override');
    assert.is(sort({ method: 'connect', kind: null }), 'connect');
    assert.is(sort({ allowed: 0 }), 'denial');
    assert.is(sort({ allowed: null }), 'loose');
    assert.is(sort({ keyUserId: null }), 'loose');
    assert.is(sort({ content: 'x' }), 'override');
    assert.is(sort({ expiresAt: NOW + 1 }), 'override', 'a copy has no date of its own');
    assert.is(sort({ expiresAt: '2099-01-01 00:00:00' }), 'override');
    assert.is(sort({ expiresAt: NOW }), 'photocopy', 'a revocation ended it');
    assert.is(sort({ expiresAt: '2026-01-01 00:00:00' }), 'photocopy');
    db.exec('UPDATE Token SET deletedAt = 1 WHERE id = 4; UPDATE Policy SET deletedAt = 1 WHERE id = 2');
    assert.is(new Redeemed(db).sortOf(base, NOW), 'photocopy', 'its token and its policy were revoked');
    db.exec('UPDATE Token SET redeemedAt = NULL WHERE id = 4');
    assert.is(new Redeemed(db).sortOf(base, NOW), 'override', 'nobody redeemed it');
  });
});

test('a row that was changed after it was looked at stays', async () => {
  const { database } = legacyInstallation();
  const db = new Database(database);
  const plan = planStrip(db, NOW, false);
  db.exec(`UPDATE SigningCondition SET allowed = 0 WHERE id = 2; UPDATE SigningCondition SET kind = '7' WHERE id = 6`);
  const pace = { sleep: async () => {}, mono: () => 0 };
  const deleted = await deleteConditions(db, plan, { now: NOW, everything: false, pace, onProgress: () => {} });
  db.close();
  assert.equal([deleted, ids(database)], [5, [2, 6, 8, 9, 10, 11]]);
});

test.run();
