/** Every state that a release of nsecbunkerd can have left its database in is adopted, with all that is in it. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { copyPath } from '../../src/store/copy-aside.ts';
import { openStore } from '../../src/store/open.ts';
import { legacy } from '../store/folder.ts';
import { type Dump, dump, release } from './releases.ts';

const adopt = (databasePath: string, keysInKeystore = 0, allowEmptyDatabase = false) =>
  openStore({ databasePath, keysInKeystore, allowEmptyDatabase });

async function adopted(path: string): Promise<void> {
  const opened = await adopt(path);
  if (!opened.ok) throw new Error(opened.refusal);
  assert.is(opened.store.origin, 'adopted');
  await opened.store.orm.close(true);
}

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

async function refusesUntouched(path: string, line: RegExp): Promise<void> {
  const before = digest(path);
  const result = await adopt(path);
  assert.match(result.ok ? 'opened' : result.refusal, line);
  assert.is(digest(path), before);
}

/** Columns, declared types and what may be null, as nsecbunkerd's last release has them; its own indexes. */
function schema(path: string): unknown {
  const db = new Database(path, { readonly: true });
  try {
    const columns = `SELECT m.name AS t, c.name AS c, c.type, c."notnull", c.pk FROM sqlite_master m, pragma_table_info(m.name) c
      WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name <> '_prisma_migrations' AND c.name <> 'result' ORDER BY 1, 2`;
    const unique = `SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE%' ORDER BY 1, 2`;
    return [db.prepare(columns).all(), db.prepare(unique).all()];
  } finally {
    db.close();
  }
}

/** What was in the file before is in it now. */
function kept(before: Dump, after: Dump): void {
  for (const [table, rows] of Object.entries(before)) {
    assert.is(after[table]?.length, rows.length, table);
    rows.forEach((row, i) => {
      for (const [column, value] of Object.entries(row))
        assert.is(after[table]![i]![column], value, `${table}.${column}`);
    });
  }
}

const last = legacy('legacy-0.10.5');
await adopted(last);

for (let migrations = 12; migrations <= 22; migrations++) {
  for (const fork of [12, 22].includes(migrations) ? [false, true] : [false]) {
    test(`${migrations} migrations${fork ? " and the fork's column" : ''}: brought forward, every row as it was`, async () => {
      const path = release(migrations, { fork });
      const before = dump(path);
      await adopted(path);
      kept(before, dump(path));
      assert.equal(schema(path), schema(last));
      assert.equal(dump(copyPath(path)), before, 'the copy beside it');
      const db = new Database(path);
      assert.equal(db.pragma('foreign_key_check'), []);
      assert.is(db.pragma('integrity_check', { simple: true }), 'ok');
      db.close();
    });
  }
}

test('the real file of June 2023 is adopted', async () => {
  const path = legacy('legacy-2023-06');
  await adopted(path);
  assert.equal(schema(path), schema(last));
});

test('fewer than 12 migrations, or one left out, is refused untouched', async () => {
  for (const [name, line] of [
    ['20230603145715_add_keyname', /has 11 of the 22 migrations/],
    ['20230603121616_add_deleted', /lacks the migration 20230603121616_add_deleted although it has later ones/],
  ] as const) {
    const path = legacy('legacy-2023-06');
    const db = new Database(path);
    db.prepare('DELETE FROM _prisma_migrations WHERE migration_name = ?').run(name);
    db.close();
    await refusesUntouched(path, line);
  }
});

test('an unknown migration is refused untouched, unless a column of the fork explains it', async () => {
  const path = release(22, { fork: true });
  const db = new Database(path);
  db.exec(
    `INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('x', 'x', 1, '2099_more')`,
  );
  db.close();
  await refusesUntouched(path, /2099_more|signing_condition_expires_at/);
});

test('without its copy a file is not adopted', async () => {
  const path = release(22);
  const inTheWay = `${copyPath(path)}.part`;
  mkdirSync(inTheWay);
  await refusesUntouched(path, /^the copy of the database .* cannot be made .*Nothing was changed$/);
  assert.equal(existsSync(`${path}-wal`), false);
  rmSync(inTheWay, { recursive: true });
  await adopted(path);
});

test('an earlier copy is kept, and made only once of the same content', async () => {
  const path = release(22);
  const copies = () => readdirSync(dirname(path)).filter((name) => name.includes('pre-redoubt'));
  await adopted(path);
  const first = digest(copyPath(path));
  // Back to nsecbunkerd by the copy, once with nothing done there and once with something.
  const back = (then: string) => {
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
    const copy = new Database(copyPath(path));
    copy.exec(`VACUUM INTO '${path}'`);
    copy.close();
    const db = new Database(path);
    db.exec(then);
    db.close();
  };
  back('');
  await adopted(path);
  assert.is(copies().length, 1);
  back(`UPDATE "KeyUser" SET description = 'changed since'`);
  await adopted(path);
  assert.is(copies().length, 2);
  assert.is(digest(copyPath(path)), first);
  assert.is(dump(copyPath(path, copies().length)).KeyUser![0]!.description, 'changed since');
});

test('an adoption that was cut short is copied again when the file was written to since, and only then', async () => {
  const path = release(22);
  const copies = () => readdirSync(dirname(path)).filter((name) => name.includes('pre-redoubt')).length;
  const before = readFileSync(path);
  // As it is when the process is killed before its first migration is committed.
  const cutShort = (then: string) => {
    for (const end of ['-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
    writeFileSync(path, before);
    const db = new Database(path);
    db.pragma('journal_mode = WAL');
    db.exec(`CREATE TABLE redoubt_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, executed_at DATETIME)`);
    db.exec(then);
    db.close();
  };
  await adopted(path);
  cutShort('');
  await adopted(path);
  assert.is(copies(), 1);
  cutShort(`UPDATE "KeyUser" SET description = 'changed since'`);
  await adopted(path);
  assert.is(copies(), 2);
  assert.is(dump(copyPath(path, 2)).KeyUser![0]!.description, 'changed since');
});

test('a copy that cannot be read is left where it is, and is no copy', async () => {
  const path = release(22);
  writeFileSync(copyPath(path), 'half of a copy, from another program');
  await adopted(path);
  assert.is(readFileSync(copyPath(path), 'utf8'), 'half of a copy, from another program');
  assert.ok(dump(copyPath(path, 2)).KeyUser!.length > 0);
});

test('a wiped database that only has its tables is refused beside keys, and says what to do', async () => {
  const path = release(22, { rows: false });
  const before = digest(path);
  const refused = await adopt(path, 5);
  assert.match(
    refused.ok ? '' : refused.refusal,
    /^the keystore has 5 keys but the database is empty: restore a backup, or pass --allow-empty-db if every pairing may be lost/,
  );
  assert.is(digest(path), before);
  const allowed = await adopt(path, 5, true);
  assert.ok(allowed.ok);
  if (allowed.ok) await allowed.store.orm.close(true);
  const again = await adopt(path, 5);
  assert.ok(again.ok, 'what was allowed once stays so');
  if (again.ok) await again.store.orm.close(true);
});

test.run();
