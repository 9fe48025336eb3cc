import { hash as digest } from 'node:crypto';
import { hashes, schnorr } from '@noble/secp256k1';
import type { Curve } from './curve.ts';
import { openKey } from './open-key.ts';
import type { Random } from './random.ts';

/**
 * @noble/secp256k1, pure JavaScript: runs everywhere, and leaves copies of the key behind in its big integers
 * (docs/SECURITY.md).
 */
export function nobleCurve(random: Random): Curve {
  hashes.sha256 = (message) => new Uint8Array(digest('sha256', message, 'buffer'));
  const arithmetic = { publicKey: schnorr.getPublicKey, sign: schnorr.sign };
  return {
    name: 'noble',
    verify(signature, hash, pubkey) {
      if (signature.length !== 64 || hash.length !== 32 || pubkey.length !== 32) return false;
      return schnorr.verify(signature, hash, pubkey);
    },
    openKey: (privateKey) => openKey(arithmetic, privateKey, random),
  };
}
