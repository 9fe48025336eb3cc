import { parseDuration } from './duration.ts';
import { EXIT, Refusal } from './refusal.ts';

const HOUR_MS = 3_600_000;

/** A point in time, given as a date or as how long ago it was (`12h`) -> ms since the epoch. */
export function parseSince(text: string, now: number): number {
  const trimmed = text.trim();
  if (/^\d+[mhdwy]$/.test(trimmed)) return Math.round(now - parseDuration(trimmed, '--since') * HOUR_MS);
  // Date.parse would take a bare number for a year.
  const at = /^\d{4}-\d\d-\d\d(T.*)?$/.test(trimmed) ? Date.parse(trimmed) : Number.NaN;
  if (at > now) throw new Refusal('--since lies in the future: give a time that has passed', EXIT.usage);
  if (at >= 0) return at;
  throw new Refusal('--since is a date like 2027-01-31T12:00:00Z, or how long ago it was, for example 12h', EXIT.usage);
}
