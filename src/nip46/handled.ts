import { Fingerprints } from './fingerprints.ts';

/** Of the two sets that take turns. */
const MOST = 4096;

/**
 * Ids of events that came lately: of the last 4,096 at least, of the last 8,192 at most. It spares the work of looking
 * at one again; what decides about a replay is the policy actor's memory.
 */
export class Handled {
  readonly #seed: number;
  #young: Fingerprints;
  #old: Fingerprints;

  /** @param seed 32 random bits */
  constructor(seed: number) {
    this.#seed = seed;
    this.#young = new Fingerprints(seed);
    this.#old = new Fingerprints(seed);
  }

  has(id: string): boolean {
    return this.#young.has(id) || this.#old.has(id);
  }

  add(id: string): void {
    if (this.#young.size >= MOST) {
      this.#old = this.#young;
      this.#young = new Fingerprints(this.#seed, MOST);
    }
    this.#young.add(id);
  }
}
