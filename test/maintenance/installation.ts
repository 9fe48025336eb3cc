/** Copies of what nsecbunkerd left, and a way to look at a database file. */
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type Ran, runMain } from '../cli/run.ts';

const made: string[] = [];
process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** An empty folder, removed with the process. */
export function emptyFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'redoubt-upkeep-'));
  made.push(path);
  return path;
}

/** An installation of nsecbunkerd 0.10.5 in a folder of its own, whose database commands find in the environment. */
export function legacyInstallation(): { data: string; database: string } {
  const data = emptyFolder();
  cpSync(new URL('../fixtures/legacy-0.10.5', import.meta.url), data, { recursive: true });
  for (const name of ['nsecbunker.db', 'nsecbunker.json']) chmodSync(join(data, name), 0o600);
  const database = join(data, 'nsecbunker.db');
  return { data, database };
}

/** Runs a command on an installation whose database is named in the environment. */
export async function runOn(data: string, ...args: string[]): Promise<Ran> {
  process.env.DATABASE_URL = `file:${join(data, 'nsecbunker.db')}`;
  try {
    return await runMain([...args, '--data', data]);
  } finally {
    delete process.env.DATABASE_URL;
  }
}

/** Works on a database file, as sqlite3 would. */
export function withDatabase<T>(path: string, use: (db: Database.Database) => T): T {
  const db = new Database(path, { timeout: 5_000 });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

export function rowsOf(path: string, table: string): unknown[] {
  return withDatabase(path, (db) => db.prepare(`SELECT * FROM "${table}" ORDER BY 1`).all());
}
