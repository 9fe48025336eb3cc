import type { LookupFunction } from 'node:net';
import type { Clock } from '../actor/clock.ts';
import { relayName } from '../metrics.ts';
import type { LogLine } from '../policy/protocol.ts';
import { backoff } from './backoff.ts';
import type { RelayCounts } from './counts.ts';
import { frameLimit, readRelayFrame } from './frame.ts';
import { DEFAULT_MAX_CONTENT, type WireEvent } from './head.ts';
import { type Authenticators, LinkAuth } from './link-auth.ts';
import { LinkSubscriptions } from './link-subscriptions.ts';
import { Outbox, type OutboxLimits, type Published } from './outbox.ts';
import { OutsideSocket } from './outside-socket.ts';
import { plainLine } from './plain-line.ts';
import { Probe } from './probe.ts';
import type { RelayState, RelayStatus } from './protocol.ts';
import type { Subscription } from './subscriptions.ts';

/** Bounds and times of a link; docs/RELAYS.md says why each is what it is. Times in ms. */
export const DEFAULT_LINK_LIMITS = {
  /** bytes */
  maxContent: DEFAULT_MAX_CONTENT,
  /** Bytes that may wait in a socket for a relay that does not read. */
  maxBuffered: 8 * 1024 * 1024,
  /** What is due is looked for this often. */
  tickMs: 250,
  connectMs: 10_000,
  backoffMinMs: 1_000,
  backoffMaxMs: 60_000,
  /** A connection that was ready this long was useful: the next wait begins at the minimum again. */
  usefulMs: 30_000,
  pingMs: 22_000,
  eoseMs: 10_000,
  probeEveryMs: 180_000,
  probeWithinMs: 10_000,
  inFlight: 256,
  waiting: 1024,
  waitingChars: 16 * 1024 * 1024,
  okMs: 10_000,
  deadlineMs: 30_000,
  coolMinMs: 1_000,
  coolMaxMs: 30_000,
} satisfies OutboxLimits & { [name: string]: number };

export type LinkLimits = typeof DEFAULT_LINK_LIMITS;

export interface RelayLinkOptions {
  /** ws: or wss: */
  url: string;
  clock: Clock;
  /** From 0 to 1, for jitter. */
  random: () => number;
  counts: RelayCounts;
  onEvent: (event: WireEvent) => void;
  log: (line: LogLine) => void;
  /** A signed event of kind 24133 from the daemon to itself, never the same twice; without it nothing is probed. */
  makeProbe?: (() => Promise<string>) | undefined;
  /** Without it the relay's challenges (NIP-42) are not answered. */
  auth?: Authenticators | undefined;
  /** Finds the addresses of the relay's name; the system's own way when left out. */
  lookup?: LookupFunction | undefined;
  limits?: Partial<LinkLimits> | undefined;
}

/**
 * One outside relay, for as long as we want it: connects, connects again, makes its subscriptions, publishes, and says
 * how it is. It has one timer; what is due is found by comparing times on the monotonic clock, so that a relay that
 * flaps leaves nothing behind.
 */
export class RelayLink {
  readonly url: string;
  readonly #options: RelayLinkOptions;
  readonly #limits: LinkLimits;
  readonly #clock: Clock;
  readonly #subscriptions: LinkSubscriptions;
  readonly #outbox: Outbox;
  readonly #auth: LinkAuth | null;
  #wanted: readonly Subscription[] = [];
  #probeSubscription: Subscription | null = null;
  #timer: NodeJS.Timeout | undefined;
  #socket: OutsideSocket | null = null;
  #open = false;
  #probe: Probe | null = null;
  #failures = 0;
  #reconnects = 0;
  #everOpened = false;
  #connectAt = 0;
  #lastTick = 0;
  #skipped = false;
  /** When all subscriptions of this connection were answered for the first time. */
  #readySince: number | null = null;
  #downReason = 'not connected yet';
  #reported = '';

