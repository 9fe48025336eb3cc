import type { KeyThread } from './thread.ts';

/** After a thread was taken, ms. */
const REFILL_MS = 50;

/**
 * A few blank, warmed threads, so that activation costs a message and not a thread start; no more than there are keys that
 * could take one.
 */
export class Blanks {
  readonly #start: (warm: boolean) => KeyThread;
  readonly #wanted: () => number;
  #blanks: KeyThread[] = [];
  #closed = false;
  #refill: NodeJS.Timeout | undefined;

  /** @param start `warm`: it runs the signing path before it says that it is ready @param wanted threads to be kept ready */
  constructor(start: (warm: boolean) => KeyThread, wanted: () => number) {
    this.#start = start;
    this.#wanted = wanted;
  }

  /** To be called when more may be wanted. */
  fill(): void {
    if (this.#closed) return;
    const wanted = this.#wanted();
    while (this.#blanks.length < wanted) this.#blanks.push(this.#start(true));
  }

  /** A thread, as warm as it is by now; null when none can be had (it ended while it loaded, or the daemon stops). */
  async take(): Promise<KeyThread | null> {
    if (this.#closed) return null;
    // Somebody waits already: it gets to know the path on real requests.
    const thread = this.#blanks.shift() ?? this.#start(false);
    thread.hurry();
    const ready = await thread.ready;
    // The next one starts when this one has answered what it was taken for: a thread that starts takes a core for some
    // 100 ms, and the main thread for several.
    this.#refill ??= setTimeout(() => {
      this.#refill = undefined;
      this.fill();
    }, REFILL_MS);
    return ready ? thread : null;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#refill);
    await Promise.all(this.#blanks.splice(0).map((thread) => thread.end()));
  }
}
