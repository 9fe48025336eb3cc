import type Database from 'better-sqlite3';
import { PRISMA_MIGRATIONS } from './migrations.ts';
import { FEWEST_MIGRATIONS, tablesAfter } from './tables.ts';

export type Columns = readonly (readonly [table: string, column: string, type: string])[];

export type Adoptable =
  | {
      ok: true;
      /** Migrations of nsecbunkerd that the file has. */
      migrations: number;
      /** It has a table of keys, and yet neither a key, a client nor a token. */
      bare: boolean;
    }
  | { ok: false; problem: string };

const BOOKKEEPING = '_prisma_migrations';
/** What the fork of nsecbunkerd added; the migration that did it has a name of its own. */
const FORK = ['SigningCondition', 'expiresAt'] as const;

/**
 * Whether a file that Redoubt has not migrated yet is one that a release of nsecbunkerd, or its fork, can have left.
 * Reads only. `tables`: the file's; `added`: columns of ours, which an earlier try may have left.
 */
export function adoptable(db: Database.Database, tables: readonly string[], added: Columns): Adoptable {
  if (!tables.includes(BOOKKEEPING)) return no(`has tables that nsecbunkerd does not have (${some(tables)})`);
  const count = countMigrations(db);
  if (typeof count === 'string') return no(count);
  const problem = columnProblem(db, tables, count, added);
  if (problem !== null) return no(problem);
  return { ok: true, migrations: count, bare: isBare(db, tables) };
}

/** How many of nsecbunkerd's migrations the file has, or what is wrong with them. */
function countMigrations(db: Database.Database): number | string {
  const rows = db
    .prepare(`SELECT migration_name AS name, finished_at AS finished FROM ${BOOKKEEPING} WHERE rolled_back_at IS NULL`)
    .all() as { name: string; finished: unknown }[];
  const unfinished = rows.find((row) => row.finished === null);
  if (unfinished !== undefined)
    return `holds the unfinished migration ${unfinished.name}: let nsecbunkerd finish it first`;
  const names = new Set(rows.map((row) => row.name));
  const known = PRISMA_MIGRATIONS.map(([name]) => name);
  const unknown = [...names].filter((name) => !known.includes(name));
  const explained = hasColumn(db, ...FORK) ? 1 : 0;
  if (unknown.length > explained) return `holds the migration ${unknown[0]}, which is not of nsecbunkerd 0.10.5`;
  const count = known.filter((name) => names.has(name)).length;
  const skipped = known.slice(0, count).find((name) => !names.has(name));
  if (skipped !== undefined) return `lacks the migration ${skipped} although it has later ones`;
  if (count >= FEWEST_MIGRATIONS) return count;
  return `has ${count} of the ${known.length} migrations of nsecbunkerd 0.10.5: start nsecbunkerd 0.10.5 on it once`;
}

function columnProblem(db: Database.Database, tables: readonly string[], count: number, added: Columns): string | null {
  const expected = tablesAfter(count);
  const stray = tables.filter((name) => name !== BOOKKEEPING && expected[name] === undefined);
  if (stray.length > 0) return `has tables that nsecbunkerd does not have (${some(stray)})`;
  for (const [table, wanted] of Object.entries(expected)) {
    const columns = columnsOf(db, table);
    const missing = wanted.find((column) => !columns.includes(column));
    if (missing !== undefined) return `lacks the column ${table}.${missing}`;
    const isOurs = (column: string) => added.some(([t, c]) => t === table && c === column);
    const extra = columns.find((column) => !wanted.includes(column) && !isOurs(column));
    if (extra !== undefined) return `has a column ${table}.${extra} that is not known`;
  }
  return null;
}

/** What is left when the file was wiped and nsecbunkerd's migrations were run on nothing. */
function isBare(db: Database.Database, tables: readonly string[]): boolean {
  if (!tables.includes('Key')) return false;
  return ['Key', 'KeyUser', 'Token'].every(
    (table) => db.prepare(`SELECT 1 FROM "${table}" LIMIT 1`).get() === undefined,
  );
}

function hasColumn(db: Database.Database, table: string, column: string): boolean {
  return columnsOf(db, table).includes(column);
}

function columnsOf(db: Database.Database, table: string): string[] {
  return db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[];
}

function some(names: readonly string[]): string {
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}

function no(problem: string): Adoptable {
  return { ok: false, problem };
}
