import type { Slice } from '../../policy/protocol.ts';
import type { Answer, ListRow } from '../answer.ts';
import type { Page } from './fields.ts';

/** Rows read at once: between two steps whoever signs has its turn at the database. */
const STEP = 250;

/**
 * A list, or the part of it that was asked for, read in steps in the order of ids. Reading ends where the answer cannot
 * become short enough any more.
 *
 * @param longest bytes that the answer may have
 * @param show `details`: with everything that we know of a row, be it more than an answer should have unasked
 */
export async function listAnswer<R extends { id: number }>(
  { offset = 0, limit = Number.POSITIVE_INFINITY, details = false }: Page,
  longest: number,
  read: (slice: Slice) => Promise<R[]>,
  show: (row: R, details: boolean) => ListRow,
): Promise<Answer> {
  const rows: ListRow[] = [];
  let length = 0;
  let after = 0;
  while (rows.length < limit) {
    const wanted = Math.min(STEP, limit - rows.length);
    const found = await read({ after, offset: after === 0 ? offset : 0, limit: wanted });
    for (const row of found) {
      const shown = show(row, details);
      rows.push(shown);
      if (length <= longest) length += JSON.stringify(shown.lean).length;
    }
    if (length > longest) return { ok: true, rows, offset, more: true };
    if (found.length < wanted) break;
    after = found.at(-1)!.id;
  }
  return { ok: true, rows, offset };
}

/** A list that is held in memory, or the part of it that was asked for. */
export function rowsAnswer(rows: readonly ListRow[], { offset = 0, limit = rows.length }: Page = {}): Answer {
  return { ok: true, rows: rows.slice(offset, offset + limit), offset };
}

/** What a Date can hold. */
const LAST_DATE_MS = 8.64e15;

/** A date as results show it; a damaged one, as a file may hold, must not keep anybody from reading the rest. */
export function iso(ms: number): string;
export function iso(ms: number | null): string | null;
export function iso(ms: number | null): string | null {
  return ms === null || !(Math.abs(ms) <= LAST_DATE_MS) ? null : new Date(ms).toISOString();
}
