interface Waiting {
  bytes: number;
  start(): void;
}

/** So many pieces of work at once, and so much memory among them; who comes first is served first. */
export class Permits {
  readonly #bytes: number;
  #freeBytes: number;
  #free: number;
  readonly #queue: Waiting[] = [];

  constructor(count: number, bytes: number) {
    this.#free = count;
    this.#bytes = bytes;
    this.#freeBytes = bytes;
  }

  /** False for work that there is not enough memory for even when nothing else runs. */
  fits(bytes: number): boolean {
    return bytes <= this.#bytes;
  }

  /** Waits for its turn, and runs `work` with `bytes` of memory set aside for it. */
  async run<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.#queue.push({ bytes, start });
      this.#next();
    });
    try {
      return await work();
    } finally {
      this.#free++;
      this.#freeBytes += bytes;
      this.#next();
    }
  }

  #next(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      if (this.#free === 0 || this.#freeBytes < first.bytes) return;
      this.#queue.shift();
      this.#free--;
      this.#freeBytes -= first.bytes;
      first.start();
    }
  }
}
