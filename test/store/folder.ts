import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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
