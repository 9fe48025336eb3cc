import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const TEMPORARY = /^\..+\.[0-9a-f]{16}\.tmp$/;

/**
 * Replaces a file in one step: after a crash at any moment it is the old one or the new one, and once this returns it
 * is the new one, also after a power cut. Mode 0600.
 *
 * @throws the system's error; the file is then the old one
 */
export function writeDurably(path: string, content: Uint8Array): void {
  const folder = dirname(path);
  const temporary = join(folder, `.${path.slice(folder.length + 1)}.${randomBytes(8).toString('hex')}.tmp`);
  try {
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      for (let done = 0; done < content.length; ) done += writeSync(fd, content, done);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(folder);
}

/** Makes what was renamed, made or removed in a folder last. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Removes what writes (of this file, or of any) left behind that a crash cut short. For when nobody writes. */
export function removeTemporary(folder: string, file = ''): number {
  const stale = readdirSync(folder).filter((name) => TEMPORARY.test(name) && name.startsWith(`.${file}`));
  for (const name of stale) rmSync(join(folder, name), { force: true });
  return stale.length;
}
