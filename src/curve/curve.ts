import type { Secret } from '../actor/protocol.ts';

export type CurveName = 'native' | 'wasm' | 'noble';
/** What the configuration says: `auto` is the fastest that loads. */
export type CurveChoice = CurveName | 'auto';

/** secp256k1 as Nostr uses it: BIP-340 signatures of 32-byte hashes, x-only public keys. */
export interface Curve {
  readonly name: CurveName;
  /** BIP-340. `signature` 64 bytes, `hash` 32, `pubkey` 32; whatever is malformed or does not hold is false. */
  verify(signature: Uint8Array, hash: Uint8Array, pubkey: Uint8Array): boolean;
  /**
   * Copies the 32 bytes of a private key; the caller's own stay the caller's to wipe.
   *
   * @throws RangeError for what is no scalar from 1 to n - 1
   */
  openKey(privateKey: Secret): PrivateKey;
}

/** A private key in use; lives in one worker. */
export interface PrivateKey {
  /** x-only, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** BIP-340 signature (64 bytes) of a 32-byte hash, with fresh auxiliary randomness each time. */
  sign(hash: Uint8Array): Uint8Array;
  /**
   * x of the point shared with an x-only public key (32 bytes, not hashed), as NIP-04 and NIP-44 take it.
   *
   * @throws RangeError `not a point on the curve`
   */
  sharedX(pubkey: Uint8Array): Secret;
  /** Overwrites the key; every later call throws. */
  wipe(): void;
}
