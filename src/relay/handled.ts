const WORDS = 3;
const FIRST_SLOTS = 1024;
/** The window is remembered in this many parts, so that forgetting takes the oldest part only. */
const PARTS = 4;

/**
 * Remembers the ids of events that were handled, for at least `windowMs`, so that copies can be dropped early. Only ids
 * of verified events belong here: an id that anybody may claim would suppress the true event.
 *
 * Bounded: beyond `maxIds` the oldest part is forgotten before its time, and a copy is then the key actor's to refuse.
 * Compact: 96 bits of each id (finding another event with the same 96 bits takes 2^96 tries) in open-addressing tables,
 * at most 20 bytes an id.
 */
export class HandledIds {
  readonly #partMs: number;
  readonly #maxPerPart: number;
  readonly #seed: number;
  /** Newest first. */
  #parts: Part[];
  #began: number | undefined;

  /** @param random from 0 to 1: seeds the tables, so that nobody can make ids that crowd one place */
  constructor(options: { windowMs: number; maxIds: number; random: () => number }) {
    this.#partMs = options.windowMs / PARTS;
    this.#maxPerPart = Math.max(1, Math.floor(options.maxIds / (PARTS + 1)));
    this.#seed = Math.floor(options.random() * 0x1_0000_0000);
    this.#parts = [new Part(this.#seed)];
  }

  /** @param id 64 hex digits @param now monotonic ms */
  remember(id: string, now: number): void {
    this.#began ??= now;
    const turns = Math.min(PARTS + 1, Math.floor((now - this.#began) / this.#partMs));
    for (let i = 0; i < turns; i++) this.#turn(turns > PARTS ? now : this.#began + this.#partMs);
    if (this.#parts[0]!.size >= this.#maxPerPart) this.#turn(now);
    this.#parts[0]!.add(prefix(id));
  }

  has(id: string): boolean {
    const wanted = prefix(id);
    for (const part of this.#parts) if (part.has(wanted)) return true;
    return false;
  }

  get size(): number {
    return this.#parts.reduce((sum, part) => sum + part.size, 0);
  }

  /** Bytes that the tables take. */
  get bytes(): number {
    return this.#parts.reduce((sum, part) => sum + part.bytes, 0);
  }

  #turn(began: number): void {
    this.#began = began;
    this.#parts.unshift(new Part(this.#seed));
    // PARTS full parts make the window; the newest one is still filling.
    this.#parts.length = Math.min(this.#parts.length, PARTS + 1);
  }
}

/** A set of ids: linear probing, at most three quarters full. A slot of zeros is free. */
class Part {
  readonly #seed: number;
  #words = new Uint32Array(FIRST_SLOTS * WORDS);
  size = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  get bytes(): number {
    return this.#words.byteLength;
  }

  has([a, b, c]: Prefix): boolean {
    const words = this.#words;
    for (let at = this.#slot(words, a, b); ; at = (at + WORDS) % words.length) {
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c) return (a | b | c) !== 0;
      if (words[at] === 0 && words[at + 1] === 0 && words[at + 2] === 0) return false;
    }
  }

  add(wanted: Prefix): void {
    const [a, b, c] = wanted;
    if ((a | b | c) === 0 || this.has(wanted)) return;
    if ((this.size + 1) * WORDS > this.#words.length * 0.75) this.#grow();
    this.#put(this.#words, a, b, c);
    this.size++;
  }

  #grow(): void {
    const old = this.#words;
    const words = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += WORDS) {
      if ((old[at]! | old[at + 1]! | old[at + 2]!) !== 0) this.#put(words, old[at]!, old[at + 1]!, old[at + 2]!);
    }
    this.#words = words;
  }

  #put(words: Uint32Array, a: number, b: number, c: number): void {
    let at = this.#slot(words, a, b);
    while ((words[at]! | words[at + 1]! | words[at + 2]!) !== 0) at = (at + WORDS) % words.length;
    words[at] = a;
    words[at + 1] = b;
    words[at + 2] = c;
  }

  #slot(words: Uint32Array, a: number, b: number): number {
    let mixed = Math.imul(a ^ this.#seed, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ b, 0x85ebca77);
    mixed ^= mixed >>> 13;
    return ((mixed >>> 0) % (words.length / WORDS)) * WORDS;
  }
}

/** The first 96 bits of an id. */
type Prefix = readonly [number, number, number];

function prefix(id: string): Prefix {
  return [
    Number.parseInt(id.slice(0, 8), 16) >>> 0,
    Number.parseInt(id.slice(8, 16), 16) >>> 0,
    Number.parseInt(id.slice(16, 24), 16) >>> 0,
  ];
}
