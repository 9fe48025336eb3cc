import fc from 'fast-check';
import * as nostrTools from 'nostr-tools/nip04';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { CipherError, type CipherRefusal } from '../../src/nip46/cipher-error.ts';
import { bytesToHex } from '../../src/nip46/hex.ts';
import { decrypt, encrypt } from '../../src/nip46/nip04.ts';

const CASES = Number(process.env.REDOUBT_PROPERTY_CASES ?? 200);
const MAX = 262_144;
const curve = await loadCurve();
const ourBytes = new Uint8Array(32).fill(3);
const theirBytes = new Uint8Array(32).fill(5);
const ours = curve.openKey(asSecret(ourBytes));
const theirs = curve.openKey(asSecret(theirBytes));
const shared = ours.sharedX(theirs.publicKey);

function text(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

function refused(refusal: CipherRefusal): (error: unknown) => boolean {
  return (error) => error instanceof CipherError && error.refusal === refusal && error.message === refusal;
}

test('nostr-tools reads ours and we read its', () => {
  for (const plaintext of ['', 'x', 'x'.repeat(15), 'x'.repeat(16), 'x'.repeat(17), 'naïve 😀', 'x'.repeat(100_000)]) {
    assert.is(nostrTools.decrypt(theirBytes, bytesToHex(ours.publicKey), encrypt(plaintext, shared)), plaintext);
    const payload = nostrTools.encrypt(theirBytes, bytesToHex(ours.publicKey), plaintext) as string;
    assert.is(text(decrypt(payload, shared, MAX)), plaintext);
  }
});

test('what was encrypted is what is decrypted, given as text or as bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (plaintext) => {
      assert.is(text(decrypt(encrypt(plaintext, shared), shared, MAX)), plaintext);
      assert.is(text(decrypt(encrypt(new TextEncoder().encode(plaintext), shared), shared, MAX)), plaintext);
    }),
    { numRuns: CASES },
  );
});

test('the iv is the one that is given, else never the same', () => {
  const iv = new Uint8Array(16).fill(1);
  assert.is(encrypt('x', shared, iv), encrypt('x', shared, iv));
  assert.is(encrypt('x', shared, iv).split('?iv=')[1], 'AQEBAQEBAQEBAQEBAQEBAQ==');
  const ivs = Array.from({ length: 100 }, () => encrypt('x', shared).split('?iv=')[1]);
  assert.is(new Set(ivs).size, 100);
});

test('a malformed payload is refused by name', () => {
  const [ciphertext, iv] = encrypt('attack at dawn', shared).split('?iv=') as [string, string];
  const bad: [CipherRefusal, string][] = [
    ['missing iv', ciphertext],
    ['missing iv', ''],
    ['invalid iv', `${ciphertext}?iv=`],
    ['invalid iv', `${ciphertext}?iv=AAAA`],
    ['invalid base64', `${ciphertext}?iv=${iv}?iv=${iv}`],
    ['invalid base64', `${ciphertext}?iv=${iv.replace(/=+$/, '')}`],
    ['invalid base64', `${ciphertext.slice(0, -2)}!!?iv=${iv}`],
    ['invalid base64', ` ${ciphertext}?iv=${iv}`],
    ['invalid payload length', `?iv=${iv}`],
    ['invalid payload length', `AAAA?iv=${iv}`],
  ];
  for (const [refusal, payload] of bad) assert.throws(() => decrypt(payload, shared, MAX), refused(refusal), payload);
});

test('padding that does not hold is refused', () => {
  // The last block's padding is flipped by flipping the block before it, here the iv: 14 letters, so twice 0x02.
  const payload = encrypt('attack at dawn', shared, new Uint8Array(16));
  const iv = Buffer.alloc(16);
  iv[15] = 0x40;
  const changed = `${payload.split('?iv=')[0]}?iv=${iv.toString('base64')}`;
  assert.throws(() => decrypt(changed, shared, MAX), refused('invalid padding'));
});

test('a wiped key encrypts nothing and decrypts nothing', () => {
  const payload = encrypt('attack at dawn', shared);
  const wiped = asSecret(new Uint8Array(32));
  assert.throws(() => encrypt('attack at dawn', wiped), 'this key was wiped');
  assert.throws(() => decrypt(payload, wiped, MAX), 'this key was wiped');
});

test('the size of a payload is bounded before it is decoded', () => {
  const payload = encrypt('x'.repeat(1000), shared);
  for (const more of [0, 1]) assert.is(decrypt(payload, shared, payload.length + more).length, 1000);
  assert.throws(() => decrypt(payload, shared, payload.length - 1), refused('payload too long'));
});

test.run();
