import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MIGRATION_NAMES } from '../../src/store/migration-names.ts';
import { MIGRATIONS } from '../../src/store/migrations/list.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { printFigures } from '../support/figures.ts';
import { damage, folder, legacy } from './folder.ts';

const open = (databasePath: string, keysInKeystore = 0, allowEmptyDatabase = false) =>
  openStore({ databasePath, keysInKeystore, allowEmptyDatabase });

async function opened(path: string): Promise<Store> {
  const result = await open(path);
  if (!result.ok) throw new Error(result.refusal);
  return result.store;
}

const close = (store: Store) => store.orm.close(true);

/** Columns with declared types, defaults and keys, foreign keys and indexes of a table, without our additions. */
function shape(db: Database.Database, table: string, columns: Set<string>): unknown {
  const all = <T>(pragma: string) => db.pragma(`${pragma}("${table}")`) as T[];
  return {
    columns: all<{ cid: number; name: string }>('table_info')
      .filter(({ name }) => columns.has(name))
      .map(({ cid: _, ...column }) => column)
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    foreignKeys: all<{ from: string }>('foreign_key_list').sort((a, b) => (a.from < b.from ? -1 : 1)),
    unique: all<{ name: string; unique: number; origin: string }>('index_list')
      .filter(({ unique }) => unique === 1)
      .map(({ name, origin }) => ({ name, origin, of: db.pragma(`index_info("${name}")`) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    autoincrement: /AUTOINCREMENT/.test(
      db.prepare('SELECT sql FROM sqlite_master WHERE name = ?').pluck().get(table) as string,
    ),
  };
}

test('a new file has the tables of nsecbunkerd, column for column', async () => {
  const path = join(folder(), 'new.db');
  await close(await opened(path));
  const ours = new Database(path);
  const theirs = new Database(legacy('legacy-0.10.5'));
  const tables = theirs
    .prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`)
    .pluck()
    .all() as string[];
  assert.is(tables.length, 10);
  for (const table of tables) {
    const columns = new Set((theirs.pragma(`table_info("${table}")`) as { name: string }[]).map(({ name }) => name));
    assert.equal(shape(ours, table, columns), shape(theirs, table, columns), table);
  }
  const applied = 'SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY 1';
  assert.equal(ours.prepare(applied).all(), theirs.prepare(applied).all());
  ours.close();
  theirs.close();
});

test("opening asks for no language's order, and leaves that to who wants it", async () => {
  const { localeCompare } = String.prototype;
  const asked: string[] = [];
  const counting = function (this: string, other: string) {
    asked.push(other);
    return localeCompare.call(this, other);
  };
  String.prototype.localeCompare = counting;
  try {
    await close(await opened(join(folder(), 'order.db')));
    assert.equal(asked, []);
    assert.is(String.prototype.localeCompare, counting);
  } finally {
    String.prototype.localeCompare = localeCompare;
  }
});

test('a new file is read by its owner only', async () => {
  const path = join(folder(), 'new.db');
  const store = await opened(path);
  for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.is(statSync(file).mode & 0o777, 0o600);
  await close(store);
});

test('what we add is nullable, and both kinds of file end with one schema', async () => {
  const fresh = await opened(join(folder(), 'new.db'));
  const adopted = await opened(legacy('legacy-0.10.5'));
  const columns = `SELECT m.name AS t, c.name AS c, c.type, c."notnull" FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' ORDER BY 1, 2`;
  const indexes = `SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1, 2`;
  assert.equal(fresh.db.prepare(columns).all(), adopted.db.prepare(columns).all());
  assert.equal(fresh.db.prepare(indexes).all(), adopted.db.prepare(indexes).all());
  for (const [table, column] of [
    ['Key', 'lockedAt'],
    ['KeyUser', 'relays'],
    ['PolicyRule', 'expiresAt'],
    ['PolicyRule', 'maxUsagePerToken'],
    ['SigningCondition', 'expiresAt'],
    ['Log', 'hash'],
  ]) {
    const row = fresh.db.prepare('SELECT "notnull" AS n FROM pragma_table_info(?) WHERE name = ?').get(table, column);
    assert.equal(row, { n: 0 }, `${table}.${column}`);
  }
  await close(fresh);
  await close(adopted);
});

test('adoption changes no row of nsecbunkerd, and keeps the file as it was beside it', async () => {
  const path = legacy('legacy-0.10.5');
  const before = readFileSync(path);
  const dump = (db: Database.Database) =>
    ['Key', 'KeyUser', 'Token', 'Policy', 'PolicyRule', 'SigningCondition', '_prisma_migrations'].map((table) =>
      (db.prepare(`SELECT * FROM "${table}" ORDER BY 1`).all() as { [column: string]: unknown }[]).map((row) =>
        Object.entries(row).filter(([, value]) => value !== null),
      ),
    );
  const original = new Database(path, { readonly: true });
  const expected = dump(original);
  original.close();
  const store = await opened(path);
  assert.equal(dump(store.db), expected);
  assert.is(store.db.prepare(`SELECT value FROM redoubt_meta WHERE name = 'origin'`).pluck().get(), 'adopted');
  await close(store);
  const copy = `${path}.pre-redoubt-${MIGRATION_NAMES.length}`;
  assert.is(statSync(copy).mode & 0o777, 0o600);
  const kept = new Database(copy, { readonly: true });
  assert.equal(dump(kept), expected);
  assert.is(kept.prepare(`SELECT count(*) FROM sqlite_master WHERE name = 'redoubt_meta'`).pluck().get(), 0);
  kept.close();
  assert.ok(before.length > 0);
});

test('migrations run once, and are remembered', async () => {
  const path = join(folder(), 'new.db');
  await close(await opened(path));
  const store = await opened(path);
  assert.equal(store.db.prepare('SELECT name FROM redoubt_migrations ORDER BY id').pluck().all(), MIGRATION_NAMES);
  assert.is(store.schemaVersion, MIGRATION_NAMES.length);
  assert.equal(
    MIGRATIONS.map(({ name }) => name),
    MIGRATION_NAMES,
  );
  await close(store);
});

test('a file of the fork, which has our column already, is adopted', async () => {
  const path = legacy('legacy-0.10.5');
  const db = new Database(path);
  db.exec('ALTER TABLE "SigningCondition" ADD COLUMN "expiresAt" DATETIME');
  db.close();
  await close(await opened(path));
});

test('a first start that was killed after its first migration goes on', async () => {
  const path = join(folder(), 'new.db');
  await close(await opened(path));
  const db = new Database(path);
  db.exec(`DELETE FROM redoubt_migrations WHERE name <> '0001-tables'; DELETE FROM redoubt_meta WHERE name LIKE 'cut%';
    DROP TABLE "TokenRuleUsage"; DROP TABLE redoubt_probe`);
  db.close();
  const store = await opened(path);
  assert.is(store.db.prepare('SELECT count(*) FROM redoubt_migrations').pluck().get(), 2);
  await close(store);
});

const FULL = 2;
const durability = ({ db }: Store) => ({
  journal_mode: db.pragma('journal_mode', { simple: true }),
  synchronous: db.pragma('synchronous', { simple: true }),
});

test('WAL and FULL are in force on the connection, also where the file was left in another mode', async () => {
  const path = join(folder(), 'new.db');
  const seen = [];
  for (const mode of ['new', 'delete', 'persist', 'wal']) {
    if (mode !== 'new') {
      const db = new Database(path);
      assert.is(db.pragma(`journal_mode = ${mode}`, { simple: true }), mode);
      db.close();
    }
    const store = await opened(path);
    seen.push(durability(store));
    assert.is(store.db.pragma('busy_timeout', { simple: true }), 50);
    await close(store);
  }
  assert.equal(seen, Array(4).fill({ journal_mode: 'wal', synchronous: FULL }));
  printFigures('R5', { starts: seen.length, ...seen[0] });
});

/** A file system that has no write-ahead log: what the connection says of it is all that the store can go by. */
for (const [weaker, line] of [
  ['journal_mode', /journal_mode delete, synchronous 2/],
  ['synchronous', /journal_mode wal, synchronous 1/],
] as const) {
  test(`a file that cannot be had with the right ${weaker} is refused`, async () => {
    const { pragma } = Database.prototype;
    Database.prototype.pragma = function (this: Database.Database, source: string, options?: Database.PragmaOptions) {
      const wanted = { 'journal_mode = WAL': 'journal_mode = DELETE', 'synchronous = FULL': 'synchronous = NORMAL' };
      const weak = source.startsWith(weaker) ? (wanted[source as keyof typeof wanted] ?? source) : source;
      return pragma.call(this, weak, options);
    } as typeof pragma;
    try {
      const result = await open(join(folder(), 'weak.db'));
      assert.not.ok(result.ok);
      if (!result.ok) assert.match(result.refusal, line);
    } finally {
      Database.prototype.pragma = pragma;
    }
  });
}

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

async function refusesUntouched(path: string, line: RegExp): Promise<void> {
  const before = digest(path);
  const result = await open(path);
  assert.not.ok(result.ok);
  if (!result.ok) {
    assert.match(result.refusal, line);
    assert.not.match(result.refusal, /\n/);
  }
  assert.is(digest(path), before);
  // A file that is in WAL mode already gets an empty one from being read.
  assert.is(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0, 0);
}

test('a migration that nobody knows is refused untouched', async () => {
  const path = legacy('legacy-0.10.5');
  const db = new Database(path);
  db.exec(`INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, started_at)
    VALUES ('x', 'x', 1, '20990101000000_future', 1)`);
  db.close();
  await refusesUntouched(path, /20990101000000_future/);
});

test('tables or columns of somebody else are refused untouched', async () => {
  const stray = join(folder(), 'other.db');
  let db = new Database(stray);
  db.exec('CREATE TABLE invoices (id INTEGER)');
  db.close();
  await refusesUntouched(stray, /invoices/);
  const path = legacy('legacy-0.10.5');
  db = new Database(path);
  db.exec('ALTER TABLE "Token" ADD COLUMN "scope" TEXT');
  db.close();
  await refusesUntouched(path, /Token\.scope/);
});

test('a newer Redoubt is refused untouched', async () => {
  const path = join(folder(), 'new.db');
  await close(await opened(path));
  const db = new Database(path);
  db.exec(`INSERT INTO redoubt_migrations (name) VALUES ('0099-later'); PRAGMA wal_checkpoint(TRUNCATE)`);
  db.close();
  await refusesUntouched(path, /newer Redoubt.*0099-later/);
});

test('what is no SQLite file is refused untouched', async () => {
  const path = join(folder(), 'notes.txt');
  writeFileSync(path, 'not a database at all, but long enough to have a header');
  await refusesUntouched(path, /not a SQLite database/);
});

test('a damaged file is refused untouched', async () => {
  const path = legacy('legacy-0.10.5');
  const bytes = readFileSync(path);
  bytes.fill(0x5a, 100, 4096);
  writeFileSync(path, bytes);
  await refusesUntouched(path, /damaged/);
});

test('a file of nsecbunkerd with a damaged table or index is refused untouched, and leaves no copy', async () => {
  const intact = new Database(legacy('legacy-0.10.5'), { readonly: true });
  const names = intact.prepare('SELECT name FROM sqlite_master WHERE rootpage > 0').pluck().all() as string[];
  intact.close();
  assert.ok(names.length > 15);
  for (const name of names) {
    const path = legacy('legacy-0.10.5');
    damage(path, name);
    await refusesUntouched(path, /damaged.*Nothing was (changed|written)$/);
    assert.equal(readdirSync(dirname(path)), ['nsecbunker.db'], name);
  }
});

test('a folder, or a path in no folder, is refused', async () => {
  const inside = folder();
  mkdirSync(join(inside, 'data'));
  const asFolder = await open(join(inside, 'data'));
  assert.match(asFolder.ok ? '' : asFolder.refusal, /not a file/);
  const nowhere = await open(join(inside, 'missing', 'new.db'));
  assert.match(nowhere.ok ? '' : nowhere.refusal, /folder .*missing.* does not exist/);
  assert.not.ok(existsSync(join(inside, 'missing')));
});

/** Another program that holds the file until a moment after the opening has begun. */
for (const [what, begin] of [
  ['writes to', `BEGIN IMMEDIATE; UPDATE "KeyUser" SET description = 'written meanwhile'`],
  ['reads', 'BEGIN; SELECT count(*) FROM "Key"'],
] as const) {
  test(`a file of nsecbunkerd that another program ${what} is adopted once that has ended, and what it wrote is in the copy`, async () => {
    const path = legacy('legacy-0.10.5');
    const other = new Database(path);
    other.exec(begin);
    const ended = new Promise<void>((resolve) => {
      setTimeout(() => {
        other.exec('COMMIT');
        resolve();
      }, 700);
    });
    const store = await opened(path);
    await ended;
    await close(store);
    const seen = (file: string) => {
      const db = new Database(file, { readonly: true });
      const rows = db.prepare('SELECT description FROM "KeyUser" ORDER BY id').all();
      db.close();
      return rows;
    };
    const copies = readdirSync(dirname(path)).filter((name) => name.includes('pre-redoubt'));
    assert.equal(seen(path), seen(join(dirname(path), copies.sort().at(-1)!)));
    other.close();
  });
}

test('a lock that nobody gives up is told', async () => {
  const path = legacy('legacy-0.10.5');
  const other = new Database(path);
  other.exec('BEGIN IMMEDIATE');
  const refused = await open(path);
  other.close();
  assert.match(refused.ok ? '' : refused.refusal, /cannot be opened: another program holds its lock$/);
});

test('with keys in the keystore, a missing or empty database is not made in silence', async () => {
  const path = join(folder(), 'lost.db');
  const missing = await open(path, 3);
  assert.match(
    missing.ok ? '' : missing.refusal,
    /^the keystore has 3 keys but the database is empty: restore a backup, or pass --allow-empty-db if every pairing may be lost \(.*lost.db does not exist\)$/,
  );
  assert.not.ok(existsSync(path));
  writeFileSync(path, '');
  const empty = await open(path, 1);
  assert.match(empty.ok ? '' : empty.refusal, /keystore has 1 key but the database is empty: .*has no tables/);
  assert.is(statSync(path).size, 0);
  const allowed = await open(path, 1, true);
  assert.ok(allowed.ok);
  if (allowed.ok) await close(allowed.store);
});

test('--no-migrate refuses a file that is not up to date and does not touch it', async () => {
  const path = join(folder(), 'nsecbunker.db');
  const unwilling = () =>
    openStore({ databasePath: path, keysInKeystore: 0, allowEmptyDatabase: false, migrate: false });
  const refused = await unwilling();
  assert.not(refused.ok);
  assert.match(refused.ok ? '' : refused.refusal, 'needs 2 migrations');
  assert.not(existsSync(path));
  await close(await opened(path));
  const fresh = await unwilling();
  assert.ok(fresh.ok);
  if (fresh.ok) await close(fresh.store);
});

test.run();
