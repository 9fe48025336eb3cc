/**
 * Every invalid vector of NIP-44 and BIP-340, and every way to spoil the one of NIP-49, is refused under the name that
 * is written here beside it: a vector that is refused for another reason tests nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as nip19 from 'nostr-tools/nip19';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret, type Secret } from '../../src/actor/protocol.ts';
import type { CurveName } from '../../src/curve/curve.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { openImport, parseImport } from '../../src/keystore/import.ts';
import { CipherError } from '../../src/nip46/cipher-error.ts';
import { eventId } from '../../src/nip46/event.ts';
import { hexToBytes } from '../../src/nip46/hex.ts';
import * as nip44 from '../../src/nip46/nip44.ts';
import { isGenuine } from '../../src/nip46/signed.ts';
import { lacks } from '../runner/lacks.ts';

const MAX = 262_144;
const vector = (name: string) => readFileSync(join(import.meta.dirname, '../vectors', name), 'utf8');
const { invalid } = JSON.parse(vector('nip44.json')).v2;
const lacksNative = lacks('libsecp256k1');
const backends: CurveName[] = ['native', 'wasm', 'noble'];
const figures = { vectors: 0, named: 0, sets: {} as Record<string, number> };

/** One vector, and the whole text of its error. */
function named(set: string, note: string, expected: string, run: () => unknown): void {
  figures.vectors++;
  figures.sets[set] = (figures.sets[set] ?? 0) + 1;
  let said: string;
  try {
    said = `accepted: ${JSON.stringify(run())}`;
  } catch (error) {
    said = error instanceof CipherError ? error.refusal : String(error);
    assert.is(error instanceof CipherError ? error.message : said, said);
  }
  assert.is(said, expected, `${set}: ${note}`);
  figures.named++;
}

function secret(hex: string): Secret {
  return asSecret(hexToBytes(hex));
}

const NO_KEY = 'RangeError: not a private key: must be 32 bytes, from 1 to n - 1';
const NO_POINT = 'RangeError: not a point on the curve';

/** Note of the vector -> error, in the vectors' order. */
const CONVERSATIONS: [note: string, error: string][] = [
  ['sec1 higher than curve.n', NO_KEY],
  ['sec1 is 0', NO_KEY],
  ['pub2 is invalid, no sqrt, all-ff', NO_POINT],
  ['sec1 == curve.n', NO_KEY],
  ['pub2 is invalid, no sqrt', NO_POINT],
  ['pub2 is point of order 3 on twist', NO_POINT],
  ['pub2 is point of order 13 on twist', NO_POINT],
  ['pub2 is point of order 3319 on twist', NO_POINT],
];

for (const backend of backends) {
  const check = backend === 'native' && lacksNative ? test.skip : test;
  check(`NIP-44, keys that have no conversation: ${backend}`, async () => {
    const curve = await loadCurve(backend);
    assert.equal(
      invalid.get_conversation_key.map(({ note }: { note: string }) => note),
      CONVERSATIONS.map(([note]) => note),
    );
    for (const [i, [note, error]] of CONVERSATIONS.entries()) {
      const { sec1, pub2 } = invalid.get_conversation_key[i];
      named('nip44.get_conversation_key', `${backend}: ${note}`, error, () =>
        curve.openKey(secret(sec1)).sharedX(hexToBytes(pub2)),
      );
    }
  });
}

const PAYLOADS: [note: string, error: string][] = [
  ['unknown encryption version', 'unknown encryption version'],
  ['unknown encryption version 0', 'unknown encryption version'],
  ['invalid base64', 'invalid base64'],
  ['invalid MAC', 'invalid MAC'],
  ['invalid MAC', 'invalid MAC'],
  ['invalid padding', 'invalid padding'],
  ['invalid padding', 'invalid padding'],
  ['invalid padding', 'invalid padding'],
];

test('NIP-44, payloads', () => {
  assert.equal(
    invalid.decrypt.map(({ note }: { note: string }) => note),
    PAYLOADS.map(([note]) => note),
  );
  for (const [i, [note, error]] of PAYLOADS.entries()) {
    const { conversation_key, payload } = invalid.decrypt[i];
    named('nip44.decrypt', note, error, () => nip44.decrypt(payload, secret(conversation_key), MAX));
  }
});

test('NIP-44, lengths; three that were invalid once are allowed now', () => {
  const key = secret('01'.repeat(32));
  assert.equal(invalid.decrypt_msg_lengths, [0, 1, 2, 5, 10, 20, 32, 48, 64]);
  for (const length of invalid.decrypt_msg_lengths) {
    named('nip44.decrypt_msg_lengths', `${length}`, 'invalid payload length', () =>
      nip44.decrypt('A'.repeat(length), key, MAX),
    );
  }
  assert.equal(invalid.encrypt_msg_lengths, [0, 65_536, 100_000, 10_000_000]);
  named('nip44.encrypt_msg_lengths', '0', 'invalid plaintext length', () => nip44.encrypt('', key));
});

/** Comment of the vector; all of them are `dropped: signature` as events, and two of their keys are no point. */
const SIGNATURES: [comment: string, isPoint: boolean][] = [
  ['public key not on the curve', false],
  ['has_even_y(R) is false', true],
  ['negated message', true],
  ['negated s value', true],
  [
    'sG - eP is infinite. Test fails in single verification if has_even_y(inf) is defined as true and x(inf) as 0',
    true,
  ],
  [
    'sG - eP is infinite. Test fails in single verification if has_even_y(inf) is defined as true and x(inf) as 1',
    true,
  ],
  ['sig[0:32] is not an X coordinate on the curve', true],
  ['sig[0:32] is equal to field size', true],
  ['sig[32:64] is equal to curve order', true],
  ['public key is not a valid X coordinate because it exceeds the field size', false],
];

