import { existsSync } from 'node:fs';

/** A name beside a file that nothing has yet: `nsecbunker.db.pre-strip-20270131T120000Z`. @param now ms since the epoch */
export function copyName(path: string, why: string, now: number): string {
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  const name = `${path}.${why}-${stamp}`;
  for (let again = 1; ; again++) {
    const candidate = again === 1 ? name : `${name}-${again}`;
    if (!existsSync(candidate)) return candidate;
  }
}
