import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret, type Secret } from '../../src/actor/protocol.ts';
import { nativeCurve } from '../../src/curve/native.ts';
import { loadLibrary, type NativeLibrary } from '../../src/curve/native-library.ts';
import { pooledRandom } from '../../src/curve/random.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';
import { lacks } from '../runner/lacks.ts';

const check = lacks('libsecp256k1') ? test.skip : test;
const N = 2n ** 256n - 0x14551231950b75fc4402da1732fc9bebfn;
const D = 'd1'.repeat(32);

/** The system's library, and the scalars that it is told to multiply points with. */
function watched() {
  const library = loadLibrary();
  const scalars: bigint[] = [];
  /** The memory that they and the points lay in. */
  const memory = new Set<Uint8Array>();
  const pubkeyTweakMul: NativeLibrary['pubkeyTweakMul'] = (context, point, scalar) => {
    scalars.push(BigInt(`0x${bytesToHex(scalar as Uint8Array)}`));
    memory.add(point as Uint8Array).add(scalar as Uint8Array);
    return library.pubkeyTweakMul(context!, point!, scalar!);
  };
  return { library: { ...library, pubkeyTweakMul }, scalars, memory };
}

function secret(hex: string): Secret {
  return asSecret(hexToBytes(hex));
}

check('a point is multiplied with new random shares of the private key, never with the key', () => {
  const { library, scalars, memory } = watched();
  const curve = nativeCurve(pooledRandom(), library);
  const key = curve.openKey(secret(D));
  const peer = curve.openKey(secret('05'.repeat(32))).publicKey;
  scalars.length = 0;
  const shared = Array.from({ length: 20 }, () => bytesToHex(key.sharedX(peer)));
  assert.is(new Set(shared).size, 1);
  assert.is(scalars.length, 40);
  assert.is(new Set(scalars).size, 40);
  for (const bytes of memory) assert.ok(bytes.every((byte) => byte === 0));
  for (let i = 0; i < 40; i += 2) assert.is((scalars[i]! + scalars[i + 1]!) % N, BigInt(`0x${D}`));
});

check('a library that multiplies wrongly is found out before a client does', () => {
  const library = loadLibrary();
  // It forgets the second share.
  const pubkeyCombine: NativeLibrary['pubkeyCombine'] = (context, sum, [one]) =>
    library.pubkeyCombine(context, sum, [one!], 1);
  assert.throws(() => nativeCurve(pooledRandom(), { ...library, pubkeyCombine }), /failed its own test/);
});

check('a product that the library refuses is an error, and nothing is handed on', () => {
  const library = loadLibrary();
  let refuses = false;
  const pubkeyTweakMul: NativeLibrary['pubkeyTweakMul'] = (context, point, scalar) =>
    refuses ? 0 : library.pubkeyTweakMul(context!, point!, scalar!);
  const curve = nativeCurve(pooledRandom(), { ...library, pubkeyTweakMul });
  const key = curve.openKey(secret(D));
  refuses = true;
  assert.throws(() => key.sharedX(key.publicKey), /did not multiply/);
  refuses = false;
  assert.is(key.sharedX(key.publicKey).length, 32);
});

test.run();
