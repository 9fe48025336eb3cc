import { newSecret, type Secret, wipe } from '../actor/protocol.ts';

const KEYS_PER_BLOCK = 1024;
const KEY_BYTES = 32;

/**
 * Memory for many 32-byte secrets, in blocks outside the garbage-collected heap that are never moved or copied. What
 * is given back is overwritten at once.
 */
export class Slab {
  readonly #blocks: Secret[] = [];
  readonly #free: number[] = [];
  #used = 0;

  /** Copies a secret in. @returns its place; the caller's own bytes stay the caller's to wipe */
  put(secret: Secret): number {
    if (secret.length !== KEY_BYTES) throw new RangeError(`a secret here has ${KEY_BYTES} bytes`);
    const place = this.#free.pop() ?? this.#used++;
    if (place >= this.#blocks.length * KEYS_PER_BLOCK) this.#blocks.push(newSecret(KEYS_PER_BLOCK * KEY_BYTES));
    this.view(place).set(secret);
    return place;
  }

  /** The secret itself, not a copy. */
  view(place: number): Secret {
    const start = (place % KEYS_PER_BLOCK) * KEY_BYTES;
    return this.#blocks[Math.floor(place / KEYS_PER_BLOCK)]!.subarray(start, start + KEY_BYTES) as Secret;
  }

  remove(place: number): void {
    wipe(this.view(place));
    this.#free.push(place);
  }

  clear(): void {
    wipe(...this.#blocks);
    this.#free.length = 0;
    this.#used = 0;
  }
}
