type Work<T> = () => T | Promise<T>;

/**
 * The one queue for all that uses the connection. MikroORM's transactions span turns of the event loop; a journal
 * write between their BEGIN and COMMIT would be taken back by their rollback, answered or not. So each piece of work
 * has the connection to itself until it settles, in the order of arrival.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  /** Runs at once, in this very turn of the event loop, when nothing else has the connection. */
  take<T>(work: Work<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const go = () => {
        this.#taken = true;
        try {
          const result = work();
          if (!(result instanceof Promise)) {
            resolve(result);
            this.#next();
            return;
          }
          result.then(resolve, reject).finally(() => this.#next());
        } catch (error) {
          reject(error);
          this.#next();
        }
      };
      if (this.#taken) this.#waiting.push(go);
      else go();
    });
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken = false;
    else next();
  }
}
