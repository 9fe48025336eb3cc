import type { Config } from '../config.ts';

/** Relays in bunker URLs, sorted: the configured ones; the embedded relay only when there is no other. */
export function advertisedRelays({ advertisedRelays, relays }: Config, embeddedUrl: string | null): string[] {
  const outside = advertisedRelays.length > 0 ? advertisedRelays : relays;
  const list = outside.length > 0 || embeddedUrl === null ? outside : [embeddedUrl];
  return [...list].sort();
}
