import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { loadLibrary } from '../../src/curve/native-library.ts';

/** What a machine may lack, and tests can do without, where it is no program. */
const PARTS: { [part: string]: () => unknown } = {
  libsecp256k1: () => loadLibrary(),
};

/** Whether this machine lacks a part, or a program of that name. */
export function lacks(part: string): boolean {
  const load = PARTS[part];
  if (load === undefined) return !isInstalled(part);
  try {
    load();
    return false;
  } catch {
    return true;
  }
}

/** Whether a program of this name is found on the PATH. */
export function isInstalled(program: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
