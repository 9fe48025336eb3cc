import { once } from 'node:events';
import Database from 'better-sqlite3';
import { readDateTime } from '../../prisma-compat/date-time.ts';
import { systemClock } from '../actor/clock.ts';
import { readPubkey } from '../admin/npub.ts';
import { auditEntry, matchesAudit } from '../policy/audit-filter.ts';
import type { LoggedRow } from '../policy/protocol.ts';
import { whichInstallation } from './admin-access.ts';
import { auditDatabase } from './audit-database.ts';
import { EXIT, Refusal } from './refusal.ts';
import { parseSince } from './since.ts';
import { outputLost } from './standard-output.ts';

interface ExportOptions {
  data?: string;
  config?: string;
  key?: string;
  client?: string;
  since?: string;
  json?: boolean;
}

/** Characters gathered before they are written. */
const CHUNK = 65_536;

/** `redoubt audit export`: reads the database file in one snapshot, beside a running daemon or without one. @throws Refusal */
export async function exportAudit(options: ExportOptions): Promise<void> {
  const client = options.client === undefined ? null : readPubkey(options.client);
  if (client === null && options.client !== undefined) {
    throw new Refusal('--client is a public key: 64 hex digits, or an npub', EXIT.usage);
  }
  const since = options.since === undefined ? null : parseSince(options.since, systemClock.now());
  const filter = { key: options.key ?? null, client, since };
  const { database } = await auditDatabase(whichInstallation(options, process.env, process.cwd()));
  const db = open(database);
  try {
    const rows = db
      .prepare(
        `SELECT id, timestamp, type, method, params, keyUserId, ${hashColumn(db)} AS hash FROM "Log" ORDER BY id`,
      )
      .iterate() as IterableIterator<Omit<LoggedRow, 'timestamp'> & { timestamp: unknown }>;
    await write(lines(rows, filter, options.json === true));
  } catch (error) {
    throw unreadable(database, error);
  } finally {
    db.close();
  }
}

/** A file that Redoubt has not migrated has no hashes. */
function hashColumn(db: Database.Database): string {
  return db.prepare(`SELECT 1 FROM pragma_table_info('Log') WHERE name = 'hash'`).get() === undefined ? 'NULL' : 'hash';
}

function* lines(
  rows: Iterable<Omit<LoggedRow, 'timestamp'> & { timestamp: unknown }>,
  filter: Parameters<typeof matchesAudit>[1],
  document: boolean,
): Generator<string> {
  let first = true;
  for (const stored of rows) {
    const row = { ...stored, timestamp: readDateTime(stored.timestamp) ?? 0 };
    if (!matchesAudit(row, filter)) continue;
    const text = JSON.stringify(auditEntry(row));
    if (!document) yield `${text}\n`;
    else yield `${first ? '[' : ','}\n${text}`;
    first = false;
  }
  if (document) yield first ? '[]\n' : '\n]\n';
}

/** Waits for whoever reads it; one that reads no further ends it. */
async function write(parts: Iterable<string>): Promise<void> {
  const { stdout } = process;
  let chunk = '';
  for (const part of parts) {
    chunk += part;
    if (chunk.length < CHUNK) continue;
    if (!stdout.write(chunk)) await once(stdout, 'drain', { signal: outputLost }).catch(() => {});
    chunk = '';
    if (outputLost.aborted) return;
  }
  stdout.write(chunk);
}

function open(path: string): Database.Database {
  try {
    return new Database(path, { readonly: true, fileMustExist: true, timeout: 2000 });
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): unknown {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? new Refusal(`the database ${path} cannot be read (${code})`) : error;
}
