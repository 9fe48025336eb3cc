import type { Filter } from './protocol.ts';

/** A subscription as NIP-01's REQ names it. */
export interface Subscription {
  id: string;
  filters: Filter[];
}

export const CLIENT_KIND = 24133;
export const ADMIN_KIND = 24134;
/** Most pubkeys in one subscription. */
export const MAX_CHUNK = 300;

/**
 * Client requests to these keys, in subscriptions of at most `max` pubkeys.
 *
 * Keys are put together by the first bits of the pubkey, as few bits as make the parts small enough: adding or removing
 * a key changes its own subscription only, or parts it in two (or joins two) when it passes the limit. The same keys
 * give the same subscriptions in any order.
 */
export function clientSubscriptions(pubkeys: Iterable<string>, max = MAX_CHUNK): Subscription[] {
  const chunks: Subscription[] = [];
  divide([...new Set(pubkeys)].sort(), '', max, chunks);
  return chunks;
}

function divide(sorted: string[], bits: string, max: number, chunks: Subscription[]): void {
  if (sorted.length === 0) return;
  if (sorted.length <= max || bits.length >= 32) {
    chunks.push({ id: `keys-${bits}`, filters: [{ kinds: [CLIENT_KIND], '#p': sorted, limit: 0 }] });
    return;
  }
  const first = sorted.findIndex((pubkey) => bitOf(pubkey, bits.length));
  const half = first === -1 ? sorted.length : first;
  divide(sorted.slice(0, half), `${bits}0`, max, chunks);
  divide(sorted.slice(half), `${bits}1`, max, chunks);
}

function bitOf(pubkey: string, index: number): boolean {
  return ((Number.parseInt(pubkey[index >> 2]!, 16) >> (3 - (index & 3))) & 1) === 1;
}

/**
 * Requests to the daemon's own key: those of admins, and in a subscription of its own those of strangers, which a relay
 * under pressure may close first. Older admin clients send kind 24133.
 */
export function adminSubscriptions(daemon: string, admins: readonly string[]): Subscription[] {
  const kinds = [ADMIN_KIND, CLIENT_KIND];
  const strangers: Subscription = { id: 'strangers', filters: [{ kinds, '#p': [daemon], limit: 0 }] };
  if (admins.length === 0) return [strangers];
  const authors = [...new Set(admins)].sort();
  return [{ id: 'admins', filters: [{ kinds, '#p': [daemon], authors, limit: 0 }] }, strangers];
}
