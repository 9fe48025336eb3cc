/** Longest label, characters. */
const MAX = 128;
/** Longest metadata that are looked at, characters. */
const MAX_METADATA = 4096;

/**
 * What a client calls itself, fit to be shown to an admin: one line, without characters that steer a terminal or turn
 * text around, not long. Empty when nothing is left. It names a binding, and decides nothing.
 */
export function clientLabel(name: unknown): string {
  if (typeof name !== 'string') return '';
  const line = name
    .slice(0, MAX * 4)
    .replace(/[\s\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}]+/gu, ' ')
    .trim();
  return [...line].slice(0, MAX).join('').trim();
}

/** The label in a client's metadata, the JSON `{name, url, image}` of NIP-46; the rest of it is not looked at. */
export function labelOfMetadata(json: string): string {
  if (json === '' || json.length > MAX_METADATA) return '';
  try {
    return clientLabel((JSON.parse(json) as { name?: unknown } | null)?.name);
  } catch {
    return '';
  }
}
