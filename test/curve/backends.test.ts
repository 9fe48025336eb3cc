import { getRandomValues } from 'node:crypto';
import { getSharedSecret } from '@noble/secp256k1';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret, type Secret } from '../../src/actor/protocol.ts';
import type { Curve, CurveName, PrivateKey } from '../../src/curve/curve.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { loadLibrary } from '../../src/curve/native-library.ts';
import { pooledRandom } from '../../src/curve/random.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';
import { lacks } from '../runner/lacks.ts';

const CASES = Number(process.env.REDOUBT_PROPERTY_CASES ?? 200);
const N = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
const N_MINUS_1 = `${N.slice(0, -1)}0`;
/** x = 0, the field's prime and more, and an x that is on no point. */
const NO_POINTS = [new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(32).fill(5)];
const hasNative = !lacks('libsecp256k1');
const NAMES = ['native', 'wasm', 'noble'] as const;
const here = new Set<CurveName>(NAMES.filter((name) => name !== 'native' || hasNative));
const hash = new Uint8Array(32).fill(9);

/** Without the system's library its tests are left out (test/skips.json). */
function testOf(...names: CurveName[]) {
  return names.every((name) => here.has(name)) ? test : test.skip;
}

function secret(hex: string): Secret {
  return asSecret(hexToBytes(hex.padStart(64, '0')));
}

testOf('native')('native: it is taken when none is named', async () => {
  assert.is((await loadCurve()).name, 'native');
});

test('one that does not load is passed over, and told of in one line', async () => {
  const lines: string[] = [];
  const { name } = await loadCurve('auto', pooledRandom(), (line) => lines.push(line));
  assert.is(name, hasNative ? 'native' : 'wasm');
  assert.is(lines.length, hasNative ? 0 : 1);
});

