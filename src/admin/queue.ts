/** Work in order of arrival for each thing that it touches; work on different things does not wait for each other. */
export class Queue {
  readonly #tails = new Map<string, Promise<void>>();
  #size = 0;

  /** Tasks that run or wait. */
  get size(): number {
    return this.#size;
  }

  /** Runs `task` once everything has ended that was added before it and touches one of the same things. */
  async run<T>(touches: readonly string[], task: () => Promise<T>): Promise<T> {
    const ahead = touches.map((thing) => this.#tails.get(thing));
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    for (const thing of touches) this.#tails.set(thing, done);
    this.#size++;
    try {
      await Promise.all(ahead);
      return await task();
    } finally {
      this.#size--;
      for (const thing of touches) if (this.#tails.get(thing) === done) this.#tails.delete(thing);
      finish();
    }
  }
}
