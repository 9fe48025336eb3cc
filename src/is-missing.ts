import { statSync } from 'node:fs';

/** Whether nothing is there. What cannot be looked at is not missing: reading it says what is wrong. */
export function isMissing(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR';
  }
}
