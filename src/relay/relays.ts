import type { Clock } from '../actor/clock.ts';
import type { LogLine } from '../policy/protocol.ts';
import { RelayCounts } from './counts.ts';
import { drained } from './drained.ts';
import type { EmbeddedRelay } from './embedded.ts';
import type { HandledIds } from './handled.ts';
import type { WireEvent } from './head.ts';
import { type LinkLimits, RelayLink } from './link.ts';
import type { Authenticators } from './link-auth.ts';
import type { Published } from './outbox.ts';
import type { EventHead, Filter, Incoming, RelayStatus } from './protocol.ts';
import { RecentTexts } from './recent.ts';
import { ADMIN_KIND, CLIENT_KIND, type Subscription } from './subscriptions.ts';
import { relayUrl } from './url.ts';

/** Name of the embedded relay, where a relay is named. */
export const EMBEDDED = 'embedded';

export interface RelaysOptions {
  /** Outside relays; see `setRelays`. */
  urls: readonly string[];
  embedded?: EmbeddedRelay;
  clock: Clock;
  /** From 0 to 1, for jitter. */
  random: () => number;
  /** Ids of events that were verified; at least twice the clock skew that is allowed. */
  handled: HandledIds;
  counts?: RelayCounts;
  log: (line: LogLine) => void;
  makeProbe?: () => Promise<string>;
  /** Who answers challenges (NIP-42). */
  auth?: Authenticators;
  linkLimits?: Partial<LinkLimits>;
  /** How long `setSubscriptions` waits for relays that do not answer, ms. */
  liveMs?: number;
}

/** What became of an event at one relay. */
export interface PublishedAt extends Published {
  /** URL, or `embedded`. */
  relay: string;
}

/** All relays behind one door: the outside ones, and the embedded one if there is one. */
export class Relays {
  readonly #options: RelaysOptions;
  readonly #counts: RelayCounts;
  readonly #links = new Map<string, RelayLink>();
  readonly #recent = new RecentTexts();
  #urls: string[] = [];
  #subscriptions: Subscription[] = [];
  #handler: (incoming: Incoming) => void = () => {};
  #started = false;

