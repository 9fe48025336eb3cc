import type { Lookups } from '../store/lookups.ts';
import type { Writes } from '../store/writes.ts';
import type { Journal } from './journal.ts';

/** Names in redoubt_meta: the list as JSON, and since when it is in force, ms since the epoch. */
const LIST = 'advertisedRelays';
const SINCE = 'advertisedSince';
/** Clients that are remembered as told; beyond it they are told once more. */
const MOST_TOLD = 50_000;

/**
 * Which clients have the list of advertised relays (docs/PROTOCOL.md, switch_relays): those that were invited after it
 * came into force, and those that were told it in this run.
 */
export class Advertised {
  readonly #lookups: Lookups;
  readonly #writes: Writes;
  readonly #journal: Journal;
  /** Body of the request that each was told by: a retry of it gets the same answer. By KeyUser. */
  readonly #told = new Map<number, string>();
  /** Nobody is known to have a list that was not announced yet. */
  #since = Number.POSITIVE_INFINITY;

  constructor(lookups: Lookups, writes: Writes, journal: Journal) {
    this.#lookups = lookups;
    this.#writes = writes;
    this.#journal = journal;
  }

  /** In a batch of the journal: the list that is in force from now on, sorted. @throws what the journal throws */
  announce(relays: readonly string[], now: number): void {
    const list = JSON.stringify(relays);
    if (this.#lookups.meta(LIST) === list) return this.#inForce(Number(this.#lookups.meta(SINCE) ?? now));
    this.#since = Number.POSITIVE_INFINITY;
    this.#journal.begin();
    this.#writes.setMeta(LIST, list);
    this.#writes.setMeta(SINCE, String(now));
    this.#journal.afterCommit(() => this.#inForce(now));
  }

  /** Whether the client has the list already; if not, it is told now. @param body of its request */
  knows(keyUserId: number, body: string): boolean {
    if (this.#lookups.invitedAt(keyUserId) >= this.#since) return true;
    const told = this.#told.get(keyUserId);
    if (told !== undefined && told !== body) return true;
    if (this.#told.size >= MOST_TOLD) this.#told.clear();
    this.#told.set(keyUserId, body);
    return false;
  }

  #inForce(since: number): void {
    if (since !== this.#since) this.#told.clear();
    this.#since = since;
  }
}
