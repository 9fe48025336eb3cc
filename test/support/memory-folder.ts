import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];
process.on('exit', () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/**
 * A folder of its own, in memory where the machine has such a place: for thousands of files that need not outlive their
 * test. Removed when the process ends, also after a failure: memory is not to fill up.
 */
export function memoryFolder(name: string): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `redoubt-${name}-`));
  made.push(folder);
  return folder;
}
