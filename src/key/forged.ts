import { TransientMap } from '../actor/transient-map.ts';

/** So many forged events in a client's name make it suspected, for so long after the last one; ms. */
const FORGERIES = 3;
const FOR_MS = 60_000;
const MOST = 4_096;

/**
 * Clients in whose name events come that they did not sign. A client's public key is known to every relay, and only the
 * signature tells who wrote an event: as long as somebody forges them, this client's are verified before they may
 * activate its key or take a place in its queue.
 */
export class Forged {
  readonly #clients = new TransientMap<string, { count: number; until: number }>();

  /** One was found. `now`: monotonic ms. */
  note(client: string, now: number): void {
    const known = this.#clients.get(client);
    const count = known !== undefined && known.until > now ? known.count + 1 : 1;
    this.#clients.delete(client);
    this.#clients.set(client, { count, until: now + FOR_MS });
    if (this.#clients.size > MOST) this.#clients.delete(this.#clients.keys().next().value!);
  }

  suspects(client: string, now: number): boolean {
    if (this.#clients.size === 0) return false;
    const known = this.#clients.get(client);
    return known !== undefined && known.count >= FORGERIES && known.until > now;
  }
}
