import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';

export type BoundedRead =
  | { ok: true; bytes: Secret; stats: Stats }
  /** `unreadable`: `code` is the system's, such as EACCES. */
  | { ok: false; why: 'missing' | 'unreadable' | 'not a regular file' | 'too large'; code: string };

/**
 * A whole file of at most `max` bytes, in memory of its own, for the caller to wipe if it is secret. Its size is
 * looked at before anything is allocated, and a pipe or a device is not waited for.
 */
export function readBounded(path: string, max: number): BoundedRead {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(fd);
    if (!stats.isFile()) return { ok: false, why: 'not a regular file', code: '' };
    if (stats.size > max) return { ok: false, why: 'too large', code: '' };
    const buffer = newSecret(stats.size + 1);
    try {
      let length = 0;
      for (let read = -1; read !== 0 && length < buffer.length; length += read) {
        read = readSync(fd, buffer, length, buffer.length - length, length);
      }
      // It grew between two system calls: nobody writes these files in place.
      if (length > stats.size) return { ok: false, why: 'too large', code: '' };
      const bytes = newSecret(length);
      bytes.set(buffer.subarray(0, length));
      return { ok: true, bytes, stats };
    } finally {
      wipe(buffer);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return { ok: false, why: code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'unreadable', code };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
