import { MAX_CHALLENGE } from './challenge.ts';
import type { RelayCounts } from './counts.ts';

/** Who signs NIP-42's event for a relay: its JSON, or null when that key does not authenticate there. */
export interface Authenticators {
  /** The daemon's own key, which goes first; left out where it is nobody's business. */
  daemon?: (url: string, challenge: string) => Promise<string | null>;
  key: (pubkey: string, url: string, challenge: string) => Promise<string | null>;
}

export interface LinkAuthOptions {
  url: string;
  sign: Authenticators;
  counts: RelayCounts;
  now: () => number;
  /** Somebody has authenticated, or could not: what was refused is worth another look. */
  settled: (ok: boolean) => void;
}

/** What the relay wants authenticated: a reason begins with one of these (NIP-01, NIP-42). */
const NEEDS_AUTH = /^(auth-required|restricted):/;
/** A key signs one challenge of a connection in this time, ms: a relay may send as many as it likes. */
const AGAIN_MS = 60_000;
/** A relay that says nothing to an AUTH for this long is taken at its silence, ms. */
const ANSWER_MS = 10_000;
/** Keys that authenticate on one connection at most. */
const MOST_KEYS = 256;
/** Stands for the daemon's key among public keys. */
const DAEMON = 'daemon';

interface Step {
  state: 'signing' | 'sent' | 'done' | 'failed';
  challenge: string;
  /** When it was begun, then when it was sent or ended; monotonic ms. */
  at: number;
  begun: number;
  /** Of the AUTH event. */
  id: string;
}

/**
 * NIP-42 on one connection of a link. The daemon's key answers the first challenge; a key's own follows where the relay
 * still refuses what is that key's (the NIP allows several on one connection).
 */
export class LinkAuth {
  readonly #options: LinkAuthOptions;
  readonly #steps = new Map<string, Step>();
  #send: ((frame: string) => void) | null = null;
  #challenge: string | null = null;

  constructor(options: LinkAuthOptions) {
    this.#options = options;
  }

  static needed(reason: string): boolean {
    return NEEDS_AUTH.test(reason);
  }

  connected(send: (frame: string) => void): void {
    this.#send = send;
  }

  disconnected(): void {
    this.#send = null;
    this.#challenge = null;
    this.#steps.clear();
  }

  challenged(challenge: string): void {
    if (challenge === '' || Buffer.byteLength(challenge) > MAX_CHALLENGE) {
      this.#options.counts.add('auth: challenge dropped');
      return;
    }
    if (challenge === this.#challenge) return;
    this.#challenge = challenge;
    // Without the daemon's key, what the relay has refused tells who has to sign.
    if (this.#options.sign.daemon === undefined) this.#options.settled(false);
    else if (this.#steps.get(DAEMON)?.state !== 'done') this.#begin(DAEMON);
  }

  /**
   * The relay refused what is this key's, in want of authentication.
   * @param sentAt when what it refused was sent, monotonic ms
   * @returns `again`: it was sent before somebody authenticated, send it again; `wait` for `settled`; `no` help
   */
  refused(pubkey: string, sentAt: number): 'again' | 'wait' | 'no' {
    for (const step of this.#steps.values()) if (step.state === 'done' && step.at >= sentAt) return 'again';
    if (this.#options.sign.daemon !== undefined && this.#begin(DAEMON)) return 'wait';
    return this.#begin(pubkey) ? 'wait' : 'no';
  }

  /** An OK arrived. @returns whether it was for an AUTH */
  ok(id: string, ok: boolean): boolean {
    for (const step of this.#steps.values()) {
      if (step.id !== id) continue;
      if (step.state === 'sent') this.#end(step, ok);
      return true;
    }
    return false;
  }

  tick(): void {
    const now = this.#options.now();
    for (const step of this.#steps.values()) {
      if (step.state === 'sent' && now - step.at >= ANSWER_MS) this.#end(step, true);
    }
  }

  /** @returns whether it is under way now */
  #begin(who: string): boolean {
    const challenge = this.#challenge;
    if (challenge === null || this.#send === null) return false;
    const now = this.#options.now();
    const earlier = this.#steps.get(who);
    if (earlier?.state === 'signing' || earlier?.state === 'sent') return true;
    if (earlier !== undefined && (earlier.challenge === challenge || now - earlier.begun < AGAIN_MS)) return false;
    if (earlier === undefined && this.#steps.size > MOST_KEYS) {
      this.#options.counts.add('auth: too many keys');
      return false;
    }
    const step: Step = { state: 'signing', challenge, at: now, begun: now, id: '' };
    this.#steps.set(who, step);
    void this.#sign(who, step);
    return true;
  }

  async #sign(who: string, step: Step): Promise<void> {
    const { url, sign, counts, now } = this.#options;
    const { challenge } = step;
    const signing = who === DAEMON ? sign.daemon!(url, challenge) : sign.key(who, url, challenge);
    const raw = await signing.catch(() => null);
    // The connection may be another one by now.
    if (this.#steps.get(who) !== step || this.#send === null) return;
    if (raw === null) {
      // Nothing was wrong with the challenge: it may be tried again.
      step.challenge = '';
      return this.#end(step, false);
    }
    step.state = 'sent';
    step.at = now();
    step.id = (JSON.parse(raw) as { id: string }).id;
    counts.add(who === DAEMON ? 'auth: daemon' : 'auth: keys');
    this.#send(`["AUTH",${raw}]`);
  }

  #end(step: Step, ok: boolean): void {
    if (!ok) this.#options.counts.add('auth: refused');
    step.state = ok ? 'done' : 'failed';
    step.at = this.#options.now();
    this.#options.settled(ok);
  }
}
