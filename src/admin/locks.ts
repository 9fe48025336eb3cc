/**
 * When keys were locked, in order of arrival: a lock overtakes what is queued, and an unlock or a creation that was
 * asked for before it must not undo it.
 */
export class Locks {
  #count = 0;
  #all = 0;
  readonly #keys = new Map<string, number>();

  /** Now, to ask `since` about later. */
  mark(): number {
    return this.#count;
  }

  lock(name: string): void {
    this.#keys.set(name, ++this.#count);
  }

  lockAll(): void {
    this.#all = ++this.#count;
    this.#keys.clear();
  }

  /** Whether the key was locked after `mark`. */
  since(name: string, mark: number): boolean {
    return Math.max(this.#all, this.#keys.get(name) ?? 0) > mark;
  }
}