  constructor(options: RelayLinkOptions) {
    this.url = options.url;
    this.#options = options;
    this.#limits = { ...DEFAULT_LINK_LIMITS, ...options.limits };
    this.#clock = options.clock;
    const { eoseMs, backoffMinMs: retryMinMs, backoffMaxMs: retryMaxMs } = this.#limits;
    this.#subscriptions = new LinkSubscriptions({ eoseMs, retryMinMs, retryMaxMs }, options.random);
    const { url, counts, auth: sign } = options;
    const now = () => this.#clock.mono();
    this.#auth =
      sign === undefined ? null : new LinkAuth({ url, sign, counts, now, settled: (ok) => this.#authSettled(ok) });
    this.#outbox = new Outbox(
      this.#limits,
      counts,
      (event, reason) => this.#log('warn', 'relay refused an event', { event, reason }),
      (author, sentAt) => this.#auth?.refused(author, sentAt) ?? 'no',
    );
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#lastTick = this.#connectAt = this.#clock.mono();
    this.#timer = setInterval(() => this.#tick(), this.#limits.tickMs);
    this.#connect();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#socket?.close();
    this.#down('closed');
    this.#outbox.close();
  }

  /** @returns whether all are live, once the relay answered each; true at once while it is not connected */
  setSubscriptions(subscriptions: readonly Subscription[]): Promise<boolean> {
    this.#wanted = subscriptions;
    return this.#applySubscriptions();
  }

  /** Sends an event that `author` (a pubkey) has signed, now or when the relay is connected again. */
  publish(id: string, raw: string, author = ''): Promise<Published> {
    if (this.#timer === undefined) return Promise.resolve({ ok: false, reason: 'the link is closed' });
    return this.#outbox.publish(id, raw, author, this.#clock.mono());
  }

  /** There is no connection, and the next try is some time off. */
  get waits(): boolean {
    return this.#socket === null;
  }

  status(): RelayStatus {
    const { state, reason } = this.#state();
    const roundTripMs = this.#probe?.roundTripMs ?? null;
    return { url: this.url, state, reason, roundTripMs, reconnects: this.#reconnects, queued: this.#outbox.size };
  }

  #state(): { state: RelayState; reason: string | null } {
    if (this.#timer === undefined) return { state: 'closed', reason: this.#downReason };
    if (!this.#open) return { state: 'connecting', reason: this.#downReason };
    const problem = this.#subscriptions.problem ?? this.#probe?.problem ?? this.#outbox.problem;
    if (problem !== null) return { state: 'degraded', reason: problem };
    if (this.#readySince === null) return { state: 'connecting', reason: 'subscriptions are being made' };
    return { state: 'ready', reason: null };
  }

  #applySubscriptions(): Promise<boolean> {
    const all = this.#probeSubscription === null ? this.#wanted : [...this.#wanted, this.#probeSubscription];
    const live = this.#subscriptions.set(all, this.#clock.mono());
    this.#settle();
    return live;
  }

  #connect(): void {
    const { maxContent, maxBuffered, connectMs, pingMs } = this.#limits;
    const listener = {
      opened: () => this.#up(),
      text: (data: Buffer) => this.#received(data),
      closed: (reason: string) => this.#down(plainLine(reason)),
    };
    // A frame over the limit is dropped; only one that is far over it costs the connection.
    const { lookup } = this.#options;
    const limits = { maxPayload: frameLimit(maxContent) * 4, maxBuffered, connectMs, pingMs, lookup };
    try {
      this.#socket = new OutsideSocket(this.url, limits, listener, this.#clock.mono());
    } catch {
      this.#down('not a URL that can be connected to');
    }
  }

  #up(): void {
    const socket = this.#socket!;
    const now = this.#clock.mono();
    this.#open = true;
    this.#options.counts.add('connects');
    if (this.#everOpened) {
      this.#reconnects++;
      this.#options.counts.add('reconnects');
    }
    this.#everOpened = true;
    this.#auth?.connected((frame) => socket.send(frame));
    this.#subscriptions.connected((frame) => socket.send(frame), now);
    this.#outbox.connected(socket, now);
    this.#startProbe(socket);
    this.#settle();
  }

  #startProbe(socket: OutsideSocket): void {
    const { makeProbe: make, random, counts } = this.#options;
    if (make === undefined) return;
    const { probeEveryMs: everyMs, probeWithinMs: withinMs } = this.#limits;
    this.#probe = new Probe(
      { make, everyMs, withinMs, random, counts },
      {
        now: () => this.#clock.mono(),
        send: (frame) => socket.send(frame),
        subscribe: (subscription) => {
          this.#probeSubscription = subscription;
          void this.#applySubscriptions();
        },
        subscribed: () => this.#probeSubscription !== null && this.#subscriptions.settled(this.#probeSubscription.id),
        lost: () => {
          counts.add('rebuilt');
          socket.terminate('the relay stopped delivering');
        },
        changed: () => this.#report(),
      },
    );
    this.#probe.tick();
  }

