/**
 * Work in order of arrival for each thing that it touches; work on different things does not wait for each other.
 *
 * What touches a key and other things takes its place at the others once the key is free: whoever touches no key, as a
 * revocation does, waits for nothing that waits for one.
 */
export class Queue {
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Runs `task` once everything has ended that was added before it and touches one of the same things.
   *
   * @param task calls `leave` when what is left of it touches the keys alone
   */
  run<T>(touches: readonly string[], task: (leave: () => void) => Promise<T>): Promise<T> {
    const keys = touches.filter(isKey);
    const others = touches.filter((thing) => !isKey(thing));
    return this.#inTurn(keys, () => this.#inTurn(others, task));
  }

  async #inTurn<T>(things: readonly string[], task: (leave: () => void) => Promise<T>): Promise<T> {
    const ahead = things.map((thing) => this.#tails.get(thing)).filter((tail) => tail !== undefined);
    const { promise: left, resolve } = Promise.withResolvers<void>();
    for (const thing of things) this.#tails.set(thing, left);
    const leave = () => {
      for (const thing of things) if (this.#tails.get(thing) === left) this.#tails.delete(thing);
      resolve();
    };
    try {
      // Where nothing is ahead, the task goes on at once: its next place must be taken before anything else arrives.
      if (ahead.length > 0) await Promise.all(ahead);
      return await task(leave);
    } finally {
      leave();
    }
  }
}

function isKey(thing: string): boolean {
  return thing.startsWith('key:');
}
