// deadline: 900 s
/**
 * Database files that were cut, damaged or made by somebody else: the store refuses them in one line or opens them, and
 * what it opens is read without anything but a fault of the file.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { databaseFault } from '../../src/store/fault.ts';
import { openStore } from '../../src/store/open.ts';
import { legacy } from '../store/folder.ts';
import { CANARY, hasTrace, SCALE, SEED } from './layer.ts';
import { mutatedBytes } from './mutate.ts';

const CASES = Number(process.env.REDOUBT_FUZZ_DATABASES ?? 100) * SCALE;
const folder = mkdtempSync(join(tmpdir(), 'redoubt-fuzz-db-'));
test.after(() => rmSync(folder, { recursive: true }));

const figures = { cases: 0, opened: 0, refused: 0, crashes: 0, refusals: {} as Record<string, number> };

/** The two kinds of file that there are, whole: each holds a token's secret. */
const adoptable = withSecret(legacy('legacy-0.10.5'));
const ours = await makeOurs();

function withSecret(path: string): Buffer {
  const db = new Database(path);
  db.prepare('UPDATE "Token" SET token = ? || id, "clientName" = ?').run(CANARY, CANARY);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.pragma('journal_mode = DELETE');
  db.close();
  return readFileSync(path);
}

async function makeOurs(): Promise<Buffer> {
  const path = legacy('legacy-0.10.5');
  const opened = await openStore({ databasePath: path, keysInKeystore: 0, allowEmptyDatabase: false });
  if (!opened.ok) throw new Error(opened.refusal);
  await opened.store.orm.close(true);
  return withSecret(path);
}

/** Opens a file as a start does. @returns `opened`, or the refusal without its path */
async function open(content: Uint8Array | ((path: string) => void)): Promise<string> {
  const path = join(folder, `${figures.cases++}.db`);
  if (typeof content === 'function') {
    writeFileSync(path, adoptable);
    content(path);
  } else writeFileSync(path, content);
  const opened = await openStore({ databasePath: path, keysInKeystore: 1, allowEmptyDatabase: false });
  if (opened.ok) {
    try {
      readEverything(opened.store.db);
    } finally {
      await opened.store.orm.close(true);
    }
  } else {
    assert.not.ok(hasTrace(opened.refusal), 'the refusal says a secret');
    assert.not.match(opened.refusal, /[\p{Cc}\p{Cf}]/u);
    assert.ok(opened.refusal.length < 1_000, opened.refusal);
  }
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${end}`, { force: true });
  const outcome = opened.ok ? 'opened' : opened.refusal.replaceAll(path, 'FILE');
  figures[opened.ok ? 'opened' : 'refused']++;
  if (!opened.ok) figures.refusals[outcome] = (figures.refusals[outcome] ?? 0) + 1;
  return outcome;
}

/** Whatever is wrong further inside has a name that the daemon knows. */
function readEverything(db: Database.Database): void {
  for (const table of ['Key', 'KeyUser', 'Token', 'Policy', 'PolicyRule', 'SigningCondition', 'Log', 'redoubt_meta']) {
    try {
      db.prepare(`SELECT * FROM "${table}"`).all();
    } catch (error) {
      assert.is.not(databaseFault(error), null, String(error));
    }
  }
}

/** Mostly where SQLite keeps what it needs to find anything: the header, the schema, the first bytes of a page. */
const structure = fc
  .tuple(fc.boolean(), fc.array(fc.tuple(fc.nat(30), fc.nat(115), fc.nat(255)), { minLength: 1, maxLength: 4 }))
  .map(([mine, changes]) => {
    const content = Buffer.from(mine ? ours : adoptable);
    for (const [page, at, value] of changes)
      content[((page % 4) * 4096 * (page > 20 ? page : 1) + at) % content.length] = value;
    return content;
  });
const damage = fc.oneof({ weight: 3, arbitrary: structure }, { weight: 1, arbitrary: mutatedBytes([ours, adoptable]) });

test(`${CASES} damaged files`, async () => {
  await fc.assert(
    fc.asyncProperty(damage, async (content) => void (await open(content))),
    { numRuns: CASES, seed: SEED, includeErrorInReport: true },
  );
  assert.ok(figures.refused > 0 && figures.opened > 0);
});

test('each byte of the header, one after the other', async () => {
  for (let at = 0; at < 100; at++) {
    const content = Buffer.from(at % 2 === 0 ? ours : adoptable);
    content[at]! ^= at % 3 === 0 ? 0xff : 1 << (at % 8);
    await open(content);
  }
});

test('files that were cut short at a page, within one, and to nothing', async () => {
  for (const size of [1, 15, 16, 99, 100, 4095, 4096, 4097, 8192, adoptable.length - 4096, adoptable.length - 1]) {
    const outcome = await open(adoptable.subarray(0, size));
    if (size < adoptable.length - 4096) assert.is.not(outcome, 'opened', `${size}`);
  }
});

const UNKNOWN = /is damaged, or not of a kind that is known here \(SQLITE_ERROR\)\. Nothing was written$/;
const ALTERED_BY = /is damaged, or was altered by another program \(SQLITE_\w+\): restore a backup$/;
const migrations = (name: string) =>
  `CREATE TABLE redoubt_migrations (id, name); INSERT INTO redoubt_migrations VALUES (1, ${name})`;

/** What somebody may have done to a file with SQL, and what is said of it. */
const ALTERED: [sql: string, outcome: RegExp][] = [
  ['CREATE TABLE redoubt_migrations (x)', UNKNOWN],
  [migrations('NULL'), /migration null is unknown here/],
  [migrations("x'001b5b00'"), /\(migration {2}\[ {2}is unknown here\)/],
  [migrations("'0001-tables'"), ALTERED_BY],
  ["CREATE VIEW redoubt_migrations AS SELECT 1 AS id, '0002-additions' AS name", ALTERED_BY],
  ['DROP TABLE "Key"', /lacks the column Key\.id/],
  ['ALTER TABLE "Key" RENAME TO "Kez"', /tables that nsecbunkerd does not have \(Kez\)/],
  ['ALTER TABLE "Token" RENAME COLUMN token TO secret', /lacks the column Token\.token/],
  ['DROP TABLE _prisma_migrations', /tables that nsecbunkerd does not have/],
  ['DELETE FROM _prisma_migrations', /has 0 of the 22 migrations/],
  ["UPDATE _prisma_migrations SET migration_name = x'ff'", /which is not of nsecbunkerd 0\.10\.5/],
  ['ALTER TABLE _prisma_migrations RENAME COLUMN finished_at TO done_at', UNKNOWN],
  ['ALTER TABLE _prisma_migrations RENAME COLUMN migration_name TO name', UNKNOWN],
  ['DROP TABLE "Log"; CREATE VIEW "Log" AS SELECT 1 AS id', /lacks the column Log\./],
  ['CREATE TRIGGER t AFTER INSERT ON "Log" BEGIN SELECT RAISE(ABORT, \'no\'); END', /^opened$/],
  ['PRAGMA user_version = 2147483647; PRAGMA application_id = 1', /^opened$/],
  ['INSERT INTO "Policy" (id, name) VALUES (9223372036854775807, zeroblob(1000000))', /^opened$/],
];

test('files that somebody else has altered', async () => {
  for (const [sql, wanted] of ALTERED) {
    const outcome = await open((path) => {
      const db = new Database(path);
      db.exec(`PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON; ${sql}`);
      db.close();
    });
    assert.match(outcome, wanted, sql);
  }
});

test.after(() => console.log(`R11 R2 ${JSON.stringify({ what: 'database files', ...figures })}`));

test.run();
