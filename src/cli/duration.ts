import { EXIT, Refusal } from './refusal.ts';

const HOURS: { [unit: string]: number } = { m: 1 / 60, h: 1, d: 24, w: 168, y: 8760 };
const LONGEST = 876_000;

/** `30d`, `12h`, `90m`, `2w`, `1y` -> hours. @param option that it was given to, for example `--expires` */
export function parseDuration(text: string, option: string): number {
  const [, count, unit] = /^(\d{1,9})([mhdwy])$/.exec(text.trim()) ?? [];
  const hours = Number(count) * (HOURS[unit ?? ''] ?? Number.NaN);
  if (hours > 0 && hours <= LONGEST) return hours;
  throw new Refusal(
    `${option}: a duration is a number above 0 with a unit, m h d w or y, for example 30d or 12h, and at most 100y`,
    EXIT.usage,
  );
}
