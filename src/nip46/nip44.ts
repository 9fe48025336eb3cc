/**
 * NIP-44 version 2, on bytes.
 *
 * Measured at 500 bytes (`npm run bench -- nip44`): message keys by @noble/hashes from the conversation key's kept
 * HMAC state, the MAC by two of node:crypto's one-shot hashes, ChaCha20 by @noble/ciphers, in place.
 */
import { hash, randomFillSync, timingSafeEqual } from 'node:crypto';
import { chacha20 } from '@noble/ciphers/chacha.js';
import { _HMAC } from '@noble/hashes/hmac.js';
import { type _SHA256, sha256 } from '@noble/hashes/sha2.js';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { pooledRandom } from '../curve/random.ts';
import { decodeBase64 } from './base64.ts';
import { CipherError } from './cipher-error.ts';
import { mustNotBeWiped } from './not-wiped.ts';

const SALT = new TextEncoder().encode('nip44-v2');
const VERSION = 2;
/** Characters of the shortest payload: 99 bytes in base64. */
const MIN_PAYLOAD = 132;
const MIN_BYTES = 99;
const MAX_PLAINTEXT = 0xffff_ffff;
/** Plaintexts from here on have their length in six bytes, the first two of them zero. */
const LONG = 65_536;
const MAC = 32;

/**
 * Where a message is worked on: [HMAC key block, 64][nonce, 32][ciphertext][MAC, 32]. The version's place is the last
 * byte of the key block, so the bytes to be authenticated and the bytes of the payload lie each in one piece, and the
 * ciphertext on the 4-byte boundary that ChaCha20 is fastest on.
 */
const AT_VERSION = 63;
const AT_NONCE = 64;
const AT_CIPHERTEXT = 96;
const DESK_BYTES = 8192;
const desk = Buffer.from(new ArrayBuffer(DESK_BYTES));

const random = pooledRandom(randomFillSync);
const encoder = new TextEncoder();

/** HMAC-SHA256 that has taken in the conversation key: stands for the key, and is as secret. */
type Keyed = _HMAC<_SHA256>;

/** HKDF-extract of the shared x (32 bytes, `PrivateKey.sharedX`): 32 bytes, the same for both sides. */
export function conversationKey(sharedX: Secret): Secret {
  mustNotBeWiped(sharedX);
  const key = newSecret(32);
  keyedWith(SALT).update(sharedX).digestInto(key);
  return key;
}

/**
 * A payload that `key`'s other holder can read.
 *
 * @param key conversation key
 * @param nonce 32 bytes that were never used before, random when left out
 * @throws CipherError `invalid plaintext length` for an empty plaintext
 */
export function encrypt(plaintext: Uint8Array | string, key: Secret, nonce?: Uint8Array): string {
  return using(key, (keyed) => seal(keyed, plaintext, nonce));
}

/**
 * The bytes of the plaintext, which are not checked to be UTF-8.
 *
 * @param key conversation key
 * @param maxBytes longest payload to look at, in characters
 * @throws CipherError
 */
export function decrypt(payload: string, key: Secret, maxBytes: number): Secret {
  return using(key, (keyed) => open(keyed, payload, maxBytes));
}

/** What two keys say to each other; for those that say more than one thing. */
export class Conversation {
  readonly #keyed: Keyed;

  /** @param sharedX `PrivateKey.sharedX`; stays the caller's to wipe */
  constructor(sharedX: Secret) {
    const key = conversationKey(sharedX);
    this.#keyed = keyedWith(key);
    wipe(key);
  }

