import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { checkHolds, deriveCheck, deriveKek, deriveUnsealingKey, normalize } from '../../src/keystore/derive.ts';
import { parseSealedKey, parseSlots } from '../../src/keystore/schema.ts';
import { associatedData, openSealed, seal } from '../../src/keystore/seal.ts';
import { idHolds, makeSlot } from '../../src/keystore/slot.ts';
import { bytes, LOG_N, newKey, random } from './setup.ts';

const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
const unhex = (value: string) => asSecret(new Uint8Array(Buffer.from(value, 'hex')));

test('a key comes back from its sealed form, and from nothing that differs in any part', () => {
  const { slot, kek } = makeSlot(bytes('correct horse'), LOG_N, random);
  const { privateKey, pubkey } = newKey();
  const unsealingKey = deriveUnsealingKey(kek, pubkey);
  const sealed = seal({ name: 'ätm 7', pubkey, privateKey }, slot, unsealingKey, random(24));
  assert.equal(hex(openSealed({ sealed, slot, unsealingKey })), hex(privateKey));

  const other = makeSlot(bytes('correct horse'), LOG_N, random).slot;
  const wrong = [
    { sealed: { ...sealed, name: 'ätm 8' }, slot, unsealingKey },
    { sealed: { ...sealed, pubkey: newKey().pubkey }, slot, unsealingKey },
    { sealed, slot: { ...slot, salt: other.salt }, unsealingKey },
    { sealed, slot: { ...slot, logN: LOG_N + 1 }, unsealingKey },
    { sealed: { ...sealed, slot: other.id }, slot: { ...slot, id: other.id }, unsealingKey },
    { sealed: { ...sealed, nonce: Buffer.alloc(24).toString('base64') }, slot, unsealingKey },
    { sealed, slot, unsealingKey: asSecret(random(32)) },
  ];
  for (const unsealing of wrong) assert.throws(() => openSealed(unsealing), /^key file is damaged$/);
});

test('docs/KEYSTORE.md has a test vector that holds', () => {
  const document = readFileSync(join(import.meta.dirname, '../../docs/KEYSTORE.md'), 'utf8');
  const json = (title: string) => document.split(`<!-- vector: ${title} -->`)[1]!.split('```json')[1]!.split('```')[0]!;
  const encoded = (title: string) => new TextEncoder().encode(json(title).trim());
  const given = JSON.parse(json('given'));
  const steps = JSON.parse(json('steps'));
  const [slot] = parseSlots(encoded('keystore.json'))!;
  const sealed = parseSealedKey(encoded('key file'))!;

  const kek = deriveKek(bytes(given.passphrase), slot!);
  assert.equal(hex(kek), steps.kek);
  assert.equal(hex(deriveCheck(kek)), steps.check);
  const unsealingKey = deriveUnsealingKey(kek, sealed.pubkey);
  assert.equal(hex(unsealingKey), steps.unsealing_key);
  assert.equal(hex(associatedData(sealed.name, sealed.pubkey, slot!)), steps.associated_data);

  const key = { name: given.name, pubkey: given.pubkey, privateKey: unhex(given.private_key) };
  assert.equal(seal(key, slot!, unsealingKey, unhex(given.nonce)), sealed);
  assert.equal(hex(openSealed({ sealed, slot: slot!, unsealingKey })), given.private_key);

  let calls = 0;
  const made = makeSlot(bytes(given.passphrase), slot!.logN, () => [unhex(given.salt)][calls++]!);
  assert.equal(made.slot, slot);
  assert.ok(checkHolds(made.kek, slot!));
});

test('a slot of ours shows in its id that salt or logN were changed', () => {
  const { slot } = makeSlot(bytes('x'), LOG_N, random);
  assert.ok(idHolds(slot));
  assert.not.ok(idHolds({ ...slot, logN: LOG_N + 1 }));
  assert.not.ok(idHolds({ ...slot, salt: Buffer.from(random(32)).toString('base64') }));
  assert.ok(idHolds({ ...slot, id: 'of-another-form', logN: LOG_N + 1 }));
});

test('a passphrase is normalised to NFKC (vector of NIP-49)', () => {
  const { normalize: vector } = JSON.parse(readFileSync(join(import.meta.dirname, '../vectors/nip49.json'), 'utf8'));
  assert.equal(hex(normalize(unhex(vector.from_utf8_hex))), vector.to_utf8_hex);
  const slot = { salt: Buffer.alloc(32).toString('base64'), logN: LOG_N };
  assert.equal(deriveKek(unhex(vector.from_utf8_hex), slot), deriveKek(unhex(vector.to_utf8_hex), slot));
  assert.throws(
    () => normalize(unhex('c3')),
    (error: Error) => error instanceof RangeError,
  );
});

test('a passphrase in ASCII never becomes a string', () => {
  const { decode } = TextDecoder.prototype;
  const { normalize: normalizeString } = String.prototype;
  const seen: string[] = [];
  TextDecoder.prototype.decode = function (this: TextDecoder, ...args) {
    seen.push('decode');
    return decode.apply(this, args);
  };
  String.prototype.normalize = function (this: string, ...args: []) {
    seen.push('normalize');
    return normalizeString.apply(this, args);
  };
  try {
    assert.equal(hex(normalize(bytes('plain ASCII ~ \x01'))), hex(bytes('plain ASCII ~ \x01')));
    assert.equal(seen, []);
    normalize(bytes('ﬁ'));
    assert.equal(seen, ['decode', 'normalize']);
  } finally {
    TextDecoder.prototype.decode = decode;
    String.prototype.normalize = normalizeString;
  }
});

test.run();
