import { isAscii, isUtf8 } from 'node:buffer';
import { hkdfSync, scryptSync, timingSafeEqual } from 'node:crypto';
import { asSecret, newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { derivationBytes } from './derivation-bytes.ts';
import type { Slot } from './protocol.ts';
import { decodeBase64, isLogN } from './schema.ts';

const KEY_INFO = new TextEncoder().encode('redoubt key v1');
const CHECK_INFO = new TextEncoder().encode('redoubt check v1');
const NO_SALT = new Uint8Array(0);

/**
 * The key-encryption key of a slot: scrypt(NFKC(passphrase), salt), 32 bytes. Blocks the thread, which is what the
 * pool's threads are for: the asynchronous form would fill libuv's few threads, and with them every name look-up and
 * file access of the process.
 *
 * @throws RangeError when the passphrase is not UTF-8 text
 */
export function deriveKek(passphrase: Secret, slot: Pick<Slot, 'salt' | 'logN'>): Secret {
  return stretch(passphrase, decodeBase64(slot.salt, 32)!, slot.logN);
}

/** scrypt over a normalised passphrase with r = 8, p = 1, as slots and NIP-49 use it. */
export function stretch(passphrase: Secret, salt: Uint8Array, logN: number): Secret {
  if (!isLogN(logN)) throw new RangeError('logN must be from 14 to 22');
  const normalized = normalize(passphrase);
  try {
    // Node's own bound, 32 MiB, is below what N = 2^17 takes.
    const maxmem = derivationBytes(logN) + 2 ** 20;
    return ownBytes(scryptSync(normalized, salt, 32, { N: 2 ** logN, r: 8, p: 1, maxmem }));
  } finally {
    wipe(normalized);
  }
}

/** What opens one key: HKDF-SHA256(KEK, info = "redoubt key v1" || pubkey). `pubkey` in hex. */
export function deriveUnsealingKey(kek: Secret, pubkey: string): Secret {
  const info = new Uint8Array(KEY_INFO.length + 32);
  info.set(KEY_INFO);
  info.set(Buffer.from(pubkey, 'hex'), KEY_INFO.length);
  return asSecret(new Uint8Array(hkdfSync('sha256', kek, NO_SALT, info, 32)));
}

/** What keystore.json knows the KEK by: HKDF-SHA256(KEK, info = "redoubt check v1"), 32 bytes, public. */
export function deriveCheck(kek: Secret): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', kek, NO_SALT, CHECK_INFO, 32));
}

export function checkHolds(kek: Secret, slot: Slot): boolean {
  return timingSafeEqual(deriveCheck(kek), decodeBase64(slot.check, 32)!);
}

/**
 * NFKC of a passphrase in UTF-8. Text in ASCII is its own normal form and is copied byte for byte; anything else has
 * to pass through a string, which JavaScript cannot overwrite (docs/KEYSTORE.md).
 */
export function normalize(passphrase: Secret): Secret {
  if (isAscii(passphrase)) {
    const copy = newSecret(passphrase.length);
    copy.set(passphrase);
    return copy;
  }
  if (!isUtf8(passphrase)) throw new RangeError('a passphrase must be UTF-8 text');
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(passphrase).normalize('NFKC');
  const bytes = newSecret(Buffer.byteLength(text));
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}

/** A view on bytes that node:crypto made for us: they are in a buffer of their own, not in Node's pool. */
function ownBytes(bytes: Buffer): Secret {
  return asSecret(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