  /** @throws TypeError naming the URL that is none */
  constructor(options: RelaysOptions) {
    this.#options = options;
    this.#counts = options.counts ?? options.embedded?.counts ?? new RelayCounts();
    const refusal = this.setRelays(options.urls);
    if (refusal !== null) throw new TypeError(refusal);
    options.embedded?.onEvent((incoming) => this.#fromEmbedded(incoming));
  }

  /** The embedded relay listens first, so that outside URLs which lead back to it are known. */
  async start(): Promise<void> {
    await this.#options.embedded?.start();
    this.#started = true;
    this.#arrange();
  }

  async close(): Promise<void> {
    this.#started = false;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    await this.#options.embedded?.close();
  }

  /** Resolves when the relays that are connected have taken what was published, after `ms` in any case. */
  async drain(ms: number): Promise<void> {
    await drained(() => this.status(), this.#options.clock, ms);
  }

  /** Events that were not handled before, from whichever relay they came first. Nothing in them is verified. */
  onEvent(handler: (incoming: Incoming) => void): void {
    this.#handler = handler;
  }

  /** An event that came over a link that is not ours: of a client's relay (client-relays.ts). */
  receive(event: WireEvent, from: string): void {
    this.#fromOutside(event, from);
  }

  /** How the relay of this URL is, if it is one of ours; null for any other. */
  stateOf(url: string): RelayStatus['state'] | null {
    const name = this.#name(url);
    if (name === EMBEDDED) return this.#options.embedded?.url ? 'ready' : 'closed';
    return this.#links.get(name)?.status().state ?? null;
  }

  /** An event's id and signature were found to hold: copies of it are dropped from here on. */
  remember(id: string): void {
    this.#options.handled.remember(id, this.#options.clock.mono());
  }

  /**
   * Changes the outside relays; those that stay keep their connections.
   * @returns null, or in one line which is no relay URL, and then nothing is changed
   */
  setRelays(urls: readonly string[]): string | null {
    const known: string[] = [];
    for (const text of urls) {
      const url = relayUrl(text);
      if (url === null) return `relay ${JSON.stringify(text)}: not a ws:// or wss:// URL`;
      if (!known.includes(url)) known.push(url);
    }
    this.#urls = known;
    if (this.#started) this.#arrange();
    return null;
  }

  /**
   * What to listen for, on every relay: live events only, whatever the filters' times say, as machines with wrong
   * clocks exist. Only what changed is sent.
   * @returns once it is in force on all relays that are connected, or `liveMs` have passed; whether it is
   */
  async setSubscriptions(subscriptions: readonly { id: string; filters: readonly Filter[] }[]): Promise<boolean> {
    this.#subscriptions = subscriptions.map(({ id, filters }) => ({ id, filters: filters.map(live) }));
    const answers = [...this.#links.values()].map((link) => link.setSubscriptions(this.#subscriptions));
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), this.#options.liveMs ?? 5_000);
    const answered = Promise.all(answers).then((all) => all.every(Boolean));
    return Promise.race([answered, late]).finally(() => clearTimeout(timer));
  }

  /**
   * Publishes an event that we signed.
   * @param relays URLs, `embedded` among them if it is meant; all when left out
   * @returns what became of it at each; a relay that is not connected is waited for, within bounds
   */
  publish(raw: string, head: EventHead, { relays }: { relays?: readonly string[] } = {}): Promise<PublishedAt[]> {
    const names = relays === undefined ? this.#names() : [...new Set(relays.map((text) => this.#name(text)))];
    return Promise.all(names.map((name) => this.#publishAt(name, raw, head)));
  }

  /** Where the layer counts. */
  get counting(): RelayCounts {
    return this.#counts;
  }

  status(): RelayStatus[] {
    const statuses = [...this.#links.values()].map((link) => link.status());
    const { embedded } = this.#options;
    if (embedded === undefined) return statuses;
    const state = embedded.url === null ? 'closed' : 'ready';
    const reason = embedded.url === null ? 'not listening' : null;
    return [{ url: embedded.url ?? EMBEDDED, state, reason, roundTripMs: null, reconnects: 0, queued: 0 }, ...statuses];
  }

  /** How often what happened, for metrics. */
  counts(): { readonly [name: string]: number } {
    return { ...this.#counts.values };
  }

  async #publishAt(name: string, raw: string, head: EventHead): Promise<PublishedAt> {
    const { embedded } = this.#options;
    if (name === EMBEDDED && embedded !== undefined) {
      if (embedded.url === null) return { relay: name, ok: false, reason: 'not listening' };
      const begun = this.#options.clock.mono();
      const listeners = embedded.inject(raw, head);
      this.#counts.onPublished(this.#options.clock.mono() - begun);
      return { relay: name, ok: true, reason: listeners === 0 ? 'nobody listens' : '' };
    }
    const link = this.#links.get(name);
    if (link === undefined) return { relay: name, ok: false, reason: 'not one of our relays' };
    return { relay: name, ...(await link.publish(head.id, raw, head.pubkey)) };
  }

  #names(): string[] {
    const names = [...this.#links.keys()];
    if (this.#options.embedded !== undefined) names.push(EMBEDDED);
    return names;
  }

  #name(text: string): string {
    const url = relayUrl(text) ?? text;
    return this.#isEmbedded(url) ? EMBEDDED : url;
  }

  /** Does this URL lead to our own embedded relay? It needs no socket then. */
  #isEmbedded(url: string): boolean {
    const own = this.#options.embedded?.url;
    if (own === undefined || own === null) return false;
    return sameMachine(url) === sameMachine(own);
  }

  #arrange(): void {
    const wanted = new Set(this.#urls.filter((url) => !this.#isEmbedded(url)));
    for (const [url, link] of this.#links) {
      if (wanted.has(url)) continue;
      link.close();
      this.#links.delete(url);
    }
    for (const url of wanted) {
      if (this.#links.has(url)) continue;
      const link = this.#makeLink(url);
      this.#links.set(url, link);
      void link.setSubscriptions(this.#subscriptions);
      link.start();
    }
  }

  #makeLink(url: string): RelayLink {
    const { clock, random, log, makeProbe, auth, linkLimits: limits } = this.#options;
    const onEvent = (event: WireEvent) => this.#fromOutside(event, url);
    return new RelayLink({ url, clock, random, counts: this.#counts, onEvent, log, makeProbe, auth, limits });
  }

  #fromOutside({ head, raw }: WireEvent, from: string): void {
    const arrived = this.#options.clock.mono();
    this.#counts.add('events');
    if (head.kind !== CLIENT_KIND && head.kind !== ADMIN_KIND) {
      this.#counts.add('dropped: kind');
      return;
    }
    if (this.#options.handled.has(head.id) || this.#recent.seen(head.id, raw, arrived)) {
      this.#counts.add('dropped: copy');
      return;
    }
    this.#handler({ head, raw, from, arrived });
  }

  #fromEmbedded(incoming: Incoming): void {
    this.#counts.add('events');
    if (this.#options.handled.has(incoming.head.id)) {
      this.#counts.add('dropped: copy');
      incoming.verdict?.(true, 'duplicate: already have this event');
      return;
    }
    this.#handler(incoming);
  }
}

/** A filter for live events: no stored ones, whatever the clocks say. */
function live(filter: Filter): Filter {
  const { kinds, authors, '#p': p } = filter;
  return {
    ...(kinds !== undefined && { kinds }),
    ...(authors !== undefined && { authors }),
    ...(p !== undefined && { '#p': p }),
    limit: 0,
  };
}

const LOOPBACK = /^ws:\/\/(localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)/;

function sameMachine(url: string): string {
  return url.replace(LOOPBACK, 'ws://loopback');
}
