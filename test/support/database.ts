/** The daemon's database file as another program sees it, while the daemon runs. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { TestDaemon } from './daemon.ts';

export interface LogRow {
  id: number;
  type: string;
  method: string | null;
  params: { [name: string]: unknown };
}

function open(daemon: TestDaemon): Database.Database {
  return new Database(join(daemon.data, 'nsecbunker.db'), { timeout: 5_000 });
}

/** Runs one statement, as an operator with sqlite3 would; how many rows it changed. */
export function change(daemon: TestDaemon, sql: string, ...values: unknown[]): number {
  const database = open(daemon);
  try {
    return database.prepare(sql).run(...values).changes;
  } finally {
    database.close();
  }
}

export function rows<T>(daemon: TestDaemon, sql: string, ...values: unknown[]): T[] {
  const database = open(daemon);
  try {
    return database.prepare(sql).all(...values) as T[];
  } finally {
    database.close();
  }
}

/** Audit rows that name this client, oldest first. */
export function auditRows(daemon: TestDaemon, client: string, method: string): LogRow[] {
  return rows<LogRow & { params: string }>(
    daemon,
    'SELECT id, type, method, params FROM Log WHERE method = ? ORDER BY id',
    method,
  )
    .map((row) => ({ ...row, params: JSON.parse(row.params) as LogRow['params'] }))
    .filter((row) => row.params.client === client);
}

/** Uses counted of the rules of a policy. */
export function usesCounted(daemon: TestDaemon, policy: number): number {
  return rows<{ n: number }>(daemon, 'SELECT currentUsageCount AS n FROM PolicyRule WHERE policyId = ?', policy)
    .map(({ n }) => n ?? 0)
    .reduce((sum, n) => sum + n, 0);
}

/** Takes the write lock and keeps it until the returned function is called. */
export function lockDatabase(daemon: TestDaemon): () => void {
  const database = open(daemon);
  database.exec('BEGIN IMMEDIATE');
  return () => {
    database.exec('ROLLBACK');
    database.close();
  };
}
