import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type Database from 'better-sqlite3';
import { syncFolder } from '../keystore/durable.ts';

/** Pages copied at once. */
const STEP = 2_000;

/**
 * Copies a database, as of one moment, with SQLite's backup API; others read and write meanwhile. Mode 0600, durable
 * when it resolves. A copy that failed is removed.
 *
 * The connection holds one read snapshot throughout: without it SQLite starts over whenever another process writes,
 * and beside a busy daemon that never ends.
 *
 * @throws the system's error, EEXIST when something is at `to`, or SqliteError
 */
export async function copyDatabase(
  db: Database.Database,
  to: string,
  onProgress: (pages: number, of: number) => void = () => {},
): Promise<void> {
  // It is made before SQLite opens it, so that it is nobody else's from the first byte on.
  closeSync(openSync(to, 'wx', 0o600));
  try {
    db.exec('BEGIN');
    try {
      db.prepare('SELECT count(*) FROM sqlite_master').get();
      await db.backup(to, {
        progress: ({ totalPages, remainingPages }) => {
          onProgress(totalPages - remainingPages, totalPages);
          return STEP;
        },
      });
    } finally {
      db.exec('COMMIT');
    }
    const file = openSync(to, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    syncFolder(dirname(to));
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  }
}