test('a library that is missing, or lacks a module, is refused in one line', () => {
  const message = (files: string[]): string => {
    try {
      return `${loadLibrary(files).file} was loaded`;
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.is(message(['libnowhere.so.7']), 'libsecp256k1 is not installed (docs/INSTALL.md)');
  const other = process.platform === 'darwin' ? '/usr/lib/libSystem.B.dylib' : 'libm.so.6';
  const lacking = message(['libnowhere.so.7', other]);
  assert.match(lacking, `${other} lacks a module: `);
  assert.not(lacking.includes('\n'));
});

const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
/** Scalars and the borders of their range. */
const scalars = fc.oneof(
  { weight: 15, arbitrary: bytes(32) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('0', '1', N_MINUS_1, N, 'f'.repeat(64)).map((hex) => secret(hex) as Uint8Array),
  },
);
const cases = fc.record({
  scalar: scalars,
  other: bytes(32),
  message: bytes(32),
  aux: bytes(32),
  /** Any bytes as a public key: for half of them there is no point. */
  anybody: fc.oneof({ weight: 7, arbitrary: bytes(32) }, { weight: 1, arbitrary: fc.constantFrom(...NO_POINTS) }),
  at: fc.nat(127),
  flip: fc.integer({ min: 1, max: 255 }),
});

for (const [first, second] of [
  ['wasm', 'noble'],
  ['native', 'wasm'],
] as const) {
  testOf(first, second)(
    `${first} and ${second} agree on keys, signatures, verification and shared points`,
    async () => {
      let aux = new Uint8Array(32);
      const load = (name: CurveName) => loadCurve(name, () => aux as Uint8Array<ArrayBuffer>);
      const [one, two] = [await load(first), await load(second)];
      let keys = 0;
      let strangers = 0;
      fc.assert(
        fc.property(cases, (given) => {
          const { scalar, other, message, anybody, at, flip } = given;
          aux = given.aux as Uint8Array<ArrayBuffer>;
          const [ours, theirs] = [opened(one, scalar), opened(two, scalar)];
          const peer = opened(one, other);
          assert.is(ours === null, theirs === null, 'whether it is a private key');
          if (ours === null || theirs === null || peer === null) return;
          keys++;
          assert.equal(ours.publicKey, theirs.publicKey);

          const signature = ours.sign(message);
          assert.equal(signature, theirs.sign(message));
          for (const curve of [one, two]) assert.ok(curve.verify(signature, message, ours.publicKey));

          // One byte of signature, hash or key changed: both say no.
          const input = Buffer.concat([signature, message, ours.publicKey]);
          input[at] = input[at]! ^ flip;
          const changed = [input.subarray(0, 64), input.subarray(64, 96), input.subarray(96)] as const;
          for (const curve of [one, two]) assert.not(curve.verify(...changed));
          for (const curve of [one, two]) assert.not(curve.verify(signature, message, anybody));

          const shared = ours.sharedX(peer.publicKey);
          assert.equal(shared, theirs.sharedX(peer.publicKey));
          assert.equal(shared, peer.sharedX(ours.publicKey));
          const point = sharedWith(ours, anybody);
          assert.equal(point, sharedWith(theirs, anybody));
          if (point !== 'not a point on the curve') strangers++;
          for (const key of [ours, theirs, peer]) key.wipe();
        }),
        { numRuns: CASES },
      );
      assert.ok(keys > CASES / 2, `${keys} were keys`);
      assert.ok(strangers > CASES / 8 && strangers < keys, `${strangers} were points`);
    },
  );
}

test('shared points are those of another implementation', () => {
  for (let i = 0; i < 20; i++) {
    const [k, other] = [getRandomValues(new Uint8Array(32)), getRandomValues(new Uint8Array(32))];
    for (const curve of curves.values()) {
      const pubkey = curve.openKey(asSecret(other)).publicKey;
      const reference = getSharedSecret(k, Uint8Array.of(2, ...pubkey)).slice(1, 33);
      assert.is(bytesToHex(curve.openKey(asSecret(k)).sharedX(pubkey)), bytesToHex(reference), curve.name);
    }
  }
});

function opened(curve: Curve, scalar: Uint8Array): PrivateKey | null {
  try {
    return curve.openKey(asSecret(scalar));
  } catch (error) {
    if (isRangeError(error)) return null;
    throw error;
  }
}

function sharedWith(key: PrivateKey, pubkey: Uint8Array): Uint8Array | string {
  try {
    return key.sharedX(pubkey);
  } catch (error) {
    if (isRangeError(error)) return (error as Error).message;
    throw error;
  }
}

const curves = new Map<CurveName, Curve>();
test.before(async () => {
  for (const name of here) curves.set(name, await loadCurve(name));
});

for (const name of NAMES) {
  const test = testOf(name);
  const only = () => curves.get(name)!;

  test(`${name}: only scalars from 1 to n - 1 are private keys`, () => {
    const curve = only();
    for (const good of ['1', N_MINUS_1, `${'f'.repeat(31)}e`]) curve.openKey(secret(good));
    const beyond = [`${N.slice(0, -1)}2`, `${N.slice(0, 30)}ff${N.slice(32)}`, 'f'.repeat(64)];
    for (const bad of ['0', N, ...beyond]) assert.throws(() => curve.openKey(secret(bad)), isRangeError, bad);
    for (const size of [0, 31, 33]) {
      assert.throws(() => curve.openKey(asSecret(new Uint8Array(size).fill(1))), isRangeError);
    }
  });

  test(`${name}: malformed input to verify is false, never an exception`, () => {
    const curve = only();
    const key = curve.openKey(secret('3'));
    const signature = key.sign(hash);
    assert.ok(curve.verify(signature, hash, key.publicKey));
    for (const size of [0, 63, 65]) assert.not(curve.verify(resized(signature, size), hash, key.publicKey));
    for (const size of [0, 31, 33]) assert.not(curve.verify(signature, resized(hash, size), key.publicKey));
    for (const size of [0, 31, 33]) assert.not(curve.verify(signature, hash, resized(key.publicKey, size)));
    for (const fill of [0, 255]) assert.not(curve.verify(new Uint8Array(64).fill(fill), hash, key.publicKey));
    for (const fill of [0, 255]) assert.not(curve.verify(signature, hash, new Uint8Array(32).fill(fill)));
  });

  test(`${name}: any number of public keys that are no points leave it as good as it was`, () => {
    const curve = only();
    const key = curve.openKey(secret('3'));
    const signature = key.sign(hash);
    // 3,400 were enough to end a backend.
    for (let n = 0; n < 5_000; n++) assert.not(curve.verify(signature, hash, NO_POINTS[n % NO_POINTS.length]!));
    assert.ok(curve.verify(signature, hash, key.publicKey));
    assert.ok(curve.verify(curve.openKey(secret('5')).sign(hash), hash, curve.openKey(secret('5')).publicKey));
  });

  test(`${name}: each signature has randomness of its own`, () => {
    const curve = only();
    const key = curve.openKey(secret('3'));
    const signatures = Array.from({ length: 8 }, () => bytesToHex(key.sign(hash)));
    assert.is(new Set(signatures).size, 8);
    for (const signature of signatures) assert.ok(curve.verify(hexToBytes(signature), hash, key.publicKey));
  });

  test(`${name}: only 32-byte hashes are signed`, () => {
    const curve = only();
    const key = curve.openKey(secret('3'));
    for (const size of [0, 31, 33]) assert.throws(() => key.sign(new Uint8Array(size)), isRangeError);
  });

  test(`${name}: what is no point has no shared x`, () => {
    const curve = only();
    const key = curve.openKey(secret('3'));
    const notOnCurve = [new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(31), new Uint8Array(33)];
    for (const pubkey of notOnCurve) {
      assert.throws(
        () => key.sharedX(pubkey),
        (error: Error) => isRangeError(error) && error.message === 'not a point on the curve',
      );
    }
    // The key is as good as before.
    assert.is(key.sharedX(curve.openKey(secret('5')).publicKey).length, 32);
  });

  test(`${name}: the key is a copy; wiping ends it and leaves the caller's bytes alone`, () => {
    const curve = only();
    const bytes = secret('7');
    const key = curve.openKey(bytes);
    const { publicKey } = key;
    bytes.fill(0);
    assert.ok(curve.verify(key.sign(hash), hash, publicKey));
    key.sharedX(publicKey);

    const kept = secret('7');
    const second = curve.openKey(kept);
    key.wipe();
    second.wipe();
    assert.equal(kept, secret('7'));
    assert.throws(() => key.sign(hash), /wiped/);
    assert.throws(() => key.sharedX(publicKey), /wiped/);
    key.wipe();
  });
}

test('pooled randomness is never handed out twice, and fetched for many at once', () => {
  let fetches = 0;
  const random = pooledRandom((bytes) => {
    fetches++;
    getRandomValues(bytes as Uint8Array<ArrayBuffer>);
  });
  const seen = new Set(Array.from({ length: 1000 }, () => bytesToHex(random(32))));
  assert.is(seen.size, 1000);
  assert.ok(fetches < 10, `${fetches} fetches`);
  assert.is(random(5000).length, 5000);
  assert.ok(random(5000).some((byte) => byte !== 0));
});

function resized(bytes: Uint8Array, size: number): Uint8Array {
  const other = new Uint8Array(size);
  other.set(bytes.subarray(0, size));
  return other;
}

function isRangeError(error: unknown): boolean {
  return error instanceof RangeError;
}

test.run();
