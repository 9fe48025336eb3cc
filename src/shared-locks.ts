import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type LockResult, lockFileHolder, takeLock, takeLockFile } from './lock.ts';

/** What an installation has outside its data folder, or another one with a data folder of its own may name too. */
export interface SharedFiles {
  data: string;
  database: string;
  /** Null: it is not written to. */
  keystore: string | null;
}

/**
 * Takes the locks of a database and of a keystore: two daemons on one of them would break the audit chain, or lose
 * each other's slots. Where none can be made nothing can be written either: whoever opens them says so.
 */
export function takeSharedLocks(files: SharedFiles): LockResult {
  const taken: (() => void)[] = [];
  const release = () => {
    for (const one of taken.splice(0)) one();
  };
  for (const { path, of, variable } of locksOf(files)) {
    const lock = takeLockFile(path, of, `name another one with ${variable}`);
    if (lock.ok) taken.push(lock.release);
    else if (lock.holder !== null) {
      release();
      return lock;
    }
  }
  return { ok: true, release };
}

/** The lock of the data folder, and those. */
export function lockInstallation(files: SharedFiles): LockResult {
  const own = takeLock(files.data);
  if (!own.ok) return own;
  const shared = takeSharedLocks(files);
  if (!shared.ok) {
    own.release();
    return shared;
  }
  const release = () => {
    shared.release();
    own.release();
  };
  return { ok: true, release };
}

/** The process that runs on the database or the keystore, and on which; null when none does. Changes nothing. */
export function sharedLockHolder(files: SharedFiles): { pid: number; of: string } | null {
  for (const { path, of } of locksOf(files)) {
    const pid = lockFileHolder(path);
    if (pid !== null) return { pid, of };
  }
  return null;
}

/** A folder may hold several databases, and the keystore may be the data folder itself, whose lock is another's to take. */
function locksOf({ data, database, keystore }: SharedFiles) {
  const locks = [{ path: `${realPath(database)}.redoubt.lock`, of: database, variable: 'DATABASE_URL' }];
  if (keystore === null || realPath(keystore) === realPath(data)) return locks;
  const path = join(realPath(keystore), 'redoubt.lock');
  return [...locks, { path, of: keystore, variable: 'REDOUBT_KEYSTORE_DIR' }];
}

/** One file has one lock, whatever links lead to it. It may not be there yet. */
function realPath(path: string): string {
  for (const real of [() => realpathSync(path), () => join(realpathSync(dirname(path)), basename(path))]) {
    try {
      return real();
    } catch {
      // Neither it nor its folder is there.
    }
  }
  return path;
}
