import type { Config } from '../config.ts';

/** Relays in bunker URLs, sorted: the configured ones; the embedded relay (its URL) only when there is no other. */
export function advertisedRelays({ advertisedRelays, relays }: Config, embedded: string | null): string[] {
  const outside = advertisedRelays.length > 0 ? advertisedRelays : relays;
  const list = outside.length > 0 ? outside : embedded === null ? [] : [embedded];
  return [...list].sort();
}
