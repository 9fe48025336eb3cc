import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { Random } from '../curve/random.ts';
import { stretch } from './derive.ts';
import { isLogN, MAX_LOG_N, MIN_LOG_N } from './schema.ts';

const VERSION = 2;
const LENGTH = 91;
/** Where the parts lie: version, logN, salt (16), nonce (24), key security byte, ciphertext (48). */
const SALT = 2;
const NONCE = 18;
const SECURITY = 42;
const CIPHERTEXT = 43;
/** "The client does not track whether the key was handled insecurely." */
const UNTRACKED = 2;

/** logN of a NIP-49 payload (the bytes inside an ncryptsec), or why it is none that we open. */
export function readNcryptsec(payload: Uint8Array): { ok: true; logN: number } | { ok: false; refusal: string } {
  if (payload.length !== LENGTH || payload[0] !== VERSION) {
    return { ok: false, refusal: 'this ncryptsec is not of NIP-49 version 2: export the key again' };
  }
  const logN = payload[1]!;
  if (isLogN(logN)) return { ok: true, logN };
  return { ok: false, refusal: `this ncryptsec has a scrypt log_n that is not from ${MIN_LOG_N} to ${MAX_LOG_N}` };
}

/**
 * The private key in a payload that `readNcryptsec` accepted, for the caller to wipe; null when the passphrase is
 * wrong (or the payload was changed: NIP-49 cannot tell).
 */
export function openNcryptsec(payload: Uint8Array, passphrase: Secret): Secret | null {
  const key = stretch(passphrase, payload.subarray(SALT, NONCE), payload[1]!);
  const privateKey = newSecret(32);
  try {
    const cipher = xchacha20poly1305(key, payload.subarray(NONCE, SECURITY), payload.subarray(SECURITY, CIPHERTEXT));
    cipher.decrypt(payload.subarray(CIPHERTEXT), privateKey);
    return privateKey;
  } catch {
    wipe(privateKey);
    return null;
  } finally {
    wipe(key);
  }
}

/** A NIP-49 payload of a private key, 91 bytes. */
export function sealNcryptsec(privateKey: Secret, passphrase: Secret, logN: number, random: Random): Secret {
  const payload = newSecret(LENGTH);
  payload[0] = VERSION;
  payload[1] = logN;
  payload.set(random(16), SALT);
  payload.set(random(24), NONCE);
  payload[SECURITY] = UNTRACKED;
  const key = stretch(passphrase, payload.subarray(SALT, NONCE), logN);
  const ciphertext = newSecret(48);
  try {
    const cipher = xchacha20poly1305(key, payload.subarray(NONCE, SECURITY), payload.subarray(SECURITY, CIPHERTEXT));
    cipher.encrypt(privateKey, ciphertext);
    payload.set(ciphertext, CIPHERTEXT);
    return payload;
  } finally {
    wipe(key);
  }
}