for (const backend of backends) {
  const check = backend === 'native' && lacksNative ? test.skip : test;
  check(`BIP-340: ${backend}`, async () => {
    const curve = await loadCurve(backend);
    const key = curve.openKey(secret('01'.repeat(32)));
    const rows = vector('bip340.csv').trim().split(/\r?\n/);
    const bad = rows.map((row) => row.split(',')).filter((columns) => columns[6] === 'FALSE');
    assert.equal(
      bad.map((columns) => columns.slice(7).join(',')),
      SIGNATURES.map(([comment]) => comment),
    );
    for (const [i, [comment, isPoint]] of SIGNATURES.entries()) {
      const [, , pubkey, , message, sig] = bad[i]!.map((column) => column.toLowerCase());
      const note = `${backend}: ${comment}`;
      named('bip340', note, 'accepted: false', () =>
        curve.verify(hexToBytes(sig!), hexToBytes(message!), hexToBytes(pubkey!)),
      );
      const id = eventId(pubkey!, 1, 1, [], '');
      const event = { id, pubkey: pubkey!, created_at: 1, kind: 1, tags: [], content: '', sig: sig! };
      named('bip340 as an event', note, 'accepted: false', () => isGenuine(curve, event));
      named(
        'bip340 as a peer',
        note,
        isPoint ? 'accepted: 32' : NO_POINT,
        () => key.sharedX(hexToBytes(pubkey!)).length,
      );
    }
  });
}

const { ncryptsec, password } = JSON.parse(vector('nip49.json')).decrypt[0] as { ncryptsec: string; password: string };
const payload = bech32Bytes(ncryptsec.slice('ncryptsec1'.length, -6));

const UNREADABLE = 'the key to import cannot be read: give an nsec, an ncryptsec or 64 hex digits';
const OTHER_VERSION = 'this ncryptsec is not of NIP-49 version 2: export the key again';
const OTHER_LOG_N = 'this ncryptsec has a scrypt log_n that is not from 14 to 22';
const WRONG = 'wrong passphrase of the ncryptsec';

function spoiled(at: number, to: (byte: number) => number): string {
  const changed = Buffer.from(payload);
  changed[at] = to(changed[at]!);
  return nip19.encodeBytes('ncryptsec', changed);
}

/** NIP-49 has no invalid vectors: these are its valid one, with each of its parts spoilt. */
const SPOILT: [note: string, text: string, password: string | undefined, error: string][] = [
  ['another checksum', ncryptsec.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q')), password, UNREADABLE],
  ['letters of both cases', ncryptsec.replace(/..$/, (end) => end.toUpperCase()), password, UNREADABLE],
  ['a prefix alone', 'ncryptsec1', password, UNREADABLE],
  ['cut in the text', ncryptsec.slice(0, -1), password, UNREADABLE],
  ['version 0', spoiled(0, () => 0), password, OTHER_VERSION],
  ['version 1', spoiled(0, () => 1), password, OTHER_VERSION],
  ['version 3', spoiled(0, () => 3), password, OTHER_VERSION],
  ['a byte less', nip19.encodeBytes('ncryptsec', payload.subarray(0, 90)), password, OTHER_VERSION],
  ['a byte more', nip19.encodeBytes('ncryptsec', Buffer.concat([payload, Uint8Array.of(0)])), password, OTHER_VERSION],
  ['nothing', nip19.encodeBytes('ncryptsec', new Uint8Array(0)), password, OTHER_VERSION],
  ['log_n 0', spoiled(1, () => 0), password, OTHER_LOG_N],
  ['log_n 13', spoiled(1, () => 13), password, OTHER_LOG_N],
  ['log_n 23', spoiled(1, () => 23), password, OTHER_LOG_N],
  ['log_n 255', spoiled(1, () => 255), password, OTHER_LOG_N],
  ['another log_n', spoiled(1, () => 15), password, WRONG],
  ['salt', spoiled(2, (byte) => byte ^ 1), password, WRONG],
  ['nonce', spoiled(41, (byte) => byte ^ 1), password, WRONG],
  ['key security byte', spoiled(42, (byte) => byte ^ 1), password, WRONG],
  ['ciphertext', spoiled(43, (byte) => byte ^ 1), password, WRONG],
  ['tag', spoiled(90, (byte) => byte ^ 128), password, WRONG],
  ['another passphrase', ncryptsec, `${password} `, WRONG],
  ['no passphrase', ncryptsec, undefined, 'an ncryptsec has a passphrase of its own: give it as well'],
  [
    'an nsec that long',
    nip19.encodeBytes('nsec', payload),
    password,
    'the key to import is an nsec of the wrong length: give an nsec, an ncryptsec or 64 hex digits',
  ],
];

test('NIP-49: each part spoilt', () => {
  for (const [note, text, passphrase, error] of SPOILT) {
    named('nip49', note, `accepted: ${JSON.stringify(error)}`, () => {
      const imported = parseImport(ascii(text));
      if (!imported.ok) return imported.refusal;
      const opened = openImport(imported, passphrase === undefined ? undefined : ascii(passphrase));
      return opened.ok ? 'opened' : opened.refusal;
    });
  }
});

test.after(() => console.log(`R12 ${JSON.stringify(figures)}`));

function ascii(text: string): Secret {
  return asSecret(new TextEncoder().encode(text));
}

function bech32Bytes(text: string): Buffer {
  const bits = [...text]
    .map((c) => 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'.indexOf(c).toString(2).padStart(5, '0'))
    .join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

test.run();
