import type Database from 'better-sqlite3';

/** Tables of the file itself, without SQLite's own. */
export function tablesOf(db: Database.Database): string[] {
  return db
    .prepare(
      `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`,
    )
    .pluck()
    .all() as string[];
}

/** The columns that a table has; none when there is no such table. */
export function columnsOf(db: Database.Database, table: string): Set<string> {
  return new Set(db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[]);
}

/**
 * A SELECT of these columns, for files of every age: a column that the table lacks reads as null, and a table that is
 * missing has no rows.
 *
 * @param rest what follows the table's name
 */
export function selectFrom(db: Database.Database, table: string, columns: readonly string[], rest = ''): string {
  const there = columnsOf(db, table);
  const list = columns.map((column) => (there.has(column) ? `"${column}"` : `NULL AS "${column}"`));
  if (there.size === 0) return `SELECT ${columns.map((column) => `NULL AS "${column}"`).join(', ')} WHERE 0`;
  return `SELECT ${list.join(', ')} FROM "${table}" ${rest}`;
}
