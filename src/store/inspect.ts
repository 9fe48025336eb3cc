import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { PRISMA_MIGRATIONS } from '../../prisma-compat/migrations.ts';
import { PRISMA_TABLES } from '../../prisma-compat/tables.ts';
import { ADDED_COLUMNS } from './additions.ts';
import { databaseFault } from './fault.ts';
import { MIGRATION_NAMES, MIGRATIONS_TABLE } from './migration-names.ts';

/**
 * What lies at a path. `empty`: a file without tables. `ours`: this daemon made or adopted it; `adoptable`:
 * nsecbunkerd left it, at the version that is understood.
 */
export type Inspected =
  | { ok: true; state: 'missing' | 'empty' | 'adoptable' }
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
    if (fault === null) throw error;
    return refused(path, `cannot be opened: ${fault.reason}. Nothing was written`);
  }
}

function refused(path: string, what: string): Inspected {
  return { ok: false, refusal: `the database ${path} ${what}` };
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
    const problem = adoptionProblem(db, theirs);
    if (problem === null) return { ok: true, state: 'adoptable' };
    return refused(path, `${problem}. Nothing was written`);
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

/** Why a file that Redoubt has not migrated yet cannot be adopted in place; null when it can. */
function adoptionProblem(db: Database.Database, tables: string[]): string | null {
  if (!tables.includes('_prisma_migrations')) return `has tables that nsecbunkerd does not have (${some(tables)})`;
  const rows = db
    .prepare(
      'SELECT migration_name AS name, finished_at AS finished FROM _prisma_migrations WHERE rolled_back_at IS NULL',
    )
    .all() as { name: string; finished: unknown }[];
  const unfinished = rows.find((row) => row.finished === null);
  if (unfinished !== undefined)
    return `holds the unfinished migration ${unfinished.name}: let nsecbunkerd finish it first`;
  const names = rows.map((row) => row.name);
  const unknown = names.find((name) => !PRISMA_MIGRATIONS.some(([known]) => known === name));
  if (unknown !== undefined) return `holds the migration ${unknown}, which is not of nsecbunkerd 0.10.5`;
  const done = PRISMA_MIGRATIONS.filter(([name]) => names.includes(name)).length;
  if (done < PRISMA_MIGRATIONS.length) {
    return `has ${done} of the ${PRISMA_MIGRATIONS.length} migrations of nsecbunkerd 0.10.5: start nsecbunkerd 0.10.5 on it once`;
  }
  return columnProblem(db, tables);
}

function columnProblem(db: Database.Database, tables: string[]): string | null {
  const stray = tables.filter((name) => name !== '_prisma_migrations' && PRISMA_TABLES[name] === undefined);
  if (stray.length > 0) return `has tables that nsecbunkerd does not have (${some(stray)})`;
  for (const [table, expected] of Object.entries(PRISMA_TABLES)) {
    const columns = db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[];
    const missing = expected.find((column) => !columns.includes(column));
    if (missing !== undefined) return `lacks the column ${table}.${missing}`;
    const extra = columns.find((column) => !expected.includes(column) && !isAddition(table, column));
    if (extra !== undefined) return `has a column ${table}.${extra} that is not known`;
  }
  return null;
}

function isAddition(table: string, column: string): boolean {
  return ADDED_COLUMNS.some(([t, c]) => t === table && c === column);
}

function some(names: string[]): string {
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}
