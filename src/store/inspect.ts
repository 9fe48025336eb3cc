import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { adoptable } from '../../prisma-compat/adoptable.ts';
import { ADDED_COLUMNS } from './additions.ts';
import { databaseFault } from './fault.ts';
import { MIGRATION_NAMES, MIGRATIONS_TABLE } from './migration-names.ts';

/**
 * What lies at a path. `empty`: a file without tables. `ours`: this daemon made or adopted it; `adoptable`:
 * nsecbunkerd left it, after so many of its migrations; `bare`: without a key, a client or a token in it.
 */
export type Inspected =
  | { ok: true; state: 'missing' | 'empty' }
  | { ok: true; state: 'adoptable'; migrations: number; bare: boolean }
  | { ok: true; state: 'ours'; applied: string[] }
  | { ok: false; refusal: string };

const MAGIC = 'SQLite format 3\0';

/** Reads only: what is refused is left as it was. */
export function inspectDatabase(path: string): Inspected {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return { ok: true, state: 'missing' };
    if (!stat.isFile()) return refused(path, 'is not a file: point DATABASE_URL at the database file');
    if (stat.size === 0) return { ok: true, state: 'empty' };
    if (firstBytes(path) !== MAGIC)
      return refused(path, 'is not a SQLite database: point DATABASE_URL at the right file');
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    return refused(path, `cannot be read (${typeof code === 'string' ? code : 'error'}): check its owner and mode`);
  }
  try {
    return readSchema(path);
  } catch (error) {
    const fault = databaseFault(error);
    if (fault !== null) return refused(path, `cannot be opened: ${fault.reason}. Nothing was written`);
    // SQLite finds no words of its own for a header of another format, or a table that lacks the column asked for.
    if (!(error instanceof Database.SqliteError)) throw error;
    return refused(path, `is damaged, or not of a kind that is known here (${error.code}). Nothing was written`);
  }
}

/** Names of tables and migrations are quoted as the file has them, but for what steers a terminal. */
function refused(path: string, what: string): Inspected {
  return { ok: false, refusal: `the database ${path} ${what.replace(/[\p{Cc}\p{Cf}]+/gu, ' ')}` };
}

function firstBytes(path: string): string {
  const bytes = new Uint8Array(MAGIC.length);
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes);
  } finally {
    closeSync(file);
  }
  return String.fromCharCode(...bytes);
}

function readSchema(path: string): Inspected {
  // A journal left by a crash is rolled back by whoever opens the file to write; it cannot be read before.
  const db = new Database(path, { readonly: !existsSync(`${path}-journal`), fileMustExist: true, timeout: 2000 });
  try {
    const tables = db
      .prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`)
      .pluck()
      .all() as string[];
    const applied = tables.includes(MIGRATIONS_TABLE) ? appliedMigrations(db) : [];
    if (applied.length > 0) return known(path, applied);
    // A first start that was killed may have left this table, empty.
    const theirs = tables.filter((name) => name !== MIGRATIONS_TABLE);
    if (theirs.length === 0) return { ok: true, state: 'empty' };
    const found = adoptable(db, theirs, ADDED_COLUMNS);
    if (!found.ok) return refused(path, `${found.problem}. Nothing was written`);
    const { migrations, bare } = found;
    return { ok: true, state: 'adoptable', migrations, bare };
  } finally {
    db.close();
  }
}

function appliedMigrations(db: Database.Database): string[] {
  return db.prepare(`SELECT name FROM "${MIGRATIONS_TABLE}" ORDER BY id`).pluck().all() as string[];
}

function known(path: string, applied: string[]): Inspected {
  const newer = applied.find((name) => !MIGRATION_NAMES.includes(name));
  if (newer === undefined) return { ok: true, state: 'ours', applied };
  return refused(path, `was migrated by a newer Redoubt (migration ${newer} is unknown here): start that version`);
}
