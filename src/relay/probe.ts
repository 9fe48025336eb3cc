import type { RelayCounts } from './counts.ts';
import { readHead } from './head.ts';
import { plainLine } from './plain-line.ts';
import { CLIENT_KIND, type Subscription } from './subscriptions.ts';

export interface ProbeOptions {
  /** A signed event of kind 24133 from the daemon to itself, as JSON, never the same twice. */
  make: () => Promise<string>;
  everyMs: number;
  withinMs: number;
  random: () => number;
  counts: RelayCounts;
}

/** What a probe may do with the connection it is on. */
export interface ProbeDoor {
  now(): number;
  send(frame: string): void;
  /** Makes the probe's own subscription, and keeps it. */
  subscribe(subscription: Subscription): void;
  /** Has the relay answered that subscription? */
  subscribed(): boolean;
  /** It worked on this connection and no longer does. */
  lost(): void;
  changed(): void;
}

type Phase =
  | { step: 'idle' }
  | { step: 'making'; since: number }
  | { step: 'subscribing'; id: string; raw: string }
  | { step: 'sent'; id: string; at: number };

/** Id of the subscription on which probes come back. It lives as long as the others, and so notices what they would. */
export const PROBE_SUBSCRIPTION = 'probe';
/** Ids of past probes that may still arrive, on other subscriptions too. */
const REMEMBERED = 8;

/**
 * Shows whether a relay carries our kind: an event to ourselves must come back. One for each connection of a link;
 * it is dropped with the connection.
 */
export class Probe {
  readonly #options: ProbeOptions;
  readonly #door: ProbeDoor;
  readonly #ids: string[] = [];
  #phase: Phase = { step: 'idle' };
  #next: number;
  #worked = false;
  #problem: string | null = null;
  #roundTripMs: number | null = null;
  #stopped = false;

  constructor(options: ProbeOptions, door: ProbeDoor) {
    this.#options = options;
    this.#door = door;
    this.#next = door.now();
  }

  get problem(): string | null {
    return this.#problem;
  }

  get roundTripMs(): number | null {
    return this.#roundTripMs;
  }

  /** What kept the last one from coming back may be gone. */
  retry(): void {
    this.#next = this.#door.now();
    this.tick();
  }

  stop(): void {
    this.#stopped = true;
  }

  tick(): void {
    const now = this.#door.now();
    const phase = this.#phase;
    if (phase.step === 'idle' && now >= this.#next) void this.#make(now);
    else if (phase.step === 'making' && now - phase.since >= this.#options.withinMs) this.#rest();
    else if (phase.step === 'subscribing' && this.#door.subscribed()) this.#sendOut(phase.id, phase.raw);
    else if (phase.step === 'sent' && now - phase.at >= this.#options.withinMs) this.#lost();
  }

  /** An event arrived. @returns whether it was a probe, so that nobody else need see it */
  arrived(id: string): boolean {
    if (!this.#ids.includes(id)) return false;
    if (this.#phase.step !== 'sent' || this.#phase.id !== id) return true;
    this.#worked = true;
    this.#roundTripMs = this.#door.now() - this.#phase.at;
    this.#problem = null;
    this.#rest();
    return true;
  }

  /** An OK arrived. @returns whether it was for a probe */
  ok(id: string, ok: boolean, text: string): boolean {
    if (!this.#ids.includes(id)) return false;
    if (ok || this.#phase.step !== 'sent' || this.#phase.id !== id) return true;
    const reason = plainLine(text);
    // A relay that is busy says nothing about what it carries: try again later.
    if (!reason.startsWith('rate-limited:'))
      this.#problem = `refuses kind ${CLIENT_KIND}: ${reason || 'no reason given'}`;
    this.#rest();
    return true;
  }

  async #make(since: number): Promise<void> {
    const phase: Phase = { step: 'making', since };
    this.#phase = phase;
    const made = await this.#options
      .make()
      .then((raw) => ({ raw, read: readHead(JSON.parse(raw), raw.length) }))
      .catch(() => null);
    if (this.#stopped || this.#phase !== phase) return;
    if (made === null || typeof made.read === 'string') return this.#rest();
    const { raw } = made;
    const { id, pubkey, p } = made.read.head;
    this.#ids.push(id);
    if (this.#ids.length > REMEMBERED) this.#ids.shift();
    this.#phase = { step: 'subscribing', id, raw };
    const filter = { kinds: [CLIENT_KIND], authors: [pubkey], '#p': [p], limit: 0 };
    this.#door.subscribe({ id: PROBE_SUBSCRIPTION, filters: [filter] });
    this.tick();
  }

  #sendOut(id: string, raw: string): void {
    this.#phase = { step: 'sent', id, at: this.#door.now() };
    this.#options.counts.add('probes');
    this.#door.send(`["EVENT",${raw}]`);
  }

  #lost(): void {
    this.#options.counts.add('probes lost');
    this.#problem = `swallows kind ${CLIENT_KIND}: a probe did not come back in ${this.#options.withinMs} ms`;
    this.#rest();
    if (this.#worked) this.#door.lost();
  }

  #rest(): void {
    this.#phase = { step: 'idle' };
    this.#next = this.#door.now() + this.#options.everyMs * (0.75 + this.#options.random() / 2);
    this.#door.changed();
  }
}
