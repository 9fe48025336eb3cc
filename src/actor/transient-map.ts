/** At most so many entries more than it holds are removed from one table before its successor is made. */
const REMOVED = 64;

/**
 * A `Map` for entries that come and go with every request.
 *
 * V8 replaces a Map's table every few removals, and the old table points at the new one. Once a table has reached the old
 * generation, as all do that are in use during a full collection, the tables after it are kept for its sake, each with
 * every entry that it ever held, until the next full collection, in which the same begins anew: requests that were over
 * long ago made up most of what a thread's heap grew by. A Map that is a copy hangs on no table before it.
 *
 * Order is that of insertion. Do not `set` while iterating.
 */
export class TransientMap<K, V> {
  #map = new Map<K, V>();
  #removed = 0;

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  set(key: K, value: V): void {
    if (this.#removed > this.#map.size + REMOVED) {
      this.#map = new Map(this.#map);
      this.#removed = 0;
    }
    this.#map.set(key, value);
  }

  /** @returns whether it was there */
  delete(key: K): boolean {
    const was = this.#map.delete(key);
    if (was) this.#removed++;
    return was;
  }

  clear(): void {
    this.#map = new Map();
    this.#removed = 0;
  }

  keys(): MapIterator<K> {
    return this.#map.keys();
  }

  values(): MapIterator<V> {
    return this.#map.values();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.#map[Symbol.iterator]();
  }
}
