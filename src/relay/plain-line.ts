const MAX = 200;

/** What a relay wrote, fit for a log line or a status: one line, without control characters, not long. */
export function plainLine(text: string): string {
  const line = text
    .slice(0, MAX * 2)
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ')
    .trim();
  return line.length > MAX ? `${line.slice(0, MAX)}...` : line;
}
