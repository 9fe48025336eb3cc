import type { Clock } from '../actor/clock.ts';
import { Bucket } from '../relay/bucket.ts';
import type { VirtualKey } from './virtual-key.ts';

export interface RelayAuthsOptions {
  clock: Clock;
  get(pubkey: string): Pick<VirtualKey, 'state' | 'listens' | 'errand'> | undefined;
}

interface Waiting {
  pubkey: string;
  relay: string;
  challenge: string;
  resolve(event: string | null): void;
}

/** Keys that sign for relays, a second and at once; of those that no thread holds, fewer. */
const A_SECOND = 1;
const AT_ONCE = 32;
const INACTIVE_A_SECOND = 0.5;
const INACTIVE_AT_ONCE = 8;
const MOST_WAITING = 4096;
const TICK_MS = 100;

/**
 * Authentications of keys to relays (NIP-42), paced over all relays: one relay that asks every key of a fleet must not
 * have the fleet activated. Keys that a thread holds go first; those that a sweep is about to open wait for it.
 */
export class RelayAuths {
  readonly #options: RelayAuthsOptions;
  readonly #all: Bucket;
  readonly #inactive: Bucket;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #scheduled = false;

  constructor(options: RelayAuthsOptions) {
    this.#options = options;
    const now = options.clock.mono();
    this.#all = new Bucket(A_SECOND, AT_ONCE, now);
    this.#inactive = new Bucket(INACTIVE_A_SECOND, INACTIVE_AT_ONCE, now);
  }

  /** NIP-42's event (JSON) of this key for the relay; null when it cannot be had. */
  sign(pubkey: string, relay: string, challenge: string): Promise<string | null> {
    if (this.#options.get(pubkey)?.listens !== true || this.#waiting.length >= MOST_WAITING) {
      return Promise.resolve(null);
    }
    const signed = new Promise<string | null>((resolve) => this.#waiting.push({ pubkey, relay, challenge, resolve }));
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
    // A relay asks for many keys in one turn: they are looked at together.
    if (!this.#scheduled) queueMicrotask(() => this.tick());
    this.#scheduled = true;
    return signed;
  }

  /** Has as many sign as may now. */
  tick(): void {
    this.#scheduled = false;
    const now = this.#options.clock.mono();
    const isActive = ({ pubkey }: Waiting) => this.#options.get(pubkey)?.state === 'active';
    this.#take(isActive, () => this.#all.take(1, now));
    this.#take(
      (one) => !isActive(one) && this.#options.get(one.pubkey)?.state !== 'expected',
      () => this.#inactive.take(1, now) && this.#all.take(1, now),
    );
    if (this.#waiting.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #take(which: (one: Waiting) => boolean, may: () => boolean): void {
    const left: Waiting[] = [];
    let paused = false;
    for (const one of this.#waiting) {
      if (!which(one)) left.push(one);
      else if (paused || !may()) {
        paused = true;
        left.push(one);
      } else void this.#sign(one);
    }
    this.#waiting = left;
  }

  async #sign({ pubkey, relay, challenge, resolve }: Waiting): Promise<void> {
    const key = this.#options.get(pubkey);
    const event = await key?.errand((link) => link.ask('authenticate', { relay, challenge }));
    resolve(event?.raw ?? null);
  }
}
