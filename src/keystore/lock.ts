const FREE = 0;

/**
 * A lock that the threads of one process share, for a few milliseconds at a time. Its owner is named by a number, so
 * that whoever learns that a thread died can free what that thread held. (`locks` of node:worker_threads is not freed
 * when a thread is terminated; a lock file cannot tell a dead owner in a container, where every start has process id 1.)
 */
export class Lock {
  readonly #word: Int32Array<SharedArrayBuffer>;

  /** @param memory what `Lock.memory()` made, shared by all that use this lock */
  constructor(memory: SharedArrayBuffer) {
    this.#word = new Int32Array(memory);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(4);
  }

  /**
   * Runs `work` while no other owner does. Blocks the thread; never called on the main thread.
   *
   * @param owner a positive number that nobody else uses
   * @throws Error when the lock is held by others for longer than `timeoutMs`
   */
  hold<T>(owner: number, work: () => T, timeoutMs = 10_000): T {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const holder = Atomics.compareExchange(this.#word, 0, FREE, owner);
      if (holder === FREE) break;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error('the keystore is locked by another task');
      Atomics.wait(this.#word, 0, holder, left);
    }
    try {
      return work();
    } finally {
      this.free(owner);
    }
  }

  /** Frees the lock if this owner holds it. */
  free(owner: number): void {
    if (Atomics.compareExchange(this.#word, 0, owner, FREE) === owner) Atomics.notify(this.#word, 0);
  }
}
