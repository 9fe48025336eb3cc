import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { wipe } from '../../actor/protocol.ts';
import { MAX_HEADER, type ReadHeader, readHeader, type Sealing } from './header.ts';
import { Unfit } from './unfit.ts';

/** Bytes of content in every chunk but the last. */
export const CHUNK = 65_536;
const TAG = 16;

/** Each chunk has a nonce of its own, which says where it belongs and whether it is the last (docs/BACKUP.md). */
function cipher({ key, noncePrefix, header }: Sealing, index: number, isLast: boolean) {
  const nonce = new Uint8Array(24);
  nonce.set(noncePrefix);
  new DataView(nonce.buffer).setUint32(19, index);
  nonce[23] = isLast ? 1 : 0;
  return xchacha20poly1305(key, nonce, header);
}

/** Writes an archive's content behind its header, chunk by chunk; memory does not grow with it. */
export class ChunkWriter {
  readonly #fd: number;
  readonly #sealing: Sealing | null;
  readonly #room = new Uint8Array(CHUNK);
  #filled = 0;
  #index = 0;

  /** @param sealing null for an archive that is not encrypted */
  constructor(fd: number, header: Uint8Array, sealing: Sealing | null) {
    this.#fd = fd;
    this.#sealing = sealing;
    writeWhole(fd, header);
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      // A full chunk is written only when more follows: the last one has to be known as such.
      if (this.#filled === CHUNK) this.#flush(false);
      const part = bytes.subarray(at, at + CHUNK - this.#filled);
      this.#room.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
    }
  }

  end(): void {
    this.#flush(true);
    wipe(this.#room);
  }

  #flush(isLast: boolean): void {
    const content = this.#room.subarray(0, this.#filled);
    const chunk = this.#sealing === null ? content : cipher(this.#sealing, this.#index, isLast).encrypt(content);
    writeWhole(this.#fd, chunk);
    this.#index++;
    this.#filled = 0;
  }
}

/** Reads an archive's content; every byte that it gives was checked, where the archive is encrypted. */
export class ChunkReader {
  readonly header: ReadHeader;
  readonly #fd: number;
  readonly #size: number;
  #sealing: Sealing | null = null;
  #at: number;
  #index = 0;
  #chunk = new Uint8Array(0);
  #used = 0;

  /** @throws Unfit, or the system's error */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    try {
      const stat = fstatSync(this.#fd);
      if (!stat.isFile()) throw new Unfit('is not a file');
      this.#size = stat.size;
      this.header = readHeader(this.#read(0, Math.min(MAX_HEADER, stat.size)));
      this.#at = this.header.bytes.length;
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of the file that were read. */
  get position(): number {
    return this.#at;
  }

  /** What opens the chunks of an encrypted archive; it is wiped by `close`. */
  useSealing(sealing: Sealing): void {
    this.#sealing = sealing;
  }

  /** The next bytes, 1 to `most` of them, to be used before the next call. @throws Unfit when there are none */
  some(most: number): Uint8Array {
    if (this.#used === this.#chunk.length) this.#next();
    const part = this.#chunk.subarray(this.#used, this.#used + most);
    this.#used += part.length;
    return part;
  }

  exactly(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const part = this.some(length - at);
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** @throws Unfit when something follows */
  expectEnd(): void {
    if (this.#used < this.#chunk.length || this.#at < this.#size)
      throw new Unfit('is damaged: something follows its end');
  }

  close(): void {
    closeSync(this.#fd);
    wipe(this.#sealing?.key, this.#chunk);
  }

  #next(): void {
    const left = this.#size - this.#at;
    if (left <= 0) throw new Unfit('is cut short');
    const length = Math.min(left, this.#sealing === null ? CHUNK : CHUNK + TAG);
    const bytes = this.#read(this.#at, length);
    this.#at += length;
    wipe(this.#chunk);
    this.#chunk = this.#sealing === null ? bytes : this.#open(this.#sealing, bytes);
    this.#used = 0;
    this.#index++;
    if (this.#chunk.length === 0) throw new Unfit('is cut short');
  }

  #open(sealing: Sealing, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    try {
      return new Uint8Array(cipher(sealing, this.#index, this.#at === this.#size).decrypt(bytes));
    } catch {
      throw new Unfit('is damaged or cut short');
    }
  }

  #read(at: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const read = readSync(this.#fd, bytes, done, length - done, at + done);
      if (read === 0) throw new Unfit('is cut short');
      done += read;
    }
    return bytes;
  }
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}
