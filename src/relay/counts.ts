/** What the relay layer counts, by the names that metrics show. `dropped:*` is what went no further. */
export const RELAY_COUNTS = [
  'events',
  'published',
  'rejected',
  'publish: no OK',
  'publish: not connected',
  'publish: queue full',
  'publish: rate-limited',
  'connects',
  'reconnects',
  'dead sockets',
  'rebuilt',
  'probes',
  'probes lost',
  'subscriptions closed',
  'auth: daemon',
  'auth: keys',
  'auth: refused',
  'auth: challenge dropped',
  'auth: too many keys',
  'dropped: too large',
  'dropped: malformed',
  'dropped: kind',
  'dropped: unknown subscription',
  'dropped: copy',
  'embedded: connections',
  'embedded: connections refused',
  'embedded: closed for a new one',
  'embedded: closed for filters',
  'embedded: closed for flooding',
  'embedded: closed for not reading',
  'embedded: closed for silence',
  'embedded: events',
  'embedded: delivered',
  'embedded: nobody listened',
  'embedded: injected',
  'embedded: subscriptions',
  'embedded: refused subscriptions',
  'embedded: dropped: too large',
  'embedded: dropped: malformed',
  'embedded: dropped: kind',
  'embedded: dropped: signature',
  'embedded: dropped: duplicate',
  'embedded: dropped: rate',
  'embedded: dropped: busy',
] as const;

export type RelayCount = (typeof RELAY_COUNTS)[number];

/** Counters of the whole relay layer; they only grow. */
export class RelayCounts {
  /** Told how long an event of ours took until a relay had it, ms. */
  onPublished: (ms: number) => void = () => {};
  readonly values = Object.fromEntries(RELAY_COUNTS.map((name) => [name, 0])) as Record<RelayCount, number>;

  add(name: RelayCount): void {
    this.values[name]++;
  }
}
