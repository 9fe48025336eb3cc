import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';
import { lacks } from '../runner/lacks.ts';

const lacksNative = lacks('libsecp256k1');

/** The official vectors of BIP-340; those with a message of another length than 32 bytes are no Nostr event. */
const vectors = readFileSync(new URL('../vectors/bip340.csv', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => {
    const [index, secret, pubkey, aux, message, signature, result, ...comment] = line.trim().split(',') as string[];
    const [k, p, a, m, s] = [secret, pubkey, aux, message, signature].map((hex) => hexToBytes(hex!.toLowerCase()));
    return { name: `${index} ${comment.join(',')}`, k: k!, p: p!, a: a!, m: m!, s: s!, holds: result === 'TRUE' };
  })
  .filter(({ m }) => m.length === 32);

for (const name of ['native', 'wasm', 'noble'] as const) {
  const check = name === 'native' && lacksNative ? test.skip : test;
  check(`${name} verifies as the vectors say`, async () => {
    const curve = await loadCurve(name);
    assert.is(curve.name, name);
    assert.is(vectors.filter(({ holds }) => holds).length, 5);
    assert.is(vectors.filter(({ holds }) => !holds).length, 10);
    for (const { name, s, m, p, holds } of vectors) assert.is(curve.verify(s, m, p), holds, name);
  });

  check(`${name} signs as the vectors say`, async () => {
    const signing = vectors.filter(({ k }) => k.length === 32);
    assert.is(signing.length, 4);
    for (const { name: vector, k, p, a, m, s } of signing) {
      const curve = await loadCurve(name, () => a);
      const key = curve.openKey(asSecret(k));
      assert.is(bytesToHex(key.publicKey), bytesToHex(p), vector);
      assert.is(bytesToHex(key.sign(m)), bytesToHex(s), vector);
    }
  });
}

test.run();
