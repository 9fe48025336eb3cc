import { randomFillSync } from 'node:crypto';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { type NativeLibrary, PARSED } from './native-library.ts';

const COMPRESSED = 33;

/**
 * ECDH with x-only public keys by libsecp256k1, in a tenth of the time that OpenSSL takes.
 *
 * The library's own ECDH does not vary in time with the private key d, but calls back into C for each result;
 * its plain multiplication does vary. So d is never multiplied with: it is split into r, which is random and new each
 * time, and d - r. Either is as good as random by itself, and the two products add up to the shared point.
 */
export class NativeEcdh {
  readonly #library: NativeLibrary;
  readonly #context: Uint8Array;
  readonly #compressed = newSecret(COMPRESSED);
  readonly #shares = [newSecret(32), newSecret(32)] as const;
  readonly #points = [newSecret(PARSED), newSecret(PARSED)] as const;
  readonly #sum = newSecret(PARSED);
  readonly #xonly = newSecret(PARSED);

  constructor(library: NativeLibrary, context: Uint8Array) {
    this.#library = library;
    this.#context = context;
  }

  /**
   * @param scalar 32 bytes, from 1 to n - 1
   * @throws RangeError `not a point on the curve`
   */
  sharedX(scalar: Secret, pubkey: Uint8Array): Secret {
    const { pubkeyParse, pubkeyTweakMul, pubkeyCombine, xonlyFromPubkey, xonlySerialize } = this.#library;
    const context = this.#context;
    const [one, other] = this.#points;
    if (pubkey.length !== 32) throw new RangeError('not a point on the curve');
    // BIP-340 lift_x: of the two points with this x, the one with even y.
    this.#compressed[0] = 0x02;
    this.#compressed.set(pubkey, 1);
    if (pubkeyParse(context, one, this.#compressed, COMPRESSED) !== 1) throw new RangeError('not a point on the curve');
    other.set(one);
    this.#split(scalar);
    const [share, rest] = this.#shares;
    const shared = newSecret(32);
    // In this order: the library ends the process when it is handed a point that an earlier call left empty.
    const isDone =
      pubkeyTweakMul(context, one, share) === 1 &&
      pubkeyTweakMul(context, other, rest) === 1 &&
      pubkeyCombine(context, this.#sum, this.#points, 2) === 1 &&
      xonlyFromPubkey(context, this.#xonly, null, this.#sum) === 1 &&
      xonlySerialize(context, shared, this.#xonly) === 1;
    wipe(...this.#shares, ...this.#points, this.#sum, this.#xonly);
    if (!isDone) throw new Error('libsecp256k1 did not multiply');
    return shared;
  }

  /** Draws again what is no scalar, or leaves none: nobody lives to see it. */
  #split(scalar: Secret): void {
    const { seckeyNegate, seckeyTweakAdd } = this.#library;
    const [share, rest] = this.#shares;
    do {
      randomFillSync(share);
      rest.set(share);
    } while (seckeyNegate(this.#context, rest) !== 1 || seckeyTweakAdd(this.#context, rest, scalar) !== 1);
  }
}
