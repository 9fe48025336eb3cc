/** Which test files print figures for which promises, by their sources: also of files that have never been run. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Declared = { [file: string]: string[] };

const PRINTS = /[`'"](R\d+(?:[, ]R\d+)*) \$\{JSON/g;
const FORM_OF = /^await import\('(\.\/[\w.-]+\.ts)'\);$/gm;

/** @param root of the repository; names of files are paths from there */
export function declaredBy(root: string): Declared {
  const files = globSync('test/**/*.{test,long}.ts', { cwd: root });
  return Object.fromEntries(files.map((file) => [file, idsOf(join(root, file))]));
}

/** A long form, which is no more than another file with larger numbers, declares what that one does. */
function idsOf(path: string): string[] {
  const source = readFileSync(path, 'utf8');
  const own = [...source.matchAll(PRINTS)].flatMap(([, ids]) => ids!.split(/[, ]/));
  const others = [...source.matchAll(FORM_OF)].flatMap(([, other]) => idsOf(join(path, '..', other!)));
  return [...new Set([...own, ...others])];
}
