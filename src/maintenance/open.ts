import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { Outcome } from '../policy/protocol.ts';
import { databaseFault } from '../store/fault.ts';
import { inspectDatabase } from '../store/inspect.ts';

/** How long maintenance waits for another program's lock, ms. */
const LOCK_WAIT_MS = 10_000;

/** Opens a database that a daemon may be using, stopped or running, adopted or about to be. */
export function openDatabase(path: string, mode: 'read' | 'write'): Outcome<Database.Database> {
  const found = inspectDatabase(path);
  if (!found.ok) return found;
  if (found.state === 'missing' || found.state === 'empty') {
    const what = found.state === 'missing' ? 'there is no database at' : 'there are no tables in the database';
    return { ok: false, refusal: `${what} ${path}: the daemon makes it when it starts` };
  }
  try {
    // A journal that a crash left is rolled back by whoever opens the file to write.
    const readonly = mode === 'read' && !existsSync(`${path}-journal`);
    return { ok: true, value: new Database(path, { readonly, fileMustExist: true, timeout: LOCK_WAIT_MS }) };
  } catch (error) {
    return { ok: false, refusal: databaseRefusal(path, error) };
  }
}

/** The line for an operator. @throws what is no fault of the file's */
export function databaseRefusal(path: string, error: unknown): string {
  const fault = databaseFault(error);
  if (fault !== null) return `the database ${path}: ${fault.reason}`;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string') return `the database ${path} cannot be used (${code})`;
  throw error;
}
