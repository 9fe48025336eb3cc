import type { LookupFunction } from 'node:net';
import type { Clock } from '../actor/clock.ts';
import type { LogLine, Outcome } from '../policy/protocol.ts';
import type { RelayCounts } from './counts.ts';
import { drained } from './drained.ts';
import { type LinkLimits, RelayLink } from './link.ts';
import type { Authenticators } from './link-auth.ts';
import type { EventHead, RelayState } from './protocol.ts';
import type { PublishedAt, Relays } from './relays.ts';
import { clientSubscriptions } from './subscriptions.ts';

export interface ClientRelaysOptions {
  /** Those that serve every key: what is among them needs no second link. */
  relays: Relays;
  clock: Clock;
  /** From 0 to 1, for jitter. */
  random: () => number;
  counts: RelayCounts;
  log: (line: LogLine) => void;
  auth: Authenticators;
  /** Finds the addresses of relays; the system's own way when left out. */
  lookup?: LookupFunction | undefined;
  /** Relays that are held at once. */
  most: number;
  linkLimits?: Partial<LinkLimits>;
}

/** A key, by its pubkey, and relays that clients of it brought along. */
export interface Need {
  pubkey: string;
  relays: readonly string[];
}

interface Held {
  link: RelayLink;
  /** Pubkeys of the keys that it serves. */
  keys: Set<string>;
  /** Its subscriptions, which the keys have made, were answered. */
  answered: Promise<boolean> | null;
  /** Nobody needs it any more: it is about to be left. */
  leaving: NodeJS.Timeout | null;
}

/** How long relays have until the first of them is ready, and then the others, ms. */
const REACH_MS = 8_000;
const OTHERS_MS = 1_000;
const LOOK_MS = 20;
/** A relay that nobody needs any more is left after this, ms: the answer to a logout still has to go out. */
const LINGER_MS = 2_000;

/**
 * Relays that clients brought along (NIP-46, nostrconnect://). Each serves the keys that such clients use, and no other,
 * and is held for as long as a live binding of an unlocked key needs it. URLs are in the form of `relayUrl`.
 */
export class ClientRelays {
  readonly #options: ClientRelaysOptions;
  readonly #held = new Map<string, Held>();
  /** Needed now that somebody is being introduced; the records do not say so yet. */
  readonly #claims = new Set<Need>();
  #needs: readonly Need[] = [];
  #closed = false;

  constructor(options: ClientRelaysOptions) {
    this.#options = options;
  }

  /** What live bindings need, those that came first before the others: beyond the bound the last ones go without. */
  arrange(needs: readonly Need[]): void {
    this.#needs = needs;
    this.#arrange();
  }

