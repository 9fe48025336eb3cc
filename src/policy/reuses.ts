import type { Clock } from '../actor/clock.ts';

const HOUR_MS = 3_600_000;
/** Second redemptions recorded in an hour, of one token and of all. */
const MOST_OF_ONE = 3;
const MOST_OF_ALL = 100;

/** How many second redemptions are worth a row: an attacker who repeats one must not fill the disk. */
export class Reuses {
  readonly #clock: Clock;
  readonly #counts = new Map<string, number>();
  #all = 0;
  #since: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.mono();
  }

  allows(token: string): boolean {
    const mono = this.#clock.mono();
    if (mono - this.#since >= HOUR_MS) {
      this.#since = mono;
      this.#counts.clear();
      this.#all = 0;
    }
    const count = this.#counts.get(token) ?? 0;
    if (count >= MOST_OF_ONE || this.#all >= MOST_OF_ALL) return false;
    this.#counts.set(token, count + 1);
    this.#all++;
    return true;
  }
}
