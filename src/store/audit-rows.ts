import type Database from 'better-sqlite3';
import { readDateTime } from '../../prisma-compat/date-time.ts';
import type { LoggedRow } from '../policy/protocol.ts';

export interface OldRow {
  id: number;
  /** ms since the epoch */
  time: number;
  hash: string | null;
}

/** Reading the audit log: where its chain stands, what it remembers, what is old. */
export class AuditRows {
  readonly #last: Database.Statement;
  readonly #meta: Database.Statement;
  readonly #count: Database.Statement;
  readonly #since: Database.Statement;
  readonly #oldest: Database.Statement;
  readonly #before: Database.Statement;

  constructor(db: Database.Database) {
    this.#last = db.prepare('SELECT id AS seq, hash FROM "Log" WHERE hash IS NOT NULL ORDER BY id DESC LIMIT 1');
    this.#meta = db.prepare('SELECT value FROM redoubt_meta WHERE name = ?').pluck();
    this.#count = db.prepare('SELECT count(*) FROM "Log"').pluck();
    this.#since = db.prepare('SELECT type, params FROM "Log" WHERE timestamp >= ? AND hash IS NOT NULL');
    this.#oldest = db.prepare('SELECT id, timestamp AS time, hash FROM "Log" ORDER BY id LIMIT ?');
    this.#before = db.prepare(
      'SELECT id, timestamp, type, method, params, keyUserId, hash FROM "Log" WHERE id < ? ORDER BY id DESC LIMIT ?',
    );
  }

  /** Rows up to it are no part of the chain: they were pruned, or are older than it. */
  cut(): { seq: number; hash: string } {
    return { seq: Number(this.#meta.get('cutSeq')), hash: String(this.#meta.get('cutHash')) };
  }

  /** The last row of the chain; the cut while it has none. */
  head(): { seq: number; hash: string } {
    return (this.#last.get() as { seq: number; hash: string } | undefined) ?? this.cut();
  }

  count(): number {
    return this.#count.get() as number;
  }

  /** Rows of the chain written at or after `time`, ms since the epoch. */
  since(time: number): IterableIterator<{ type: string; params: string }> {
    return this.#since.iterate(time) as IterableIterator<{ type: string; params: string }>;
  }

  oldest(limit: number): OldRow[] {
    const rows = this.#oldest.all(limit) as { id: number; time: unknown; hash: string | null }[];
    return rows.map((row) => ({ ...row, time: readDateTime(row.time) ?? 0 }));
  }

  /** Rows whose ids are smaller, the newest first. */
  before(id: number, limit: number): LoggedRow[] {
    const rows = this.#before.all(id, limit) as (Omit<LoggedRow, 'timestamp'> & { timestamp: unknown })[];
    return rows.map((row) => ({ ...row, timestamp: readDateTime(row.timestamp) ?? 0 }));
  }
}
