import type { Answer } from '../answer.ts';

/** A list as an answer, or the part of it that was asked for. */
export function rowsAnswer(
  rows: readonly { full: object; lean: object }[],
  page: { offset: number; limit?: number | undefined } | undefined,
): Answer {
  if (page === undefined) return { ok: true, rows };
  const end = page.limit === undefined ? rows.length : page.offset + page.limit;
  return { ok: true, rows: rows.slice(page.offset, end) };
}

/** A date as results show it. */
export function iso(ms: number): string;
export function iso(ms: number | null): string | null;
export function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
