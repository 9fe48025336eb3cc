import type { KeyThread } from './thread.ts';

/** A few blank, warmed threads, so that activation costs a message and not a thread start. */
export class Blanks {
  readonly #start: () => KeyThread;
  readonly #size: number;
  #blanks: KeyThread[] = [];
  #closed = false;

  /** @param size threads kept ready */
  constructor(start: () => KeyThread, size: number) {
    this.#start = start;
    this.#size = size;
  }

  fill(): void {
    while (!this.#closed && this.#blanks.length < this.#size) this.#blanks.push(this.#start());
  }

  /** A warm thread; null when none can be had (it ended while it loaded, or the daemon stops). */
  async take(): Promise<KeyThread | null> {
    if (this.#closed) return null;
    const thread = this.#blanks.shift() ?? this.#start();
    const ready = await thread.ready;
    // The next one starts after this one is at work, so that the two do not compete for a core.
    setImmediate(() => this.fill());
    return ready ? thread : null;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#blanks.splice(0).map((thread) => thread.end()));
  }
}
