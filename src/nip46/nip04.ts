/** NIP-04: AES-256-CBC under the shared x itself. Not authenticated; kept for clients that know nothing else. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { decodeBase64 } from './base64.ts';
import { CipherError } from './cipher-error.ts';
import { mustNotBeWiped } from './not-wiped.ts';

const CIPHER = 'aes-256-cbc';
const BLOCK = 16;
const SEPARATOR = '?iv=';

/**
 * `<ciphertext>?iv=<iv>`, both in base64.
 *
 * @param iv 16 bytes that were never used before, random when left out
 */
export function encrypt(plaintext: Uint8Array | string, sharedX: Secret, iv: Uint8Array = randomBytes(BLOCK)): string {
  mustNotBeWiped(sharedX);
  const cipher = createCipheriv(CIPHER, sharedX, iv);
  const head = typeof plaintext === 'string' ? cipher.update(plaintext, 'utf8') : cipher.update(plaintext);
  const ciphertext = Buffer.concat([head, cipher.final()]);
  return `${ciphertext.toString('base64')}${SEPARATOR}${Buffer.from(iv).toString('base64')}`;
}

/**
 * The bytes of the plaintext, which are not checked to be UTF-8.
 *
 * @param maxBytes longest payload to look at, in characters
 * @throws CipherError
 */
export function decrypt(payload: string, sharedX: Secret, maxBytes: number): Secret {
  if (payload.length > maxBytes) throw new CipherError('payload too long');
  const at = payload.indexOf(SEPARATOR);
  if (at === -1) throw new CipherError('missing iv');
  const ciphertext = bytesOf(payload.slice(0, at));
  const iv = bytesOf(payload.slice(at + SEPARATOR.length));
  if (iv.length !== BLOCK) throw new CipherError('invalid iv');
  if (ciphertext.length === 0 || ciphertext.length % BLOCK !== 0) throw new CipherError('invalid payload length');

  mustNotBeWiped(sharedX);
  const decipher = createDecipheriv(CIPHER, sharedX, iv);
  const head = decipher.update(ciphertext);
  let tail: Buffer | undefined;
  try {
    tail = decipher.final();
    const plaintext = newSecret(head.length + tail.length);
    plaintext.set(head);
    plaintext.set(tail, head.length);
    return plaintext;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_OSSL_BAD_DECRYPT') throw error;
    throw new CipherError('invalid padding');
  } finally {
    wipe(head, tail);
  }
}

function bytesOf(base64: string): Buffer {
  const bytes = Buffer.alloc(Math.ceil((base64.length * 3) / 4));
  const length = decodeBase64(base64, bytes, 0);
  if (length === -1) throw new CipherError('invalid base64');
  return bytes.subarray(0, length);
}
