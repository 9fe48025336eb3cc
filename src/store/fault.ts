/** Why the database did not do it: `busy` somebody else holds the lock, `unwritable` it cannot write at all. */
export type Fault = { kind: 'busy' | 'unwritable'; reason: string };

const UNWRITABLE: readonly (readonly [prefix: string, reason: string])[] = [
  ['SQLITE_FULL', 'the disk is full'],
  ['SQLITE_IOERR', 'reading or writing the disk failed'],
  ['SQLITE_READONLY', 'the file or its folder is read-only'],
  ['SQLITE_CANTOPEN', 'the file cannot be opened'],
  ['SQLITE_CORRUPT', 'the file is damaged'],
  ['SQLITE_NOTADB', 'the file is not a SQLite database'],
  ['SQLITE_PERM', 'access is not permitted'],
  ['SQLITE_AUTH', 'access is not permitted'],
  ['SQLITE_NOMEM', 'memory ran out'],
];
const BUSY = ['SQLITE_BUSY', 'SQLITE_LOCKED', 'SQLITE_PROTOCOL'];

/** Null for what is no fault of the file's: a bug of ours. Messages are never quoted, they may hold values. */
export function databaseFault(error: unknown): Fault | null {
  if (error instanceof DatabaseGone) return { kind: 'unwritable', reason: 'the file was moved or deleted' };
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return null;
  if (BUSY.some((prefix) => code.startsWith(prefix))) {
    return { kind: 'busy', reason: 'another program holds its lock' };
  }
  const reason = UNWRITABLE.find(([prefix]) => code.startsWith(prefix))?.[1];
  return reason === undefined ? null : { kind: 'unwritable', reason };
}

/** SQLite goes on writing to a file that has lost its name: what it commits would be found by nobody. */
export class DatabaseGone extends Error {
  constructor() {
    super('the database file was moved or deleted');
    this.name = 'DatabaseGone';
  }
}
