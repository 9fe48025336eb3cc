import { chacha20 } from '@noble/ciphers/chacha.js';
import { expand } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';

/** A NIP-44 payload that `key` (a conversation key) authenticates, and whose padded plaintext is exactly `padded`. */
export function forgeNip44(key: Uint8Array, padded: Uint8Array, nonce = new Uint8Array(32).fill(7)): string {
  const keys = expand(sha256, key, nonce, 76);
  const ciphertext = chacha20(keys.subarray(0, 32), keys.subarray(32, 44), padded);
  const mac = hmac(sha256, keys.subarray(44), Buffer.concat([nonce, ciphertext]));
  return Buffer.concat([Uint8Array.of(2), nonce, ciphertext, mac]).toString('base64');
}
