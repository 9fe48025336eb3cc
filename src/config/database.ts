import { resolve } from 'node:path';
import type { Outcome } from '../policy/protocol.ts';

/**
 * The file that a database option names: a path, Prisma's `file:PATH`, or `sqlite://PATH`. Relative paths start at
 * the working directory. Refusals do not quote the value: a URL may hold a password.
 */
export function databasePath(written: string, cwd: string): Outcome<string> {
  const refuse = (refusal: string): Outcome<string> => ({ ok: false, refusal });
  const scheme = /^([a-z][a-z0-9+]*):/i.exec(written)?.[1]?.toLowerCase();
  if (scheme?.startsWith('postgres'))
    return refuse('PostgreSQL is not supported: name an SQLite file, file:/path/nsecbunker.db');
  if (scheme !== undefined && scheme !== 'file' && scheme !== 'sqlite') {
    return refuse(`a database of type ${scheme} is not supported: name an SQLite file, file:/path/nsecbunker.db`);
  }
  // `file:/a`, `file:///a` and `sqlite:///a` are /a; `file:a`, `file:./a` and `sqlite://a` are relative.
  const rest = scheme === undefined ? written : written.slice(scheme.length + 1).replace(/^\/\//, '');
  // Prisma's connection parameters, as in `file:./dev.db?connection_limit=1`.
  const path = scheme === undefined ? rest : (rest.split('?')[0] as string);
  if (path === '' || path.includes('\0'))
    return refuse('expected the path of an SQLite file, for example file:/path/nsecbunker.db');
  if (path === ':memory:') return refuse('a database in memory would forget every pairing: name a file');
  return { ok: true, value: resolve(cwd, path) };
}
