import { TransientMap } from '../actor/transient-map.ts';

/** A token bucket for each client, over a bounded number of clients: the least recently seen is forgotten. */
export class ClientRates {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clients = new TransientMap<string, { tokens: number; at: number }>();
  readonly #max: number;

  /** @param perSecond tokens gained a second @param burst most that are kept @param max clients remembered */
  constructor(perSecond: number, burst: number, max = 4096) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#max = max;
  }

  /** Takes one token of this client's; false when it has none. `now`: monotonic ms. */
  take(client: string, now: number): boolean {
    const bucket = this.#clients.get(client) ?? { tokens: this.#burst, at: now };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((now - bucket.at) / 1000) * this.#perSecond);
    bucket.at = now;
    this.#clients.delete(client);
    this.#clients.set(client, bucket);
    if (this.#clients.size > this.#max) this.#clients.delete(this.#clients.keys().next().value!);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
