/**
 * What is needed to give the same answer again to a client that asks the same twice (NIP-46 clients retry under the
 * same id). Never a plaintext: a signed event is rebuilt from the retry's own template, a ciphertext from its nonce.
 */
export interface Given {
  /** s; of the event that was signed */
  createdAt?: number;
  /** of the event that was signed, hex */
  sig?: string;
  /** NIP-44 nonce (32 bytes) or NIP-04 iv (16) */
  nonce?: Uint8Array;
}

/** Of the two pages that take turns. */
const MOST = 2048;
const HASH = 32;
const SIG = 64;

/**
 * Requests carried out lately, by their keyed body hash: the last 2,048 at least, the last 4,096 at most, none longer
 * than `ttl`. All lie in memory that is kept: as objects of their own they would outlive every young collection, and
 * make up most of what a key's thread has to collect.
 */
export class Responses {
  readonly #ttl: number;
  #young: Page;
  #old: Page;

  /** @param ttl ms */
  constructor(ttl: number, most = MOST) {
    this.#ttl = ttl;
    this.#young = new Page(most);
    this.#old = new Page(most);
  }

  /** @param body 64 hex digits */
  get(body: string, now: number): Given | undefined {
    return this.#young.get(body, now) ?? this.#old.get(body, now);
  }

  set(body: string, given: Given, now: number): void {
    if (this.#young.full && this.#young.find(body) < 0) {
      [this.#young, this.#old] = [this.#old, this.#young];
      this.#young.clear();
    }
    this.#young.set(body, given, now + this.#ttl);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}

/** Entries in the order in which they came, and an open-addressed index of them. */
class Page {
  readonly #most: number;
  /** Of the entry, from 1; 0 is an empty place. */
  readonly #index: Uint16Array;
  readonly #hashes: Buffer;
  /** A signature or a nonce. */
  readonly #bytes: Buffer;
  readonly #lengths: Uint8Array;
  readonly #createdAt: Float64Array;
  readonly #until: Float64Array;
  readonly #wanted = Buffer.from(new ArrayBuffer(HASH));
  #size = 0;

  constructor(most: number) {
    this.#most = most;
    this.#index = new Uint16Array(2 * most);
    this.#hashes = Buffer.from(new ArrayBuffer(most * HASH));
    this.#bytes = Buffer.from(new ArrayBuffer(most * SIG));
    this.#lengths = new Uint8Array(most);
    this.#createdAt = new Float64Array(most);
    this.#until = new Float64Array(most);
  }

  get full(): boolean {
    return this.#size === this.#most;
  }

  /** @returns the entry, or -1 */
  find(body: string): number {
    return this.#index[this.#placeOf(body)]! - 1;
  }

  get(body: string, now: number): Given | undefined {
    const entry = this.find(body);
    if (entry < 0 || this.#until[entry]! <= now) return undefined;
    const at = entry * SIG;
    const length = this.#lengths[entry]!;
    if (length === 0) return {};
    if (length < SIG) return { nonce: new Uint8Array(this.#bytes.subarray(at, at + length)) };
    return { createdAt: this.#createdAt[entry]!, sig: this.#bytes.toString('hex', at, at + SIG) };
  }

  set(body: string, { createdAt, sig, nonce }: Given, until: number): void {
    const place = this.#placeOf(body);
    let entry = this.#index[place]! - 1;
    if (entry < 0) {
      entry = this.#size++;
      this.#index[place] = entry + 1;
      this.#wanted.copy(this.#hashes, entry * HASH);
    }
    const at = entry * SIG;
    if (sig !== undefined) this.#bytes.write(sig, at, SIG, 'hex');
    else if (nonce !== undefined) this.#bytes.set(nonce, at);
    this.#lengths[entry] = sig === undefined ? (nonce?.length ?? 0) : SIG;
    this.#createdAt[entry] = createdAt ?? 0;
    this.#until[entry] = until;
  }

  clear(): void {
    this.#index.fill(0);
    this.#size = 0;
  }

  /** Of a body's entry in the index, or the empty one where it would be. The hash is keyed: nobody aims at one. */
  #placeOf(body: string): number {
    this.#wanted.write(body, 'hex');
    let place = this.#wanted.readUInt32LE() % this.#index.length;
    for (;;) {
      const at = (this.#index[place]! - 1) * HASH;
      if (at < 0 || this.#wanted.compare(this.#hashes, at, at + HASH) === 0) return place;
      place = place + 1 === this.#index.length ? 0 : place + 1;
    }
  }
}
