/** `YYYY-MM-DD HH:MM:SS`, what SQLite's CURRENT_TIMESTAMP and most hand-written SQL store: UTC without saying so. */
const SQL_FORM = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)$/;

/**
 * A DateTime column as ms since the epoch. Integer milliseconds, SQL text and ISO 8601 text are all found in one
 * file (docs/STORAGE.md). What none of them can explain reads as the epoch: an expiry, a revocation or a deletion
 * that cannot be read has happened, so that a damaged date grants nothing.
 */
export function readDateTime(value: unknown): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return Number.isFinite(value) ? value : 0;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string') return 0;
  const text = value.trim();
  const sql = SQL_FORM.exec(text);
  const ms = Date.parse(sql === null ? text : `${sql[1]}T${sql[2]}Z`);
  return Number.isNaN(ms) ? 0 : ms;
}
