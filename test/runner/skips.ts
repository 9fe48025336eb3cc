import { lacks } from './lacks.ts';

/** Why a test may be skipped; with `without`, only where that part (lacks.ts) or program is missing. */
export type Skip = string | { reason: string; without: string };

/** The skips of test/skips.json that are allowed on this machine, with their reasons. */
export async function allowedSkips(listed: { [file: string]: { [test: string]: Skip } }): Promise<{
  [file: string]: { [test: string]: string };
}> {
  const allowed: { [file: string]: { [test: string]: string } } = {};
  for (const [file, tests] of Object.entries(listed)) {
    allowed[file] = {};
    for (const [name, skip] of Object.entries(tests)) {
      if (typeof skip === 'string') allowed[file][name] = skip;
      else if (lacks(skip.without)) allowed[file][name] = skip.reason;
    }
  }
  return allowed;
}
