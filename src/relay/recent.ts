import { TransientMap } from '../actor/transient-map.ts';

/**
 * The last few events' texts. Relays deliver an event once for each subscription that it matches; a copy that is the
 * same text to the last character would fare like the first, so it can be dropped before anything was verified.
 * (The same id alone may not: a false signature under a true id must not suppress the true event.)
 */
export class RecentTexts {
  readonly #max: number;
  readonly #forMs: number;
  readonly #texts = new TransientMap<string, { raw: string; until: number }>();

  constructor(max = 64, forMs = 2_000) {
    this.#max = max;
    this.#forMs = forMs;
  }

  /** Was this very text seen just now? If not, it is from here on. `now`: monotonic ms. */
  seen(id: string, raw: string, now: number): boolean {
    const last = this.#texts.get(id);
    if (last !== undefined && last.until > now && last.raw === raw) return true;
    this.#texts.delete(id);
    this.#texts.set(id, { raw, until: now + this.#forMs });
    if (this.#texts.size > this.#max) this.#texts.delete(this.#texts.keys().next().value!);
    return false;
  }
}