  /**
   * Serves a key on these relays from now on, until `release`.
   * @returns null, or why none of them can be had
   */
  async claim(need: Need): Promise<Outcome<null>> {
    const held = [...this.#held].filter(([, { leaving }]) => leaving === null).map(([url]) => url);
    const wanted = new Set([...held, ...need.relays.filter((url) => !this.#isOurs(url))]);
    if (wanted.size > this.#options.most) {
      const refusal = `the daemon is on ${held.length} relays of clients already, and may be on ${this.#options.most}: revoke clients that are gone, or raise limits.clientRelays`;
      return { ok: false, refusal };
    }
    this.#claims.add(need);
    this.#arrange();
    if (await this.#reached(need)) return { ok: true, value: null };
    const why = need.relays.map((url) => `${url} (${this.#held.get(url)?.link.status().reason ?? 'not connected'})`);
    this.release(need);
    return { ok: false, refusal: `none of the client's relays can be used: ${why.join(', ')}` };
  }

  /** What was claimed is held only if the records need it. */
  release(need: Need): void {
    this.#claims.delete(need);
    this.#arrange();
  }

  /**
   * Publishes what a key has signed on the relays that are held for it.
   * @param where `among`: those only; `from`: where the request came from, whether or not it is still held for that key
   */
  publish(
    raw: string,
    head: EventHead,
    where: { among?: readonly string[]; from?: string } = {},
  ): Promise<PublishedAt[]> {
    const publishing: Promise<PublishedAt>[] = [];
    for (const [relay, { link, keys }] of this.#held) {
      if (!keys.has(head.pubkey) && relay !== where.from) continue;
      if (where.among?.includes(relay) === false) continue;
      publishing.push(link.publish(head.id, raw, head.pubkey).then((published) => ({ relay, ...published })));
    }
    return Promise.all(publishing);
  }

  status(): { url: string; state: RelayState; keys: number }[] {
    return [...this.#held.values()].map(({ link, keys }) => {
      const { url, state } = link.status();
      return { url, state, keys: keys.size };
    });
  }

  /** Resolves when those that are connected have taken what was published, after `ms` in any case. */
  drain(ms: number): Promise<void> {
    return drained(() => [...this.#held.values()].map(({ link }) => link.status()), this.#options.clock, ms);
  }

  close(): void {
    this.#closed = true;
    for (const url of this.#held.keys()) this.#leave(url);
  }

  /** Whether one is ready; the others have a moment longer. Over early when none can be connected to. */
  async #reached({ relays }: Need): Promise<boolean> {
    const { clock } = this.#options;
    let until = clock.mono() + REACH_MS;
    for (let reached = false; ; ) {
      const ready = relays.filter((url) => this.#isReady(url)).length;
      if (ready === relays.length || this.#closed) return true;
      if (ready > 0 && !reached) {
        reached = true;
        until = Math.min(until, clock.mono() + OTHERS_MS);
      }
      if (clock.mono() >= until || relays.every((url) => this.#held.get(url)?.link.waits === true)) return reached;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #isReady(url: string): boolean {
    const ours = this.#options.relays.stateOf(url);
    // One of ours that refuses its probe may still carry what clients send.
    if (ours !== null) return ours === 'ready' || ours === 'degraded';
    const held = this.#held.get(url);
    return held?.answered === null && held.link.status().state === 'ready';
  }

  #isOurs(url: string): boolean {
    return this.#options.relays.stateOf(url) !== null;
  }

  #arrange(): void {
    if (this.#closed) return;
    const wanted = this.#wanted();
    for (const [url, held] of this.#held) {
      if (wanted.has(url)) continue;
      if (held.link.status().state === 'connecting') this.#leave(url);
      else held.leaving ??= setTimeout(() => this.#leave(url), LINGER_MS).unref();
    }
    for (const [url, keys] of wanted) {
      const held = this.#held.get(url) ?? this.#hold(url);
      if (held.leaving !== null) clearTimeout(held.leaving);
      held.leaving = null;
      held.keys = keys;
      const answered = held.link.setSubscriptions(clientSubscriptions(keys));
      held.answered = answered;
      void answered.then(() => {
        if (held.answered === answered) held.answered = null;
      });
    }
  }

  #leave(url: string): void {
    const held = this.#held.get(url);
    if (held === undefined) return;
    if (held.leaving !== null) clearTimeout(held.leaving);
    held.link.close();
    this.#held.delete(url);
  }

  #wanted(): Map<string, Set<string>> {
    const wanted = new Map<string, Set<string>>();
    let without = 0;
    for (const { pubkey, relays } of [...this.#needs, ...this.#claims]) {
      for (const url of relays) {
        if (this.#isOurs(url)) continue;
        const keys = wanted.get(url);
        if (keys !== undefined) keys.add(pubkey);
        else if (wanted.size < this.#options.most) wanted.set(url, new Set([pubkey]));
        else without++;
      }
    }
    if (without > 0) {
      const message = 'some relays of clients are not held: there are more than limits.clientRelays';
      this.#options.log({ level: 'warn', message, fields: { held: wanted.size } });
    }
    return wanted;
  }

  #hold(url: string): Held {
    const { relays, clock, random, counts, log, auth, lookup, linkLimits: limits } = this.#options;
    const held: Held = {
      keys: new Set(),
      answered: null,
      leaving: null,
      link: new RelayLink({
        url,
        clock,
        random,
        counts,
        log,
        auth,
        lookup,
        limits,
        // It may say whatever it likes of the keys that it is for, and nothing of others.
        onEvent: (event) => {
          if (held.keys.has(event.head.p)) relays.receive(event, url);
          else counts.add('dropped: unknown subscription');
        },
      }),
    };
    this.#held.set(url, held);
    held.link.start();
    return held;
  }
}
