import { backoff } from './backoff.ts';
import { LinkAuth } from './link-auth.ts';
import { plainLine } from './plain-line.ts';
import type { Subscription } from './subscriptions.ts';

/**
 * `asked`: no EOSE yet. `late`: none in time. `closed`: the relay ended it.
 * One REQ at a time is unanswered for each id, as an EOSE does not say which REQ it answers.
 */
interface Sent {
  json: string;
  state: 'asked' | 'live' | 'late' | 'closed';
  /** What was wrong with it; empty once it is live. */
  reason: string;
  /** When it was sent, or when to send it again; monotonic ms. */
  at: number;
  /** When it was sent. */
  asked: number;
  /** The relay closed it because somebody has to authenticate first. */
  unauthenticated: boolean;
}

export interface SubscriptionTimings {
  eoseMs: number;
  retryMinMs: number;
  retryMaxMs: number;
}

/** The subscriptions of one relay: those that are wanted, and how far each is on this connection. */
export class LinkSubscriptions {
  readonly #timings: SubscriptionTimings;
  readonly #random: () => number;
  #wanted = new Map<string, string>();
  readonly #sent = new Map<string, Sent>();
  /** Closings in a row, for each id. */
  readonly #closings = new Map<string, number>();
  #send: ((frame: string) => void) | null = null;
  #waiters: ((live: boolean) => void)[] = [];

  constructor(timings: SubscriptionTimings, random: () => number) {
    this.#timings = timings;
    this.#random = random;
  }

  /**
   * What is wanted from now on. Subscriptions that did not change are left alone, changed ones are replaced in place,
   * and those no longer wanted are closed when the others are live, so that no key is without one in between.
   * @returns whether all are live, once each was answered; true at once without a connection
   */
  set(subscriptions: readonly Subscription[], now: number): Promise<boolean> {
    this.#wanted = new Map(subscriptions.map(({ id, filters }) => [id, JSON.stringify(filters).slice(1, -1)]));
    for (const id of this.#closings.keys()) if (!this.#wanted.has(id)) this.#closings.delete(id);
    if (this.#send === null) return Promise.resolve(true);
    const answered = new Promise<boolean>((resolve) => this.#waiters.push(resolve));
    this.#sync(now);
    return answered;
  }

  connected(send: (frame: string) => void, now: number): void {
    this.#send = send;
    this.#sync(now);
  }

  disconnected(): void {
    this.#send = null;
    this.#sent.clear();
    this.#answer(false);
  }

  has(id: string): boolean {
    return this.#sent.has(id);
  }

  /** Is this one answered, well or badly? */
  settled(id: string): boolean {
    const sent = this.#sent.get(id);
    return sent !== undefined && sent.state !== 'asked' && sent.json === this.#wanted.get(id);
  }

  /** Are all answered? */
  get allSettled(): boolean {
    for (const id of this.#wanted.keys()) if (!this.settled(id)) return false;
    return true;
  }

  /** What the relay does not give, in one line. */
  get problem(): string | null {
    for (const [id, { reason }] of this.#sent) if (reason !== '') return `subscription ${id}: ${reason}`;
    return null;
  }

  /** Those that the relay closed because somebody has to authenticate first, and when each was asked for. */
  get unauthenticated(): { id: string; asked: number }[] {
    return [...this.#sent]
      .filter(([id, sent]) => sent.state === 'closed' && sent.unauthenticated && this.#wanted.has(id))
      .map(([id, { asked }]) => ({ id, asked }));
  }

  /** Asks for one that was closed again at once. */
  askAgain(id: string, now: number): void {
    const sent = this.#sent.get(id);
    if (sent?.state === 'closed') this.#ask(id, this.#wanted.get(id) ?? sent.json, sent.reason, now);
  }

  eose(id: string, now: number): void {
    const sent = this.#sent.get(id);
    if (sent === undefined || sent.state === 'closed') return;
    sent.state = 'live';
    sent.reason = '';
    this.#sync(now);
  }

  /** @returns whether it was one of ours */
  closed(id: string, reason: string, now: number): boolean {
    const sent = this.#sent.get(id);
    if (sent === undefined) return false;
    // Said again it is no news, whatever the reason is now: each would be a line in the log.
    if (sent.state === 'closed') return true;
    const closings = this.#closings.get(id) ?? 0;
    this.#closings.set(id, closings + 1);
    sent.state = 'closed';
    sent.unauthenticated = LinkAuth.needed(reason);
    sent.reason = `closed by the relay: ${plainLine(reason) || 'no reason given'}`;
    sent.at = now + backoff(closings, this.#timings.retryMinMs, this.#timings.retryMaxMs, this.#random());
    this.#sync(now);
    return true;
  }

  tick(now: number): void {
    let changed = false;
    for (const [id, sent] of this.#sent) {
      if (sent.state === 'asked' && now - sent.at >= this.#timings.eoseMs) {
        sent.state = 'late';
        sent.reason = `no EOSE in ${this.#timings.eoseMs} ms`;
        changed = true;
      }
      if (sent.state === 'closed' && now >= sent.at) this.#ask(id, sent.json, sent.reason, now);
      // It has held for as long as the longest wait: its closings are forgotten.
      if (sent.state === 'live' && now - sent.at >= this.#timings.retryMaxMs) this.#closings.delete(id);
    }
    if (changed) this.#sync(now);
  }

  #sync(now: number): void {
    const send = this.#send;
    if (send === null) return;
    // Those that the relay closed are asked for again by tick, when their time has come.
    for (const [id, json] of this.#wanted) {
      const sent = this.#sent.get(id);
      if (sent !== undefined && (sent.json === json || sent.state === 'asked')) continue;
      this.#ask(id, json, '', now);
    }
    if (!this.allSettled) return;
    for (const [id, { state }] of this.#sent) {
      if (this.#wanted.has(id)) continue;
      this.#sent.delete(id);
      if (state !== 'closed') send(`["CLOSE",${JSON.stringify(id)}]`);
    }
    this.#answer(this.problem === null);
  }

  #ask(id: string, json: string, reason: string, now: number): void {
    // Sending can end the connection, in the middle of a list too.
    if (this.#send === null) return;
    this.#sent.set(id, { json, state: 'asked', reason, at: now, asked: now, unauthenticated: false });
    this.#send(`["REQ",${JSON.stringify(id)},${json}]`);
  }

  #answer(live: boolean): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve(live);
  }
}
