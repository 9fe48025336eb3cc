import { getRandomValues } from 'node:crypto';
import { getSharedSecret } from '@noble/secp256k1';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret, type Secret } from '../../src/actor/protocol.ts';
import type { Curve } from '../../src/curve/curve.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { pooledRandom } from '../../src/curve/random.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';

const CASES = Number(process.env.REDOUBT_PROPERTY_CASES ?? 200);
const N = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
const N_MINUS_1 = `${N.slice(0, -1)}0`;
const backends = await Promise.all([loadCurve('wasm'), loadCurve('noble')]);
const hash = new Uint8Array(32).fill(9);

function secret(hex: string): Secret {
  return asSecret(hexToBytes(hex.padStart(64, '0')));
}

test('the fastest backend is taken when none is named', async () => {
  assert.is((await loadCurve()).name, 'wasm');
});

test('a backend that is not here is refused in one line that names those that are', async () => {
  try {
    await loadCurve('native');
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'there is no curve backend native here: use wasm or noble');
  }
});

test('the backends agree on keys, signatures, verification and shared points', async () => {
  const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
  let aux = new Uint8Array(32);
  const [wasm, noble] = (await Promise.all([loadCurve('wasm', () => aux), loadCurve('noble', () => aux)])) as [
    Curve,
    Curve,
  ];
  fc.assert(
    fc.property(
      bytes(32),
      bytes(32),
      bytes(32),
      bytes(32),
      fc.nat(127),
      fc.integer({ min: 1, max: 255 }),
      (k, other, message, randomness, at, flip) => {
        aux = randomness as Uint8Array<ArrayBuffer>;
        fc.pre(isOpenable(wasm, k) && isOpenable(noble, k) && isOpenable(wasm, other));
        const ours = wasm.openKey(asSecret(k));
        const theirs = noble.openKey(asSecret(k));
        const peer = wasm.openKey(asSecret(other));
        assert.equal(ours.publicKey, theirs.publicKey);

        const signature = ours.sign(message);
        assert.equal(signature, theirs.sign(message));
        assert.ok(wasm.verify(signature, message, ours.publicKey));
        assert.ok(noble.verify(signature, message, ours.publicKey));

        // One byte of signature, hash or key changed: both say no.
        const input = Buffer.concat([signature, message, ours.publicKey]);
        input[at] = input[at]! ^ flip;
        const changed = [input.subarray(0, 64), input.subarray(64, 96), input.subarray(96)] as const;
        assert.not(wasm.verify(...changed));
        assert.not(noble.verify(...changed));

        const shared = ours.sharedX(peer.publicKey);
        assert.equal(shared, peer.sharedX(ours.publicKey));
        const reference = getSharedSecret(k, Uint8Array.of(2, ...peer.publicKey)).slice(1, 33);
        assert.is(bytesToHex(shared), bytesToHex(reference));
      },
    ),
    { numRuns: CASES },
  );
});

function isOpenable(curve: Curve, bytes: Uint8Array): boolean {
  try {
    curve.openKey(asSecret(bytes));
    return true;
  } catch {
    return false;
  }
}

for (const curve of backends) {
  test(`${curve.name}: only scalars from 1 to n - 1 are private keys`, () => {
    for (const good of ['1', N_MINUS_1, `${'f'.repeat(31)}e`]) curve.openKey(secret(good));
    const beyond = [`${N.slice(0, -1)}2`, `${N.slice(0, 30)}ff${N.slice(32)}`, 'f'.repeat(64)];
    for (const bad of ['0', N, ...beyond]) assert.throws(() => curve.openKey(secret(bad)), isRangeError, bad);
    for (const size of [0, 31, 33]) {
      assert.throws(() => curve.openKey(asSecret(new Uint8Array(size).fill(1))), isRangeError);
    }
  });

  test(`${curve.name}: malformed input to verify is false, never an exception`, () => {
    const key = curve.openKey(secret('3'));
    const signature = key.sign(hash);
    assert.ok(curve.verify(signature, hash, key.publicKey));
    for (const size of [0, 63, 65]) assert.not(curve.verify(resized(signature, size), hash, key.publicKey));
    for (const size of [0, 31, 33]) assert.not(curve.verify(signature, resized(hash, size), key.publicKey));
    for (const size of [0, 31, 33]) assert.not(curve.verify(signature, hash, resized(key.publicKey, size)));
    for (const fill of [0, 255]) assert.not(curve.verify(new Uint8Array(64).fill(fill), hash, key.publicKey));
    for (const fill of [0, 255]) assert.not(curve.verify(signature, hash, new Uint8Array(32).fill(fill)));
  });

  test(`${curve.name}: each signature has randomness of its own`, () => {
    const key = curve.openKey(secret('3'));
    const signatures = Array.from({ length: 8 }, () => bytesToHex(key.sign(hash)));
    assert.is(new Set(signatures).size, 8);
    for (const signature of signatures) assert.ok(curve.verify(hexToBytes(signature), hash, key.publicKey));
  });

  test(`${curve.name}: only 32-byte hashes are signed`, () => {
    const key = curve.openKey(secret('3'));
    for (const size of [0, 31, 33]) assert.throws(() => key.sign(new Uint8Array(size)), isRangeError);
  });

  test(`${curve.name}: what is no point has no shared x`, () => {
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

  test(`${curve.name}: the key is a copy; wiping ends it and leaves the caller's bytes alone`, () => {
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
