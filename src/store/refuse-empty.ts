import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Inspected } from './inspect.ts';

interface Guard {
  /** Keys in the keystore and in nsecbunker.json. */
  keysInKeystore: number;
  allowEmptyDatabase: boolean;
}

/**
 * Why no empty database is made, or taken, at this path; null when it may be. A wiped database is the one loss that
 * cannot be repaired: clients hold pairings that only it knows.
 */
export function refuseEmpty(found: Inspected & { ok: true }, path: string, guard: Guard): string | null {
  const what = whatIsMissing(found);
  if (what === null) return null;
  if (guard.keysInKeystore > 0 && !guard.allowEmptyDatabase) {
    const keys = guard.keysInKeystore === 1 ? '1 key' : `${guard.keysInKeystore} keys`;
    const wayOut = 'restore a backup, or pass --allow-empty-db if every pairing may be lost';
    return `the keystore has ${keys} but the database is empty: ${wayOut} (${path} ${what})`;
  }
  if (found.state === 'missing' && !existsSync(dirname(path))) {
    return `the folder ${dirname(path)} for the database does not exist: create it, or correct the option database (DATABASE_URL)`;
  }
  return null;
}

function whatIsMissing(found: Inspected & { ok: true }): string | null {
  switch (found.state) {
    case 'missing':
      return 'does not exist';
    case 'empty':
      return 'has no tables';
    case 'adoptable':
      // nsecbunkerd's migrations were run on nothing; a file of Redoubt's own may be bare after a crash at its first key.
      return found.bare ? 'has no key, no client and no token in it' : null;
    case 'ours':
      return null;
    default:
      return found satisfies never;
  }
}
