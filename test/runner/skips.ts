import { existsSync, readFileSync } from 'node:fs';
import { lacks } from './lacks.ts';

/** By file, then by the test's name: why it may be skipped. */
export interface Skips {
  [file: string]: { [test: string]: string };
}

interface Written {
  [file: string]: { [test: string]: string | { without: string; reason: string } };
}

/** What test/skips.json allows on this machine: what is skipped `without` a part must run where that part is there. */
export async function readSkips(path: string): Promise<Skips> {
  if (!existsSync(path)) return {};
  const allowed: Skips = {};
  for (const [file, tests] of Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Written)) {
    allowed[file] = {};
    for (const [test, why] of Object.entries(tests)) {
      if (typeof why === 'string') allowed[file][test] = why;
      else if (await lacks(why.without)) allowed[file][test] = why.reason;
    }
  }
  return allowed;
}
