import { TransientMap } from '../actor/transient-map.ts';
import type { RelayCounts } from './counts.ts';
import { LinkAuth } from './link-auth.ts';
import { plainLine } from './plain-line.ts';

export interface Published {
  ok: boolean;
  /** Why not, in one line; the relay's own words where it gave any. */
  reason: string;
}

export interface OutboxLimits {
  /** Events that may wait for their OK. */
  inFlight: number;
  /** Events, and characters of them, that may wait to be sent. */
  waiting: number;
  waitingChars: number;
  /** How long a relay has for its OK, ms. */
  okMs: number;
  /** How long an event is worth sending, ms. */
  deadlineMs: number;
  /** Pause after `rate-limited:`, doubled while it goes on, ms. */
  coolMinMs: number;
  coolMaxMs: number;
}

interface Entry {
  id: string;
  /** Pubkey of whoever signed it. */
  author: string;
  raw: string;
  expires: number;
  sentAt: number;
  reason: string;
  published: Promise<Published>;
  resolve(published: Published): void;
}

/** What a relay sends through: `false` when no more should be sent for now. */
export interface Sender {
  send(frame: string): void;
  readonly drained: boolean;
}

/** What to do with an event that is refused for want of authentication; `wait` until `unpark`. */
export type OnUnauthenticated = (author: string, sentAt: number) => 'again' | 'wait' | 'no';

const WILL_NOT_TAKE = /^(auth-required|restricted|blocked|pow):/;

/**
 * Events on their way to one relay: a bounded number sent and not yet acknowledged, a bounded queue behind them.
 * What was in flight when the connection dropped is sent again on the next one: it is the same event, so that a
 * client which gets it twice can tell.
 */
