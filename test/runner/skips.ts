import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Why a test may be skipped; with `without`, only where that program is not installed. */
export type Skip = string | { reason: string; without: string };

/** The skips of test/skips.json that are allowed on this machine, with their reasons. */
export function allowedSkips(listed: { [file: string]: { [test: string]: Skip } }): {
  [file: string]: { [test: string]: string };
} {
  const allowed: { [file: string]: { [test: string]: string } } = {};
  for (const [file, tests] of Object.entries(listed)) {
    allowed[file] = {};
    for (const [name, skip] of Object.entries(tests)) {
      if (typeof skip === 'string') allowed[file][name] = skip;
      else if (!isInstalled(skip.without)) allowed[file][name] = skip.reason;
    }
  }
  return allowed;
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
