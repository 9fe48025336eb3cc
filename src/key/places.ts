/** What can give its thread up. */
export interface Occupant {
  /** Whether a thread holds it. */
  readonly isActive: boolean;
  /** Whether nothing is in work there. */
  readonly isIdle: boolean;
  /** Whether all that is in work there waits for an admin. */
  readonly isWaiting: boolean;
  /** Monotonic ms of its last event. */
  readonly lastUsed: number;
  /** Monotonic ms since when it has its thread. */
  readonly activeSince: number;
  /** Ends its thread if it is idle. */
  passivate(): Promise<boolean>;
  /** Gives its place up, and keeps its thread for what waits there. */
  leavePlace(): void;
  /** Starts nothing more, and ends its thread when what is in work there is done. */
  yield(): void;
}

/** How long all keys may be at work while another waits, before one of them has to make room; ms. */
const PATIENCE_MS = 50;

/**
 * So many threads hold a key at once. Who wants one more waits until another key has given its thread up: the least
 * recently used idle one at once; one that only waits for an admin, which keeps its thread; else, so that busy keys do not
 * keep the others out, the one that has held its thread longest.
 */
export class Places {
  readonly #occupants: () => Iterable<Occupant>;
  readonly #waiting: (() => void)[] = [];
  #free: number;
  /** Threads that are being ended for somebody who waits. */
  #leaving = 0;
  #patience: NodeJS.Timeout | undefined;

  /** @param max places @param occupants all that may hold one */
  constructor(max: number, occupants: () => Iterable<Occupant>) {
    this.#free = max;
    this.#occupants = occupants;
  }

  /** Resolves when there is a place, and that is taken. */
  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.makeRoom();
    await promise;
  }

  free(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }

  /** To be called when a key has become idle, or waits for an admin. */
  makeRoom(): void {
    if (this.#waiting.length <= this.#leaving) return;
    const idle = this.#active().filter((key) => key.isIdle);
    for (const key of idle.sort((a, b) => a.lastUsed - b.lastUsed)) {
      if (this.#waiting.length <= this.#leaving) return;
      this.#leaving++;
      void key.passivate().then(() => {
        this.#leaving--;
        this.makeRoom();
      });
    }
    for (const key of this.#active().filter((key) => key.isWaiting)) {
      if (this.#waiting.length <= this.#leaving) return;
      key.leavePlace();
    }
    this.#patience ??= setTimeout(() => this.#insist(), PATIENCE_MS).unref();
  }

  close(): void {
    clearTimeout(this.#patience);
  }

  #insist(): void {
    this.#patience = undefined;
    const wanted = this.#waiting.length - this.#leaving;
    if (wanted <= 0) return;
    const longest = this.#active().sort((a, b) => a.activeSince - b.activeSince);
    for (const key of longest.slice(0, wanted)) key.yield();
    this.#patience = setTimeout(() => this.#insist(), PATIENCE_MS).unref();
  }

  #active(): Occupant[] {
    return [...this.#occupants()].filter((key) => key.isActive);
  }
}
