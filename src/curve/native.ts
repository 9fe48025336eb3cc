import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { Curve, PrivateKey } from './curve.ts';
import { NativeEcdh } from './native-ecdh.ts';
import { loadLibrary, type NativeLibrary, PARSED } from './native-library.ts';
import type { Random } from './random.ts';

/** SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY: old versions need to be told, later ones accept it. */
const CONTEXT_FLAGS = 0x301;
const KEYPAIR = 96;

const ONE = newSecret(32);
ONE[31] = 1;
const ZEROS = new Uint8Array(new ArrayBuffer(32));

/**
 * The system's libsecp256k1 through koffi. Each thread has a context of its own, blinded with random bytes.
 *
 * What the library reads and writes lies in memory that is kept and overwritten here: koffi passes its address and
 * copies nothing. It runs the library on a stack of its own, which `wipe` has overwritten by the same calls on a key
 * that is none.
 *
 * @throws Error in one line when the library, one of its modules or koffi is missing
 */
export function nativeCurve(random: Random, library: NativeLibrary = loadLibrary()): Curve {
  return new Native(library, random);
}

class Native implements Curve {
  readonly name = 'native';
  readonly library: NativeLibrary;
  readonly random: Random;
  readonly context: Uint8Array;
  readonly ecdh: NativeEcdh;
  /** What calls are made with; one at a time. */
  readonly desk: Desk;
  /** The public key that the desk holds in parsed form: parsing takes a square root, and clients ask more than once. */
  readonly #parsed = new Uint8Array(32);
  #hasParsed = false;

  constructor(library: NativeLibrary, random: Random) {
    this.library = library;
    this.random = random;
    this.context = new Uint8Array(new ArrayBuffer(library.contextSize(CONTEXT_FLAGS)));
    library.contextCreate(this.context, CONTEXT_FLAGS);
    const seed = newSecret(32);
    seed.set(random(32));
    const blinded = library.contextRandomize(this.context, seed);
    wipe(seed);
    this.desk = makeDesk();
    this.ecdh = new NativeEcdh(library, this.context);
    if (blinded !== 1 || !this.#knowsItself()) throw new Error(`${library.file} failed its own test`);
  }

  verify(signature: Uint8Array, hash: Uint8Array, pubkey: Uint8Array): boolean {
    if (signature.length !== 64 || hash.length !== 32 || pubkey.length !== 32) return false;
    if (!this.#parse(pubkey)) return false;
    const { desk } = this;
    desk.signature.set(signature);
    desk.hash.set(hash);
    return this.library.verify(this.context, desk.signature, desk.hash, 32, desk.xonly) === 1;
  }

  openKey(privateKey: Secret): PrivateKey {
    return new NativeKey(this, privateKey);
  }

  #parse(pubkey: Uint8Array): boolean {
    if (this.#hasParsed && equal(this.#parsed, pubkey)) return true;
    this.desk.pubkey.set(pubkey);
    this.#parsed.set(pubkey);
    this.#hasParsed = this.library.xonlyParse(this.context, this.desk.xonly, this.desk.pubkey) === 1;
    return this.#hasParsed;
  }

  /** A library that was built wrongly must not be found out by a client. */
  #knowsItself(): boolean {
    const key = this.openKey(ONE);
    const signature = key.sign(ZEROS);
    const holds = this.verify(signature, ZEROS, key.publicKey);
    signature[40]! ^= 1;
    const alsoHolds = this.verify(signature, ZEROS, key.publicKey);
    // The key is 1: what it shares with a point is that point.
    const shares = equal(key.sharedX(key.publicKey), key.publicKey);
    key.wipe();
    return holds && !alsoHolds && shares;
  }
}

class NativeKey implements PrivateKey {
  readonly publicKey: Uint8Array;
  readonly #native: Native;
  readonly #keypair = newSecret(KEYPAIR);
  /** The keypair has the scalar in a form of the library's own; ECDH wants its bytes. */
  readonly #scalar = newSecret(32);
  #open = true;

  constructor(native: Native, privateKey: Secret) {
    const { library, context, desk } = native;
    this.#native = native;
    if (privateKey.length !== 32) throw notAKey();
    this.#scalar.set(privateKey);
    if (library.keypairCreate(context, this.#keypair, this.#scalar) !== 1) {
      wipe(this.#scalar);
      throw notAKey();
    }
    library.keypairXonly(context, desk.own, null, this.#keypair);
    library.xonlySerialize(context, desk.pubkey, desk.own);
    this.publicKey = desk.pubkey.slice();
  }

  sign(hash: Uint8Array): Uint8Array {
    this.#mustBeOpen();
    if (hash.length !== 32) throw new RangeError('a hash has 32 bytes');
    const { library, context, desk, random } = this.#native;
    desk.hash.set(hash);
    desk.aux.set(random(32));
    if (library.sign32(context, desk.signature, desk.hash, this.#keypair, desk.aux) !== 1) {
      throw new Error('libsecp256k1 did not sign');
    }
    return desk.signature.slice();
  }

  sharedX(pubkey: Uint8Array): Secret {
    this.#mustBeOpen();
    return this.#native.ecdh.sharedX(this.#scalar, pubkey);
  }

  wipe(): void {
    if (!this.#open) return;
    this.#open = false;
    const { library, context, desk, ecdh } = this.#native;
    // The same calls with a key that is none write over what the last ones left on the library's stack.
    library.keypairCreate(context, this.#keypair, ONE);
    library.sign32(context, desk.signature, ZEROS, this.#keypair, ZEROS);
    wipe(ecdh.sharedX(ONE, this.publicKey));
    wipe(this.#keypair, this.#scalar, desk.hash, desk.aux);
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new Error('this private key was wiped');
  }
}

interface Desk {
  signature: Uint8Array;
  hash: Uint8Array;
  aux: Uint8Array;
  pubkey: Uint8Array;
  /** Parsed: whose signature is verified, a key's own. */
  xonly: Uint8Array;
  own: Uint8Array;
}

function makeDesk(): Desk {
  const buffer = new ArrayBuffer(512);
  let at = 0;
  const take = (size: number) => {
    const bytes = new Uint8Array(buffer, at, size);
    // Structures of the library begin where the machine likes it.
    at += Math.ceil(size / 16) * 16;
    return bytes;
  };
  return {
    signature: take(64),
    hash: take(32),
    aux: take(32),
    pubkey: take(32),
    xonly: take(PARSED),
    own: take(PARSED),
  };
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) if (a[i] !== b[i]) return false;
  return true;
}

function notAKey(): RangeError {
  return new RangeError('not a private key: must be 32 bytes, from 1 to n - 1');
}
