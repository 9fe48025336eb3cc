import { parseDuration } from './duration.ts';
import { EXIT, Refusal } from './refusal.ts';

const HOUR_MS = 3_600_000;

/** A point in time, given as a date or as how long ago it was (`12h`) -> ms since the epoch. */
export function parseSince(text: string, now: number): number {
  if (/^\d+[mhdwy]$/.test(text.trim())) return Math.round(now - parseDuration(text) * HOUR_MS);
  const at = Date.parse(text);
  if (!Number.isNaN(at) && at >= 0) return at;
  throw new Refusal('--since is a date like 2027-01-31T12:00:00Z, or how long ago it was, for example 12h', EXIT.usage);
}
