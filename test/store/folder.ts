import { closeSync, copyFileSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';

export const FIXTURES = join(import.meta.dirname, '..', 'fixtures');

const made: string[] = [];
process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** A folder for one test's databases; removed with the process. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'redoubt-store-'));
  made.push(path);
  return path;
}

/** A copy of a file that nsecbunkerd left. */
export function legacy(name: 'legacy-0.10.5' | 'legacy-2023-06'): string {
  const path = join(folder(), 'nsecbunker.db');
  copyFileSync(join(FIXTURES, name, 'nsecbunker.db'), path);
  return path;
}

/** Overwrites the first page of a table or an index. Nobody may have the file open. */
export function damage(path: string, name: string): void {
  const db = new Database(path);
  db.pragma('wal_checkpoint(TRUNCATE)');
  const size = db.pragma('page_size', { simple: true }) as number;
  const page = db.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').pluck().get(name) as number;
  db.close();
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.alloc(size, 0xa5), 0, size, (page - 1) * size);
  closeSync(file);
}