export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #counts: RelayCounts;
  readonly #onRejected: (id: string, reason: string) => void;
  readonly #onUnauthenticated: OnUnauthenticated;
  readonly #entries = new TransientMap<string, Entry>();
  /** In order of sending. */
  readonly #inFlight = new TransientMap<string, Entry>();
  #waiting: Entry[] = [];
  /** Until somebody has authenticated. */
  readonly #parked = new Set<Entry>();
  #chars = 0;
  #sender: Sender | null = null;
  /** How many may be in flight now: one after a refusal for their rate, twice as many after each that was taken. */
  #window: number;
  #coolUntil = 0;
  #coolMs = 0;
  #problem: { text: string; until: number } | null = null;

  constructor(
    limits: OutboxLimits,
    counts: RelayCounts,
    onRejected: (id: string, reason: string) => void,
    onUnauthenticated: OnUnauthenticated = () => 'no',
  ) {
    this.#limits = limits;
    this.#window = limits.inFlight;
    this.#counts = counts;
    this.#onRejected = onRejected;
    this.#onUnauthenticated = onUnauthenticated;
  }

  /** Why the relay does not take events, while it does not. */
  get problem(): string | null {
    return this.#problem?.text ?? null;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @param author pubkey of whoever signed it */
  publish(id: string, raw: string, author: string, now: number): Promise<Published> {
    const same = this.#entries.get(id);
    if (same !== undefined) return same.published;
    const { promise, resolve } = Promise.withResolvers<Published>();
    const expires = now + this.#limits.deadlineMs;
    const entry: Entry = { id, author, raw, expires, sentAt: 0, reason: '', published: promise, resolve };
    this.#entries.set(id, entry);
    this.#waiting.push(entry);
    this.#chars += raw.length;
    while (this.#waiting.length > this.#limits.waiting || this.#chars > this.#limits.waitingChars) {
      this.#counts.add('publish: queue full');
      this.#end(this.#shift(), false, 'too many events wait for this relay');
    }
    this.#pump(now);
    return promise;
  }

  connected(sender: Sender, now: number): void {
    this.#sender = sender;
    this.#window = this.#limits.inFlight;
    this.#coolUntil = 0;
    this.#coolMs = 0;
    this.#pump(now);
  }

  disconnected(): void {
    this.#sender = null;
    this.#problem = null;
    this.#again([...this.#inFlight.values(), ...this.#parked]);
    this.#inFlight.clear();
    this.#parked.clear();
  }

  /** An OK arrived. @returns whether it was for one of ours */
  ok(id: string, ok: boolean, text: string, now: number): boolean {
    const entry = this.#inFlight.get(id);
    if (entry === undefined) return false;
    this.#inFlight.delete(id);
    const reason = plainLine(text);
    if (ok || reason.startsWith('duplicate:')) {
      if (now >= this.#coolUntil) this.#taken();
      this.#counts.add('published');
      this.#counts.onPublished(now - (entry.expires - this.#limits.deadlineMs));
      this.#end(entry, true, reason);
    } else if (reason.startsWith('rate-limited:')) {
      this.#counts.add('publish: rate-limited');
      this.#cool(reason, now);
      entry.reason = reason;
      this.#again([entry]);
    } else if (!this.#park(entry, reason)) {
      this.#counts.add('rejected');
      if (WILL_NOT_TAKE.test(reason)) this.#problem = { text: `events refused: ${reason}`, until: Infinity };
      this.#onRejected(id, reason);
      this.#end(entry, false, reason || 'refused without a reason');
    }
    this.#pump(now);
    return true;
  }

  /** Somebody has authenticated, or could not: what waits for that is sent again. */
  unpark(now: number): void {
    const entries = [...this.#parked];
    this.#parked.clear();
    this.#again(entries);
    this.#pump(now);
  }

  tick(now: number): void {
    if (this.#problem !== null && now >= this.#problem.until) this.#problem = null;
    for (const entry of this.#inFlight.values()) {
      if (now - entry.sentAt < this.#limits.okMs) break;
      this.#inFlight.delete(entry.id);
      this.#counts.add('publish: no OK');
      this.#end(entry, false, `no OK in ${this.#limits.okMs} ms`);
    }
    for (const entry of this.#parked) {
      if (entry.expires > now) continue;
      this.#parked.delete(entry);
      this.#end(entry, false, entry.reason);
    }
    const late = this.#waiting.filter((entry) => entry.expires <= now);
    if (late.length > 0) {
      this.#waiting = this.#waiting.filter((entry) => entry.expires > now);
      for (const entry of late) {
        this.#chars -= entry.raw.length;
        this.#counts.add('publish: not connected');
        this.#end(entry, false, entry.reason || `not taken in ${this.#limits.deadlineMs} ms`);
      }
    }
    this.#pump(now);
  }

  close(): void {
    this.disconnected();
    while (this.#waiting.length > 0) this.#end(this.#shift(), false, 'the link was closed');
  }

  /** @returns whether it is to be sent once more, now or when somebody has authenticated */
  #park(entry: Entry, reason: string): boolean {
    if (!LinkAuth.needed(reason) || this.#parked.size >= this.#limits.waiting) return false;
    const next = this.#onUnauthenticated(entry.author, entry.sentAt);
    if (next === 'no') return false;
    entry.reason = reason;
    if (next === 'wait') this.#parked.add(entry);
    else this.#again([entry]);
    return true;
  }

  #taken(): void {
    this.#problem = null;
    this.#coolMs = 0;
    this.#window = Math.min(this.#limits.inFlight, this.#window * 2);
  }

  #cool(reason: string, now: number): void {
    // One answer starts the pause; those of events that were on their way already do not lengthen it.
    if (now < this.#coolUntil) return;
    this.#window = 1;
    this.#coolMs = Math.min(this.#limits.coolMaxMs, this.#coolMs * 2 || this.#limits.coolMinMs);
    this.#coolUntil = now + this.#coolMs;
    this.#problem = { text: reason, until: this.#coolUntil };
  }

  #end(entry: Entry, ok: boolean, reason: string): void {
    this.#entries.delete(entry.id);
    entry.resolve({ ok, reason });
  }

  #again(entries: Entry[]): void {
    this.#waiting.unshift(...entries);
    for (const entry of entries) this.#chars += entry.raw.length;
  }

  #shift(): Entry {
    const entry = this.#waiting.shift()!;
    this.#chars -= entry.raw.length;
    return entry;
  }

  #pump(now: number): void {
    while (this.#sender?.drained && now >= this.#coolUntil && this.#waiting.length > 0) {
      if (this.#inFlight.size >= this.#window) return;
      const entry = this.#shift();
      entry.sentAt = now;
      this.#inFlight.set(entry.id, entry);
      this.#sender.send(`["EVENT",${entry.raw}]`);
    }
  }
}
