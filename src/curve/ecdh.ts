import { createECDH, type ECDH } from 'node:crypto';
import { asSecret, type Secret } from '../actor/protocol.ts';

const ONE = new Uint8Array(32);
ONE[31] = 1;

/**
 * ECDH of one private key with x-only public keys, by OpenSSL, for backends whose own multiplication varies in time with
 * the private key. About 0.7 ms; conversation keys are cached.
 */
export function createEcdh(scalar: Secret): { sharedX(pubkey: Uint8Array): Secret; wipe(): void } {
  // Made when first needed: it costs a multiplication of its own.
  let ecdh: ECDH | undefined;
  return {
    sharedX(pubkey) {
      const point = new Uint8Array(33);
      // BIP-340 lift_x: of the two points with this x, the one with even y.
      point[0] = 0x02;
      if (pubkey.length !== 32) throw new RangeError('not a point on the curve');
      point.set(pubkey, 1);
      if (ecdh === undefined) {
        ecdh = createECDH('secp256k1');
        ecdh.setPrivateKey(scalar);
      }
      return asSecret(multiply(ecdh, point));
    },
    wipe() {
      // Setting another key is the only way to have OpenSSL overwrite the old one before the object is collected.
      ecdh?.setPrivateKey(ONE);
      ecdh = undefined;
    },
  };
}

function multiply(ecdh: ECDH, point: Uint8Array): Uint8Array {
  try {
    // A view on the buffer that OpenSSL filled, which is its own and not of Node's pool.
    const shared = ecdh.computeSecret(point);
    return new Uint8Array(shared.buffer, shared.byteOffset, shared.byteLength);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY') throw error;
    throw new RangeError('not a point on the curve');
  }
}
