/**
 * What a client connects with: `bunker://<pubkey>?relay=...&secret=...` (NIP-46). Relays are sorted, since clients
 * compare this list with later ones.
 */
export function bunkerUrl(pubkey: string, relays: readonly string[], secret: string): string {
  const query = [...relays].sort().map((relay) => `relay=${encodeURIComponent(relay)}`);
  return `bunker://${pubkey}?${[...query, `secret=${secret}`].join('&')}`;
}