  /** The connection is gone, or there was none to be had. */
  #down(reason: string): void {
    const now = this.#clock.mono();
    const useful = this.#readySince !== null && now - this.#readySince >= this.#limits.usefulMs;
    const { backoffMinMs, backoffMaxMs } = this.#limits;
    if (useful) this.#failures = 0;
    this.#connectAt = now + backoff(this.#failures++, backoffMinMs, backoffMaxMs, this.#options.random());
    this.#downReason = reason;
    this.#socket = null;
    this.#open = false;
    this.#readySince = null;
    this.#probe?.stop();
    this.#probe = null;
    this.#auth?.disconnected();
    this.#subscriptions.disconnected();
    this.#outbox.disconnected();
    this.#report();
  }

  #received(data: Buffer): void {
    const frame = readRelayFrame(data, this.#limits.maxContent);
    const { counts } = this.#options;
    switch (frame.type) {
      case 'EVENT':
        if (this.#probe?.arrived(frame.event.head.id)) break;
        if (!this.#subscriptions.has(frame.subscription)) {
          counts.add('dropped: unknown subscription');
          return;
        }
        this.#options.onEvent(frame.event);
        return;
      case 'OK': {
        if (this.#auth?.ok(frame.id, frame.ok)) break;
        if (this.#probe?.ok(frame.id, frame.ok, frame.reason)) break;
        this.#outbox.ok(frame.id, frame.ok, frame.reason, this.#clock.mono());
        return;
      }
      case 'EOSE':
        this.#subscriptions.eose(frame.subscription, this.#clock.mono());
        this.#probe?.tick();
        break;
      case 'CLOSED':
        if (this.#subscriptions.closed(frame.subscription, frame.reason, this.#clock.mono())) {
          counts.add('subscriptions closed');
          if (LinkAuth.needed(frame.reason)) this.#authenticateFor(frame.subscription);
        }
        break;
      case 'NOTICE':
        this.#log('debug', 'relay notice', { notice: plainLine(frame.text) });
        return;
      case 'AUTH':
        this.#auth?.challenged(frame.challenge);
        return;
      case 'refused':
        counts.add(frame.refusal === 'too large' ? 'dropped: too large' : 'dropped: malformed');
        return;
      default:
        frame satisfies never;
    }
    this.#settle();
  }

  /** The relay closed a subscription in want of authentication: by the daemon, or by the keys that it is about. */
  #authenticateFor(id: string): void {
    const refused = this.#subscriptions.unauthenticated.find((one) => one.id === id);
    if (this.#auth === null || refused === undefined) return;
    const keys = this.#wanted.find((one) => one.id === id)?.filters.flatMap((filter) => filter['#p'] ?? []) ?? [];
    for (const key of keys) {
      if (this.#auth.refused(key, refused.asked) !== 'again') continue;
      return this.#subscriptions.askAgain(id, this.#clock.mono());
    }
  }

  #authSettled(ok: boolean): void {
    const now = this.#clock.mono();
    for (const { id } of this.#subscriptions.unauthenticated) {
      if (ok) this.#subscriptions.askAgain(id, now);
      else this.#authenticateFor(id);
    }
    this.#outbox.unpark(now);
    if (ok) this.#probe?.retry();
    this.#settle();
  }

  #tick(): void {
    const now = this.#clock.mono();
    // The event loop stood still: what arrived meanwhile is read first, before anything is called late.
    this.#skipped = !this.#skipped && now - this.#lastTick > this.#limits.tickMs * 4;
    this.#lastTick = now;
    if (this.#skipped) return;
    if (this.#socket === null && now >= this.#connectAt) this.#connect();
    this.#outbox.tick(now);
    if (!this.#open) return;
    if (this.#socket?.tick(now) === false) {
      this.#options.counts.add('dead sockets');
      return;
    }
    this.#auth?.tick();
    this.#subscriptions.tick(now);
    this.#probe?.tick();
    this.#settle();
  }

  #settle(): void {
    if (this.#open && this.#readySince === null && this.#subscriptions.allSettled)
      this.#readySince = this.#clock.mono();
    this.#report();
  }

  #report(): void {
    const { state, reason } = this.#state();
    const line = `${state} ${reason}`;
    if (line === this.#reported) return;
    this.#reported = line;
    this.#log(state === 'ready' || state === 'closed' ? 'info' : 'warn', `relay ${state}`, { reason });
  }

  #log(level: LogLine['level'], message: string, fields: LogLine['fields']): void {
    this.#options.log({ level, message, fields: { relay: relayName(this.url), ...fields } });
  }
}
