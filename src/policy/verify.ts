import Database from 'better-sqlite3';
import { chainHash, GENESIS } from './chain.ts';

export interface ChainHead {
  seq: number;
  hash: string;
}

export interface ChainReport {
  ok: boolean;
  /** Rows whose place in the chain holds. */
  rows: number;
  /** Rows without a hash. */
  unchained: number;
  /** Those of them with an id after the cut: another program wrote them, or they were stripped of their hash. */
  bare: number;
  /** The last row of the chain; null while it has none. */
  head: ChainHead | null;
  /** Rows up to this one were pruned, or are older than the chain. */
  cut: ChainHead;
  /** The first place where it breaks, and a line that says how. */
  wrong: { seq: number; line: string } | null;
}

interface LogRow {
  seq: number;
  time: unknown;
  type: string;
  method: string | null;
  params: string | null;
  hash: string | null;
}

/**
 * Checks the audit chain row by row, in one snapshot and without holding the rows. Reads only: it may run beside a
 * daemon that writes. `head`: one that was kept outside; without it only a break inside the chain shows, not a chain
 * that was computed anew (docs/POLICY.md). @throws SqliteError when the file cannot be read.
 */
export function verifyChain(database: string | Database.Database, head: ChainHead | null = null): ChainReport {
  if (typeof database !== 'string') return inSnapshot(database, head);
  const db = new Database(database, { readonly: true, fileMustExist: true, timeout: 2000 });
  try {
    return inSnapshot(db, head);
  } finally {
    db.close();
  }
}

function inSnapshot(db: Database.Database, head: ChainHead | null): ChainReport {
  db.exec('BEGIN');
  try {
    return walk(db, head);
  } finally {
    db.exec('COMMIT');
  }
}

function walk(db: Database.Database, kept: ChainHead | null): ChainReport {
  if (!hasChain(db)) return noChain(db, kept);
  const cut = readCut(db);
  const report: ChainReport = { ok: true, rows: 0, unchained: 0, bare: 0, head: null, cut, wrong: null };
  let previous = cut.hash;
  /** The last id that was accounted for. */
  let last = cut.seq;
  /** The first row without a hash since the last one that has one. */
  let bare: number | null = null;
  let keptSeen = kept === null || (kept.seq === cut.seq && kept.hash === cut.hash);
  let keptLack = 'is missing';
  const rows = db
    .prepare('SELECT id AS seq, timestamp AS time, type, method, params, hash FROM "Log" ORDER BY id')
    .iterate() as IterableIterator<LogRow>;
  for (const row of rows) {
    if (row.hash === null) {
      report.unchained++;
      if (row.seq > cut.seq) report.bare++;
      if (row.seq === kept?.seq) keptLack = 'has no hash';
      bare ??= row.seq;
      if (row.seq > last) last = row.seq;
      continue;
    }
    const line = problem(row, previous, last);
    if (line !== null) {
      const hint = bare === null ? '' : ` (row ${bare} before it has no hash)`;
      return broken(report, row.seq > last + 1 ? last + 1 : row.seq, line + hint);
    }
    bare = null;
    previous = row.hash;
    last = row.seq;
    report.rows++;
    report.head = { seq: row.seq, hash: row.hash };
    if (kept !== null && kept.seq === row.seq) {
      if (kept.hash !== row.hash)
        return broken(report, row.seq, `row ${row.seq} is not the one that the kept head names`);
      keptSeen = true;
    }
  }
  const given = lastGiven(db);
  if (given > last) return broken(report, last + 1, `${span(last + 1, given)} missing at the end`);
  if (keptSeen || kept === null) return report;
  if (kept.seq < cut.seq) {
    return broken(
      report,
      kept.seq,
      `the kept head (row ${kept.seq}) is older than the cut at row ${cut.seq}: it proves nothing here`,
    );
  }
  return broken(report, kept.seq, `row ${kept.seq}, which the kept head names, ${keptLack}`);
}

function problem(row: LogRow, previous: string, last: number): string | null {
  if (row.seq <= last) return `row ${row.seq} lies before the cut at row ${last}`;
  const time = typeof row.time === 'number' ? row.time : Number.NaN;
  const expected = chainHash(previous, { ...row, time });
  if (row.seq > last + 1) return `${span(last + 1, row.seq - 1)} missing before row ${row.seq}`;
  if (expected === row.hash) return null;
  return `row ${row.seq} was changed, or does not follow the row before it`;
}

function span(from: number, to: number): string {
  return from === to ? `row ${from} is` : `rows ${from} to ${to} are`;
}

function broken(report: ChainReport, seq: number, line: string): ChainReport {
  return { ...report, ok: false, wrong: { seq, line } };
}

function hasChain(db: Database.Database): boolean {
  const column = db.prepare(`SELECT 1 FROM pragma_table_info('Log') WHERE name = 'hash'`).get();
  const meta = db.prepare(`SELECT 1 FROM sqlite_master WHERE name = 'redoubt_meta'`).get();
  return column !== undefined && meta !== undefined;
}

/** A database that Redoubt has not migrated. */
function noChain(db: Database.Database, kept: ChainHead | null): ChainReport {
  const hasLog = db.prepare(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'Log'`).get() !== undefined;
  const unchained = hasLog ? (db.prepare('SELECT count(*) FROM "Log"').pluck().get() as number) : 0;
  const cut = { seq: 0, hash: GENESIS };
  const wrong =
    kept === null ? null : { seq: kept.seq, line: 'the database has no audit chain, and a head of one was kept' };
  return { ok: wrong === null, rows: 0, unchained, bare: 0, head: null, cut, wrong };
}

function readCut(db: Database.Database): ChainHead {
  const read = db.prepare('SELECT value FROM redoubt_meta WHERE name = ?').pluck();
  return { seq: Number(read.get('cutSeq') ?? 0), hash: String(read.get('cutHash') ?? GENESIS) };
}

/** SQLite remembers the highest id that it gave: rows cut off at the end show, unless that was mended too. */
function lastGiven(db: Database.Database): number {
  return (db.prepare(`SELECT seq FROM sqlite_sequence WHERE name = 'Log'`).pluck().get() as number | undefined) ?? 0;
}
