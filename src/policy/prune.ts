import type { AuditRows } from '../store/audit-rows.ts';
import type { Journal } from './journal.ts';

/** Rows of one step: a few milliseconds, between which requests are served. */
const STEP_ROWS = 500;

/**
 * Removes the oldest rows of the audit log that were written before `before` (ms since the epoch), one step of them.
 * The chain's cut moves to the last one. True: there may be more. @throws what the journal throws.
 */
export function pruneStep(journal: Journal, rows: AuditRows, before: number): boolean {
  const oldest = rows.oldest(STEP_ROWS);
  const firstKept = oldest.findIndex((row) => row.time >= before);
  const old = firstKept === -1 ? oldest : oldest.slice(0, firstKept);
  const last = old.at(-1);
  if (last === undefined) return false;
  const hash = old.findLast((row) => row.hash !== null)?.hash ?? journal.cut.hash;
  journal.prune({ seq: last.id, hash }, old.length);
  return firstKept === -1;
}
