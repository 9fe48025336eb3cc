import { resolve } from 'node:path';

export type DatabaseUrl = { ok: true; path: string } | { ok: false; refusal: string };

const SCHEMES = ['file', 'sqlite'];

/**
 * The file that a DATABASE_URL names: Prisma's `file:/path` (or `file:relative`), `sqlite:///path`, or a plain path.
 * Parameters behind `?` are Prisma's own and are left out. A refusal goes on from where it was written. `cwd`: what relative paths start from.
 */
export function databasePath(url: string, cwd: string): DatabaseUrl {
  const text = url.trim();
  if (text === '') return { ok: false, refusal: 'is empty: give file:/path/to/nsecbunker.db or a path' };
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { ok: true, path: resolve(cwd, text) };
  if (!SCHEMES.includes(scheme)) {
    return {
      ok: false,
      refusal: `begins with ${scheme}:, which is not understood: give file:/path/to/nsecbunker.db or a path`,
    };
  }
  const rest = text.slice(scheme.length + 1).replace(/\?.*$/s, '');
  const path = rest.startsWith('//') ? afterAuthority(rest.slice(2), scheme) : rest;
  if (path === '') return { ok: false, refusal: `names no file: give ${scheme}:/path/to/nsecbunker.db` };
  return { ok: true, path: resolve(cwd, path) };
}

/** `sqlite://relative` and `file://relative` have no authority in practice: what looks like one is a folder. */
function afterAuthority(rest: string, scheme: string): string {
  return scheme === 'file' && rest.startsWith('localhost/') ? rest.slice('localhost'.length) : rest;
}
