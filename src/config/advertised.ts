import type { Config } from '../config.ts';

/**
 * The relays that clients are told of, sorted. The embedded relay's internal address is among them only when it is
 * configured so or there is no other (NIP-46, docs/PROTOCOL.md).
 */
export function advertised(config: Pick<Config, 'advertisedRelays' | 'relays'>, embedded: string | null): string[] {
  if (config.advertisedRelays.length > 0) return config.advertisedRelays;
  if (config.relays.length > 0) return config.relays;
  return embedded === null ? [] : [embedded];
}
