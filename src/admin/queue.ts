/** Touched by what works on every key: it waits for all that any key has ahead, and all keys wait for it. */
export const EVERY_KEY = 'key:*';

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

  /** When what touches `thing` now has ended. */
  async ended(thing: string): Promise<void> {
    await this.#tails.get(thing);
  }

  #ahead(thing: string): Promise<void>[] {
    if (thing === EVERY_KEY) return [...this.#tails].filter(([one]) => isKey(one)).map(([, tail]) => tail);
    const tails = [this.#tails.get(thing), isKey(thing) ? this.#tails.get(EVERY_KEY) : undefined];
    return tails.filter((tail) => tail !== undefined);
  }

  async #inTurn<T>(things: readonly string[], task: (leave: () => void) => Promise<T>): Promise<T> {
    const ahead = things.flatMap((thing) => this.#ahead(thing));
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