  encrypt(plaintext: Uint8Array | string, nonce?: Uint8Array): string {
    return seal(this.#keyed, plaintext, nonce);
  }

  decrypt(payload: string, maxBytes: number): Secret {
    return open(this.#keyed, payload, maxBytes);
  }

  /** Overwrites the key; later calls throw. */
  wipe(): void {
    this.#keyed.destroy();
  }
}

function keyedWith(key: Uint8Array): Keyed {
  return new _HMAC<_SHA256>(sha256, key);
}

function using<T>(key: Secret, work: (keyed: Keyed) => T): T {
  mustNotBeWiped(key);
  const keyed = keyedWith(key);
  try {
    return work(keyed);
  } finally {
    keyed.destroy();
  }
}

function seal(keyed: Keyed, plaintext: Uint8Array | string, nonce = random(32)): string {
  if (nonce.length !== 32) throw new RangeError('a nonce has 32 bytes');
  const length = typeof plaintext === 'string' ? Buffer.byteLength(plaintext) : plaintext.length;
  if (length < 1 || length > MAX_PLAINTEXT) throw new CipherError('invalid plaintext length');
  const prefix = prefixBytes(length);
  const atMac = AT_CIPHERTEXT + prefix + paddedLength(length);
  const end = atMac + MAC;
  const page = pageOf(end);
  try {
    deriveMessageKeys(keyed, nonce);
    page.set(nonce, AT_NONCE);
    const atPlaintext = AT_CIPHERTEXT + prefix;
    if (prefix === 2) page.writeUInt16BE(length, AT_CIPHERTEXT);
    else page.writeUIntBE(length, AT_CIPHERTEXT, 6);
    if (typeof plaintext === 'string') encoder.encodeInto(plaintext, page.subarray(atPlaintext));
    else page.set(plaintext, atPlaintext);
    page.fill(0, atPlaintext + length, atMac);

    const padded = page.subarray(AT_CIPHERTEXT, atMac);
    chacha20(chachaKey, chachaNonce, padded, padded);
    page.set(mac(page, atMac), atMac);
    page[AT_VERSION] = VERSION;
    return page.toString('base64', AT_VERSION, end);
  } finally {
    wipe(messageKeys);
  }
}

function open(keyed: Keyed, payload: string, maxBytes: number): Secret {
  if (payload.length > maxBytes) throw new CipherError('payload too long');
  // NIP-44: reserved for encodings that are not base64.
  if (payload[0] === '#') throw new CipherError('unknown encryption version');
  if (payload.length < MIN_PAYLOAD) throw new CipherError('invalid payload length');
  const page = pageOf(AT_VERSION + Math.ceil((payload.length * 3) / 4));
  const bytes = decodeBase64(payload, page, AT_VERSION);
  if (bytes === -1) throw new CipherError('invalid base64');
  if (bytes < MIN_BYTES) throw new CipherError('invalid payload length');
  if (page[AT_VERSION] !== VERSION) throw new CipherError('unknown encryption version');

  const end = AT_VERSION + bytes;
  const atMac = end - MAC;
  try {
    deriveMessageKeys(keyed, page.subarray(AT_NONCE, AT_CIPHERTEXT));
    if (!timingSafeEqual(mac(page, atMac), page.subarray(atMac, end))) throw new CipherError('invalid MAC');
    const padded = page.subarray(AT_CIPHERTEXT, atMac);
    chacha20(chachaKey, chachaNonce, padded, padded);
    return unpad(padded);
  } finally {
    wipe(messageKeys, page.subarray(AT_CIPHERTEXT, atMac));
  }
}

/** The shared desk for what fits: one message is done with before the next begins. */
function pageOf(size: number): Buffer {
  return size <= DESK_BYTES ? desk : Buffer.from(new ArrayBuffer(size));
}

// Kept and overwritten, like the desk: an allocation outside the heap costs more than a hash.
const messageKeys = newSecret(96);
const chachaKey = messageKeys.subarray(0, 32);
const chachaNonce = messageKeys.subarray(32, 44);
const hmacKey = messageKeys.subarray(44, 76);
const blocks = [messageKeys.subarray(0, 32), messageKeys.subarray(32, 64), messageKeys.subarray(64, 96)] as const;
const counter = new Uint8Array(1);
const worker = sha256.create() as _SHA256;

/** HKDF-expand (RFC 5869) to 76 bytes, of which the third block has 20 over. */
function deriveMessageKeys(keyed: Keyed, nonce: Uint8Array): void {
  for (let i = 0; i < 3; i++) {
    const block = blocks[i]!;
    const inner = keyed.iHash._cloneInto(worker);
    if (i > 0) inner.update(blocks[i - 1]!);
    counter[0] = i + 1;
    inner.update(nonce).update(counter).digestInto(block);
    keyed.oHash._cloneInto(worker).update(block).digestInto(block);
  }
  // Its state is the last block.
  worker.destroy();
}

const outer = Buffer.from(new ArrayBuffer(96));
const tag = Buffer.from(new ArrayBuffer(MAC));

/** HMAC-SHA256 (RFC 2104) of nonce and ciphertext as they lie on the page, before which its key block is written. */
function mac(page: Buffer, end: number): Buffer {
  page.fill(0x36, 32, AT_NONCE);
  outer.fill(0x5c, 32, 64);
  for (let i = 0; i < 32; i++) {
    const byte = hmacKey[i]!;
    page[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  // As strings: node:crypto takes twice as long to give a digest as a Buffer.
  outer.write(hash('sha256', page.subarray(0, end), 'latin1'), 64, 'latin1');
  tag.write(hash('sha256', outer, 'latin1'), 'latin1');
  page.fill(0, 0, AT_NONCE);
  outer.fill(0);
  return tag;
}

function unpad(padded: Buffer): Secret {
  let prefix = 2;
  let length = padded.readUInt16BE(0);
  if (length === 0) {
    prefix = 6;
    length = padded.readUInt32BE(2);
    if (length < LONG) throw new CipherError('invalid padding');
  }
  if (padded.length !== prefix + paddedLength(length)) throw new CipherError('invalid padding');
  const plaintext = newSecret(length);
  plaintext.set(padded.subarray(prefix, prefix + length));
  return plaintext;
}

function prefixBytes(length: number): 2 | 6 {
  return length < LONG ? 2 : 6;
}

/** NIP-44's `calc_padded_len`: to 32 bytes, above that to an eighth of the next power of two, and at least 32. */
export function paddedLength(length: number): number {
  if (length <= 32) return 32;
  const power = 2 ** (32 - Math.clz32(length - 1));
  const chunk = power <= 256 ? 32 : power / 8;
  return chunk * (Math.floor((length - 1) / chunk) + 1);
}
