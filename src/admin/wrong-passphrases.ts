import type { Clock } from '../actor/clock.ts';

/** Failures that cost nothing. */
const FREE = 5;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;
/** Keys and admins that are remembered. */
const REMEMBERED = 4096;

/** Slows down who tries passphrases; never locks anybody out for good. docs/ADMIN.md */
export class WrongPassphrases {
  readonly #clock: Clock;
  readonly #failures = new Map<string, { count: number; until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until one of `who` (keys, admins) may try again; 0 for now. */
  wait(...who: string[]): number {
    const now = this.#clock.mono();
    return Math.max(0, ...who.map((one) => (this.#failures.get(one)?.until ?? 0) - now));
  }

  failed(...who: string[]): void {
    for (const one of who) {
      const count = (this.#failures.get(one)?.count ?? 0) + 1;
      const delay = count < FREE ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (count - FREE));
      this.#failures.delete(one);
      this.#failures.set(one, { count, until: this.#clock.mono() + delay });
      if (this.#failures.size > REMEMBERED) this.#failures.delete(this.#failures.keys().next().value!);
    }
  }

  succeeded(...who: string[]): void {
    for (const one of who) this.#failures.delete(one);
  }
}
