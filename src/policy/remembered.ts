import type { AuditRows } from '../store/audit-rows.ts';
import type { Remembered } from './replay.ts';

/** What the audit rows since `time` (ms since the epoch) say was carried out. */
export function* remembered(rows: AuditRows, time: number): Generator<Remembered> {
  for (const row of rows.since(time)) {
    const entry = read(row.params);
    if (entry !== null) yield entry;
  }
}

function read(params: string): Remembered | null {
  let row: { [name: string]: unknown };
  try {
    row = JSON.parse(params);
  } catch {
    // Somebody edited it: `audit verify` tells where.
    return null;
  }
  if (typeof row.envelope === 'string') {
    const body = typeof row.body === 'string' && row.retry !== true ? row.body : null;
    return { envelope: row.envelope, body };
  }
  if (row.phase === 'begin' && typeof row.event === 'string') return { envelope: row.event, body: null };
  return null;
}
