import type { VerifyPool } from '../nip46/verify-pool.ts';
import type { Incoming } from '../relay/protocol.ts';
import { ClientRates } from './rate.ts';

export type StrangerRefusal = 'strangers: rate' | 'strangers: busy' | 'strangers: signature';

/**
 * The gate for events of clients that are not bound to the key: verified by a stateless worker before they may
 * activate anything, so many a second for each key and in all. Strangers can neither thrash activation nor fill a
 * key's queue.
 */
export class Strangers {
  readonly #pool: VerifyPool;
  #perKey!: ClientRates;
  #total!: ClientRates;

  /** @param perKey @param total events a second */
  constructor(pool: VerifyPool, perKey: number, total: number) {
    this.#pool = pool;
    this.setRates(perKey, total);
  }

  /** Events a second. What was used of the old rates is forgotten. */
  setRates(perKey: number, total: number): void {
    this.#perKey = new ClientRates(perKey, burst(perKey));
    this.#total = new ClientRates(total, burst(total), 1);
  }

  /** Why a stranger's event is refused, or null when it may pass. */
  async examine(incoming: Incoming): Promise<StrangerRefusal | null> {
    if (!this.#perKey.take(incoming.head.p, incoming.arrived)) return 'strangers: rate';
    if (!this.#total.take('', incoming.arrived)) return 'strangers: rate';
    return this.verify(incoming);
  }

  /** The same for an event in the name of a bound client, which has no such rate. */
  async verify(incoming: Incoming): Promise<StrangerRefusal | null> {
    const verified = await this.#pool.verify(incoming.raw);
    if (verified === 'busy') return 'strangers: busy';
    return verified ? null : 'strangers: signature';
  }
}

/** What is looked at less than once a second is looked at all the same. */
function burst(rate: number): number {
  return rate === 0 ? 0 : Math.max(1, rate);
}
