import { lstatSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { lockHolder, takeLock } from '../lock.ts';
import type { Outcome } from '../policy/protocol.ts';

/** A folder that a backup or a restore works in. The lock in it says whose it is, and whether that process still runs. */
export interface Workplace {
  path: string;
  /** Files go before the lock: what is left without one is empty. */
  remove(): void;
}

const WORKPLACE = /^\.(?:backup|restore)-([0-9a-f]{16})$/;
/** What a restore stages beside its targets has the digits of its workplace at the end, or SQLite's ending after them. */
const STAGED = /^\..+\.restore-([0-9a-f]{16})(?:-wal|-shm|-journal|\.pre-redoubt-\d+(?:\.part)?)?$/;
const LOCK = 'redoubt.lock';

/** @param hex 16 digits. @throws the system's error */
export function makeWorkplace(folder: string, what: 'backup' | 'restore', hex: string): Outcome<Workplace> {
  const path = join(folder, `.${what}-${hex}`);
  mkdirSync(path, { mode: 0o700 });
  const lock = takeLock(path);
  if (!lock.ok) {
    rmdirSync(path);
    return lock;
  }
  const remove = () => {
    removeFiles(path);
    lock.release();
    rmSync(path, { recursive: true, force: true });
  };
  return { ok: true, value: { path, remove } };
}

/**
 * What backups and restores that were killed have left in these folders: copies of the database, the keystore and the
 * configuration. What belongs to a process that still runs is not among it, and neither is what another user hides.
 */
export function leftovers(folders: readonly string[]): string[] {
  const places = [...new Set(folders)].flatMap((folder) => namesIn(folder).map((name) => ({ folder, name })));
  const dead = places.filter(({ folder, name }) => WORKPLACE.test(name) && isAbandoned(join(folder, name)));
  const digits = new Set(dead.map(({ name }) => WORKPLACE.exec(name)![1]));
  const staged = places.filter(({ name }) => digits.has(STAGED.exec(name)?.[1]));
  // The workplaces last: without them nobody knows what belonged to them.
  return [...staged, ...dead].map(({ folder, name }) => join(folder, name));
}

/** What cannot be removed stays for the doctor to tell. */
export function removeLeftovers(folders: readonly string[]): void {
  for (const path of leftovers(folders)) {
    try {
      if (WORKPLACE.test(basename(path))) removeFiles(path);
      rmSync(path, { recursive: true, force: true });
    } catch {
      return;
    }
  }
}

/** Its files are looked at before its lock: they come after it, and go before it. */
function isAbandoned(path: string): boolean {
  // A link would lead the removal somewhere else.
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  const hasFiles = namesIn(path).some((name) => !name.startsWith(`${LOCK}.`));
  try {
    return hasFiles && lockHolder(path) === null;
  } catch {
    return false;
  }
}

function removeFiles(path: string): void {
  for (const name of namesIn(path)) if (name !== LOCK) rmSync(join(path, name), { recursive: true, force: true });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
