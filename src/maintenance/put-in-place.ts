import { chownSync, existsSync, lchownSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { syncFolder } from '../keystore/durable.ts';
import { copyName } from './copy-name.ts';

/** A file or a folder that is to be at `target`; `staged` lies on the same file system, whole and durable. */
export interface Placing {
  staged: string;
  target: string;
}

/** What was there before and is called something else now. */
export interface Kept {
  was: string;
  is: string;
}

/**
 * Puts what was staged where it belongs and keeps what was there. The configuration, the last of the list, goes first
 * and comes back last: a daemon refuses to start without it, so that no half of a restore is ever served.
 *
 * @param besides further files that belong to what is replaced. @throws the system's error, everything being back where
 *   it was as far as that could be done
 */
export function putInPlace(placings: readonly Placing[], besides: readonly string[], now: number): Kept[] {
  const done: Kept[] = [];
  const move = (was: string, is: string) => {
    renameSync(was, is);
    done.push({ was, is });
  };
  try {
    const kept: Kept[] = [];
    for (const was of [...placings.map(({ target }) => target).reverse(), ...besides]) {
      if (!existsSync(was)) continue;
      const is = copyName(was, 'before-restore', now);
      move(was, is);
      kept.push({ was, is });
    }
    for (const { staged, target } of placings) {
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      move(staged, target);
    }
    for (const folder of new Set(done.map(({ is }) => dirname(is)))) syncFolder(folder);
    return kept;
  } catch (error) {
    for (const { was, is } of done.reverse()) {
      try {
        renameSync(is, was);
      } catch {
        // The first error is the one to tell; the files are there under the one name or the other.
      }
    }
    throw error;
  }
}

/** Root restores for the user whose folder it is: a daemon that runs as that user could not read root's files. */
export function giveTo(folder: string, paths: readonly string[]): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(folder);
  if (uid === 0 && gid === 0) return;
  for (const path of paths) {
    chownSync(path, uid, gid);
    if (!statSync(path).isDirectory()) continue;
    for (const name of readdirSync(path)) lchownSync(join(path, name), uid, gid);
  }
}
