import type { Clock } from '../actor/clock.ts';

const MINUTE_MS = 60_000;
/** Strangers' events that are looked into in a minute, whoever they are from. */
const LOOKED_INTO = 10;

/** How much of the daemon's time people who are not its admins may take. docs/ADMIN.md */
export class Strangers {
  readonly #clock: Clock;
  #looks: number[] = [];
  readonly #answered = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether one more event is verified and decrypted; counts it when it is. */
  mayLook(): boolean {
    const now = this.#clock.mono();
    this.#looks = this.#looks.filter((at) => now - at < MINUTE_MS);
    if (this.#looks.length >= LOOKED_INTO) return false;
    this.#looks.push(now);
    return true;
  }

  /** Whether this pubkey is told once more that it is no admin. */
  mayAnswer(pubkey: string): boolean {
    const now = this.#clock.mono();
    for (const [other, at] of this.#answered) if (now - at >= MINUTE_MS) this.#answered.delete(other);
    if (this.#answered.has(pubkey)) return false;
    this.#answered.set(pubkey, now);
    return true;
  }
}
