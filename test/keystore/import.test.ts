import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import * as nip19 from 'nostr-tools/nip19';
import * as nip49 from 'nostr-tools/nip49';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret, type Secret } from '../../src/actor/protocol.ts';
import { exportKey } from '../../src/keystore/export.ts';
import { openImport, parseImport } from '../../src/keystore/import.ts';
import { bytes, LOG_N, newKey, random } from './setup.ts';

const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
const ascii = (value: Uint8Array) => Buffer.from(value).toString('latin1');
const vectors = JSON.parse(readFileSync(join(import.meta.dirname, '../vectors/nip49.json'), 'utf8'));

function read(text: string, password?: string): string {
  const imported = parseImport(bytes(text));
  if (!imported.ok) return imported.refusal;
  const opened = openImport(imported, password === undefined ? undefined : bytes(password));
  return opened.ok ? hex(opened.privateKey) : opened.refusal;
}

test('NIP-49 vectors open, and no other passphrase opens them', () => {
  for (const { ncryptsec, password, secret_key } of vectors.decrypt) {
    assert.equal(read(ncryptsec, password), secret_key);
    assert.equal(read(ncryptsec, `${password} `), 'wrong passphrase of the ncryptsec');
    assert.match(read(ncryptsec), /passphrase of its own/);
  }
});

test('an ncryptsec goes to nostr-tools and comes back, with the passphrase in any normal form', () => {
  const { privateKey } = newKey();
  const form = { form: 'ncryptsec', passphrase: bytes('ÅΩṩ'.normalize('NFD')), logN: LOG_N } as const;
  const ours = ascii(exportKey(privateKey, form, random));
  assert.equal(hex(nip49.decrypt(ours, 'ÅΩṩ')), hex(privateKey));
  assert.equal(read(nip49.encrypt(privateKey, 'ÅΩṩ', LOG_N), 'ÅΩṩ'.normalize('NFD')), hex(privateKey));
});

test('scrypt parameters of an ncryptsec are checked before they are used', () => {
  const payload = Buffer.alloc(91);
  payload[0] = 2;
  for (const logN of [0, 13, 23, 31, 255]) {
    payload[1] = logN;
    assert.match(read(nip19.encodeBytes('ncryptsec', payload), 'x'), /log_n that is not from 14 to 22/);
  }
  payload[0] = 1;
  payload[1] = 16;
  assert.match(read(nip19.encodeBytes('ncryptsec', payload), 'x'), /not of NIP-49 version 2/);
  assert.match(read(nip19.encodeBytes('ncryptsec', payload.subarray(1)), 'x'), /not of NIP-49 version 2/);
});

test('nsec and hex, both ways, as nostr-tools writes and reads them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (value) => {
      const privateKey = asSecret(value) as Secret;
      const nsec = nip19.nsecEncode(value);
      assert.equal(ascii(exportKey(privateKey, { form: 'nsec' }, random)), nsec);
      assert.equal(ascii(exportKey(privateKey, { form: 'hex' }, random)), hex(value));
      for (const text of [nsec, nsec.toUpperCase(), `\n ${nsec}\r\n`, hex(value), hex(value).toUpperCase()]) {
        assert.equal(read(text), hex(value));
      }
    }),
    { numRuns: 200 },
  );
});

test('one wrong character in an nsec is noticed', () => {
  const nsec = nip19.nsecEncode(newKey().privateKey);
  for (let i = 0; i < nsec.length; i++) {
    const wrong = nsec[i] === 'q' ? 'p' : 'q';
    assert.match(read(nsec.slice(0, i) + wrong + nsec.slice(i + 1)), /cannot be read/, `character ${i}`);
  }
});

test('what is no private key is refused, and never quoted', () => {
  const { privateKey, pubkey } = newKey();
  const nsec = nip19.nsecEncode(privateKey);
  const refused: [string, RegExp][] = [
    ['', /cannot be read/],
    ['   ', /cannot be read/],
    ['1', /cannot be read/],
    ['nsec1', /cannot be read/],
    [hex(privateKey).slice(1), /cannot be read/],
    [`${hex(privateKey)}0`, /cannot be read/],
    [hex(privateKey).replace(/.$/, 'g'), /cannot be read/],
    [nsec.slice(0, 10) + nsec.slice(10).toUpperCase(), /cannot be read/],
    [nip19.npubEncode(pubkey), /public key \(npub\)/],
    [nip19.noteEncode(pubkey), /cannot be read/],
    [nip19.encodeBytes('nsec', privateKey.slice(1)), /nsec of the wrong length/],
    ['x'.repeat(100_000), /cannot be read/],
  ];
  for (const [text, expected] of refused) {
    const answer = read(text);
    assert.match(answer, expected);
    assert.not.ok(text.length > 4 && answer.includes(text.trim().slice(4, 14)), 'quotes what it was given');
  }
});

test.run();
