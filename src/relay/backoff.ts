/**
 * How long to wait before the next try, ms: doubling from `min`, with jitter, never below `min` nor above `max`.
 * @param failures before this one @param random from 0 to 1
 */
export function backoff(failures: number, min: number, max: number, random: number): number {
  const base = Math.min(max / 2, min * 2 ** Math.min(failures, 30));
  return Math.min(max, Math.max(min, base * (1 + random)));
}
