import { getSystemErrorMessage } from 'node:util';
import { databaseFault } from '../store/fault.ts';

/**
 * What the machine did not do, in one line for the operator. Null for what is a bug of ours: its stack is wanted.
 * The messages of SQLite are never quoted, they may hold values.
 */
export function faultLine(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code, errno, syscall, path } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') return null;
  if (code.startsWith('SQLITE_')) return `the database: ${databaseFault(error)?.reason ?? 'it was refused'} (${code})`;
  if (typeof errno !== 'number' || typeof syscall !== 'string') return null;
  const where = path === undefined ? syscall : `${path}: ${syscall}`;
  return `${where}: ${getSystemErrorMessage(errno)} (${code})`;
}
