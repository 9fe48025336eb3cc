/**
 * What is needed to give the same answer again to a client that asks the same twice (NIP-46 clients retry under the
 * same id). Never a plaintext: a signed event is rebuilt from the retry's own template, a ciphertext from its nonce.
 */
export interface Given {
  /** s; of the event that was signed */
  createdAt?: number;
  /** of the event that was signed, hex */
  sig?: string;
  /** NIP-44 nonce or NIP-04 iv */
  nonce?: Uint8Array;
}

/** Requests carried out lately, by their keyed body hash; bounded in number and age. */
export class Responses {
  readonly #given = new Map<string, { given: Given; until: number }>();
  readonly #ttl: number;
  readonly #max: number;

  /** @param ttl ms */
  constructor(ttl: number, max = 4096) {
    this.#ttl = ttl;
    this.#max = max;
  }

  get(body: string, now: number): Given | undefined {
    const entry = this.#given.get(body);
    return entry !== undefined && entry.until > now ? entry.given : undefined;
  }

  set(body: string, given: Given, now: number): void {
    this.#given.delete(body);
    this.#given.set(body, { given, until: now + this.#ttl });
    for (const [oldest, entry] of this.#given) {
      if (entry.until > now && this.#given.size <= this.#max) break;
      this.#given.delete(oldest);
    }
  }

  clear(): void {
    this.#given.clear();
  }
}
