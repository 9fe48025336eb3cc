import type Database from 'better-sqlite3';
import { selectFrom } from './columns.ts';

export type Row = { [column: string]: number | string | null };

export function rowsOf(db: Database.Database, table: string, columns: string[]): IterableIterator<Row> {
  return db.prepare(selectFrom(db, table, columns)).iterate() as IterableIterator<Row>;
}

/** Rows of the restored file that the present one once had. Ids are never given twice. */
export function goneRows(
  restored: Database.Database,
  present: Database.Database,
  table: string,
  columns: string[],
): Row[] {
  const given = lastGiven(present, table);
  const ids = present.prepare(selectFrom(present, table, ['id']));
  const there = new Set<unknown>(ids.pluck().all());
  return [...rowsOf(restored, table, columns)].filter(({ id }) => (id as number) <= given && !there.has(id));
}

/** Ids of rows that are the same in both files, by these columns. */
export function sameRows(
  restored: Database.Database,
  present: Database.Database,
  table: string,
  columns: string[],
): Set<number> {
  const name = (row: Row) => JSON.stringify(columns.map((column) => row[column]));
  const there = new Set([...rowsOf(present, table, columns)].map(name));
  const ids = new Set<number>();
  for (const row of rowsOf(restored, table, columns)) if (there.has(name(row))) ids.add(row.id as number);
  return ids;
}

/** The highest id that a table has ever given. */
export function lastGiven(db: Database.Database, table: string): number {
  const given = db.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').pluck().get(table);
  return (given as number | undefined) ?? 0;
}
