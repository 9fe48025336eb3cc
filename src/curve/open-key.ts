import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { PrivateKey } from './curve.ts';
import { createEcdh } from './ecdh.ts';
import type { Random } from './random.ts';

/** What a backend must bring to hold a key; `scalar` is 32 bytes, known to be from 1 to n - 1. */
export interface KeyArithmetic {
  publicKey(scalar: Secret): Uint8Array;
  /** BIP-340 with this auxiliary randomness (32 bytes). */
  sign(hash: Uint8Array, scalar: Secret, aux: Uint8Array): Uint8Array;
  /** Overwrites what the last calls left in memory of the backend's own. */
  forget?(): void;
}

/** n, the order of the group (SEC 2, 2.4.1). */
const ORDER = Buffer.from('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 'hex');

/** The part of holding a private key that is the same for every backend. */
export function openKey(arithmetic: KeyArithmetic, privateKey: Secret, random: Random): PrivateKey {
  if (!isScalar(privateKey)) throw new RangeError('not a private key: must be 32 bytes, from 1 to n - 1');
  const scalar = newSecret(32);
  scalar.set(privateKey);
  const ecdh = createEcdh(scalar);
  let open = true;
  const mustBeOpen = () => {
    if (!open) throw new Error('this private key was wiped');
  };

  return {
    publicKey: arithmetic.publicKey(scalar),
    sign(hash) {
      mustBeOpen();
      if (hash.length !== 32) throw new RangeError('a hash has 32 bytes');
      return arithmetic.sign(hash, scalar, random(32));
    },
    sharedX(pubkey) {
      mustBeOpen();
      return ecdh.sharedX(pubkey);
    },
    wipe() {
      open = false;
      wipe(scalar);
      ecdh.wipe();
      arithmetic.forget?.();
    },
  };
}

/** 0 < bytes < n, by subtraction over all bytes, so that its time says nothing about the key. */
function isScalar(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  let borrow = 0;
  let any = 0;
  for (let i = 31; i >= 0; i--) {
    borrow = ((bytes[i]! - ORDER[i]! - borrow) >> 8) & 1;
    any |= bytes[i]!;
  }
  return borrow === 1 && any !== 0;
}
