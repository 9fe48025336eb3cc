import { __initializeContext, isXOnlyPoint, signSchnorr, verifySchnorr, xOnlyPointFromScalar } from 'tiny-secp256k1';
import type { Curve } from './curve.ts';
import { openKey } from './open-key.ts';
import type { Random } from './random.ts';

/**
 * libsecp256k1 compiled to WebAssembly (tiny-secp256k1).
 *
 * The package reads `secp256k1.wasm` from the folder of the module that it is in; a bundle must have a copy of that
 * file beside it. V8 compiles the same bytes once for all threads: a worker loads this in 3 ms from a bundle, 19 ms
 * from node_modules.
 */
export function wasmCurve(random: Random): Curve {
  // Else the first signature pays for it.
  __initializeContext();
  const points = new Points();
  const arithmetic = { publicKey: xOnlyPointFromScalar, sign: signSchnorr, forget };
  return {
    name: 'wasm',
    verify(signature, hash, pubkey) {
      if (!points.has(pubkey)) return false;
      try {
        return verifySchnorr(hash, pubkey, signature);
      } catch (error) {
        // The package throws a TypeError for a wrong length, and r or s out of range.
        if (error instanceof TypeError) return false;
        throw error;
      }
    },
    openKey: (privateKey) => openKey(arithmetic, privateKey, random),
  };
}

/** As many are remembered. */
const MOST_POINTS = 1024;

/**
 * Which public keys are points. To `verifySchnorr` one that is none must not come: the package throws out of the middle
 * of the module, whose stack pointer stays where it was, and some 3,400 times later the module has no stack left and
 * fails at everything. Asking costs a sixth of verifying, so those that are points are remembered.
 */
class Points {
  readonly #known = new Set<string>();

  has(pubkey: Uint8Array): boolean {
    if (pubkey.length !== 32) return false;
    const name = String.fromCharCode(...pubkey);
    if (this.#known.has(name)) return true;
    if (!isXOnlyPoint(pubkey)) return false;
    if (this.#known.size >= MOST_POINTS) this.#known.clear();
    this.#known.add(name);
    return true;
  }
}

const ZEROS = new Uint8Array(32);
const ONE = new Uint8Array(32);
ONE[31] = 1;

/**
 * The package clears its input, but not the stack in the module's memory, where the scalar and the nonce lay: the
 * same calls with a key that is none write over the same places.
 */
function forget(): void {
  xOnlyPointFromScalar(ONE);
  signSchnorr(ZEROS, ONE, ZEROS);
  xOnlyPointFromScalar(ONE);
}
