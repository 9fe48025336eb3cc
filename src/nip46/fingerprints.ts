/** Sets are sized so that at most this part of a table is in use; beyond it, probing gets slow. */
const FULLEST = 0.8;
const SMALLEST = 1024;

/**
 * A set of 64-bit fingerprints in one typed array: 8 bytes an entry and no object for each. Open addressing with
 * linear probing; `seed` is random, so that nobody can aim at one place of the table.
 */
export class Fingerprints {
  readonly #seed: number;
  /** Two words an entry; two zeros are an empty place. */
  #table: Uint32Array;
  #places: number;
  #size = 0;

  constructor(seed: number, capacity = 0) {
    this.#seed = seed;
    this.#places = placesFor(capacity);
    this.#table = new Uint32Array(this.#places * 2);
  }

  get size(): number {
    return this.#size;
  }

  /** `hex`: at least 16 digits; its first 64 bits are looked at. */
  has(hex: string): boolean {
    const high = word(hex, 0);
    const low = word(hex, 8);
    return this.#table[this.#find(high, low) * 2] !== 0;
  }

  add(hex: string): void {
    this.#put(word(hex, 0), word(hex, 8));
  }

  /** Gives back what the table has to spare, when nothing more will be added. */
  shrink(): void {
    this.#resize(placesFor(this.#size));
  }

  #put(high: number, low: number): void {
    if (this.#size + 1 > this.#places * FULLEST) this.#resize(Math.ceil(this.#places * 1.5));
    const place = this.#find(high, low) * 2;
    if (this.#table[place] !== 0) return;
    this.#table[place] = high;
    this.#table[place + 1] = low;
    this.#size++;
  }

  /** The entry's place, or the empty one where it would be. */
  #find(high: number, low: number): number {
    const mixed = Math.imul(high ^ this.#seed, 0x9e3779b1) ^ Math.imul(low + this.#seed, 0x85ebca6b);
    let place = Math.floor(((mixed >>> 0) / 0x1_0000_0000) * this.#places);
    for (;;) {
      const found = this.#table[place * 2];
      if (found === 0 || (found === high && this.#table[place * 2 + 1] === low)) return place;
      place = place + 1 === this.#places ? 0 : place + 1;
    }
  }

  #resize(places: number): void {
    const old = this.#table;
    this.#places = places;
    this.#table = new Uint32Array(places * 2);
    this.#size = 0;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] !== 0) this.#put(old[i]!, old[i + 1]!);
    }
  }
}

function placesFor(entries: number): number {
  return Math.max(SMALLEST, Math.ceil(entries / FULLEST) + 1);
}

/** Never 0 in the first word, which marks an empty place. */
function word(hex: string, at: number): number {
  const value = Number.parseInt(hex.slice(at, at + 8), 16) >>> 0;
  return at === 0 && value === 0 ? 1 : value;
}
