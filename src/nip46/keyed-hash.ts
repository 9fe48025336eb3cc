import { hash } from 'node:crypto';
import { type Secret, wipe } from '../actor/protocol.ts';

/** SHA-256's, in bytes. */
const BLOCK = 64;
const DIGEST = 32;
const KEPT = 8192;

/**
 * HMAC-SHA256 (RFC 2104) under one key of 32 bytes, by two one-shot hashes over memory that is kept: a fifth of what
 * node:crypto's `createHmac` costs for a message of the usual length.
 */
export class KeyedHash {
  /** The key's inner block, and room for a message. */
  readonly #inner = Buffer.from(new ArrayBuffer(KEPT));
  readonly #outer = Buffer.from(new ArrayBuffer(BLOCK + DIGEST));

  /** @param key stays the caller's to wipe */
  constructor(key: Secret) {
    if (key.length !== DIGEST) throw new RangeError('a key of this hash has 32 bytes');
    this.#inner.fill(0x36, 0, BLOCK);
    this.#outer.fill(0x5c, 0, BLOCK);
    for (let i = 0; i < DIGEST; i++) {
      this.#inner[i]! ^= key[i]!;
      this.#outer[i]! ^= key[i]!;
    }
  }

  /** Of text and the bytes behind it, in hex; it keeps neither. */
  hex(text: string, bytes: Uint8Array): string {
    const at = BLOCK + Buffer.byteLength(text);
    const end = at + bytes.length;
    const page = end <= KEPT ? this.#inner : this.#larger(end);
    page.write(text, BLOCK);
    page.set(bytes, at);
    // As a string: node:crypto takes twice as long to give a digest as a Buffer.
    this.#outer.write(hash('sha256', page.subarray(0, end), 'latin1'), BLOCK, 'latin1');
    page.fill(0, BLOCK, end);
    if (page !== this.#inner) wipe(page);
    return hash('sha256', this.#outer, 'hex');
  }

  wipe(): void {
    wipe(this.#inner, this.#outer);
  }

  #larger(size: number): Buffer {
    const page = Buffer.from(new ArrayBuffer(size));
    page.set(this.#inner.subarray(0, BLOCK));
    return page;
  }
}
