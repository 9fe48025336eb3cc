import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import * as nostrTools from 'nostr-tools/nip44';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret, type Secret } from '../../src/actor/protocol.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { CipherError, type CipherRefusal } from '../../src/nip46/cipher-error.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';
import { Conversation, conversationKey, decrypt, encrypt, paddedLength } from '../../src/nip46/nip44.ts';
import { forgeNip44 } from '../support/forge-nip44.ts';

const CASES = Number(process.env.REDOUBT_PROPERTY_CASES ?? 200);
const MAX = 262_144;
/** The official vectors of NIP-44. */
const { valid, invalid } = JSON.parse(readFileSync(new URL('../vectors/nip44.json', import.meta.url), 'utf8')).v2;
const curve = await loadCurve();
const key = secret('01'.repeat(32));

function secret(hex: string): Secret {
  return asSecret(hexToBytes(hex));
}

function text(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

function refused(refusal: CipherRefusal): (error: unknown) => boolean {
  return (error) => error instanceof CipherError && error.refusal === refusal && error.message === refusal;
}

test('valid vectors: conversation keys', () => {
  assert.is(valid.get_conversation_key.length, 35);
  for (const { sec1, pub2, conversation_key } of valid.get_conversation_key) {
    const shared = curve.openKey(secret(sec1)).sharedX(hexToBytes(pub2));
    assert.is(bytesToHex(conversationKey(shared)), conversation_key);
  }
});

test('valid vectors: padded lengths', () => {
  for (const [length, padded] of valid.calc_padded_len) assert.is(paddedLength(length), padded, `${length}`);
  for (let length = 1; length < 70_000; length += 7) {
    assert.is(paddedLength(length), nostrTools.v2.utils.calcPaddedLen(length));
  }
});

test('valid vectors: encryption and decryption', () => {
  assert.is(valid.encrypt_decrypt.length, 10);
  for (const { sec1, sec2, conversation_key, nonce, plaintext, payload } of valid.encrypt_decrypt) {
    const one = curve.openKey(secret(sec1));
    const two = curve.openKey(secret(sec2));
    const conversation = new Conversation(one.sharedX(two.publicKey));
    assert.is(conversation.encrypt(plaintext, hexToBytes(nonce)), payload);
    assert.is(encrypt(new TextEncoder().encode(plaintext), secret(conversation_key), hexToBytes(nonce)), payload);
    assert.is(text(new Conversation(two.sharedX(one.publicKey)).decrypt(payload, MAX)), plaintext);
    assert.is(text(decrypt(payload, secret(conversation_key), MAX)), plaintext);
  }
});

test('valid vectors: a long message', () => {
  for (const { conversation_key, nonce, letter, repeat, payload_checksum_sha256 } of valid.encrypt_decrypt_long_msg) {
    const plaintext = letter.repeat(repeat);
    const payload = encrypt(plaintext, secret(conversation_key), hexToBytes(nonce));
    // The vector's checksum is empty since this length is encrypted in the long form.
    if (payload_checksum_sha256 !== '') {
      assert.is(createHash('sha256').update(payload).digest('hex'), payload_checksum_sha256);
    }
    assert.is(payload, nostrTools.encrypt(plaintext, hexToBytes(conversation_key), hexToBytes(nonce)));
    assert.is(text(decrypt(payload, secret(conversation_key), MAX)), plaintext);
  }
});

test('invalid vectors: keys that have no conversation', () => {
  for (const { sec1, pub2, note } of invalid.get_conversation_key) {
    const badKey = note.startsWith('sec1');
    const reason = badKey ? /^RangeError: not a private key/ : /^RangeError: not a point on the curve$/;
    assert.throws(
      () => curve.openKey(secret(sec1)).sharedX(hexToBytes(pub2)),
      (error: unknown) => reason.test(String(error)),
      note,
    );
  }
});

test('invalid vectors: payloads, each refused for the reason that it was made for', () => {
  const REASONS: { [note: string]: CipherRefusal } = {
    'unknown encryption version': 'unknown encryption version',
    'unknown encryption version 0': 'unknown encryption version',
    'invalid base64': 'invalid base64',
    'invalid MAC': 'invalid MAC',
    'invalid padding': 'invalid padding',
  };
  assert.is(invalid.decrypt.length, 8);
  for (const { conversation_key, payload, note } of invalid.decrypt) {
    assert.throws(() => decrypt(payload, secret(conversation_key), MAX), refused(REASONS[note]!), note);
  }
});

test('invalid vectors: payload lengths', () => {
  for (const length of invalid.decrypt_msg_lengths) {
    assert.throws(() => decrypt('A'.repeat(length), key, MAX), refused('invalid payload length'), `${length}`);
  }
  // Enough characters, but not enough bytes.
  for (const size of [97, 98]) {
    const payload = Buffer.alloc(size, 2).toString('base64');
    assert.throws(() => decrypt(payload, key, MAX), refused('invalid payload length'), `${size}`);
  }
});

test('invalid vectors: plaintext lengths, of which NIP-44 has allowed three since', () => {
  const [empty, ...allowedSince] = invalid.encrypt_msg_lengths;
  assert.is(empty, 0);
  assert.throws(() => encrypt('', key), refused('invalid plaintext length'));
  assert.throws(() => encrypt(new Uint8Array(0), key), refused('invalid plaintext length'));
  assert.equal(allowedSince, [65_536, 100_000, 10_000_000]);
  for (const length of allowedSince) {
    const payload = encrypt(new Uint8Array(length).fill(120), key);
    assert.is(decrypt(payload, key, payload.length).length, length);
  }
});

test('nostr-tools reads ours and we read its, in both forms of length', () => {
  for (const length of [1, 2, 31, 32, 33, 255, 256, 257, 500, 6000, 8000, 65_535, 65_536, 65_537, 131_072]) {
    const plaintext = 'x'.repeat(length);
    assert.is(nostrTools.decrypt(encrypt(plaintext, key), key), plaintext);
    assert.is(text(decrypt(nostrTools.encrypt(plaintext, key), key, MAX)), plaintext);
  }
});

test('what was encrypted is what is decrypted, whatever it is', () => {
  const conversation = new Conversation(key);
  const theirs = conversationKey(key);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 600 }), (plaintext) => {
      const payload = conversation.encrypt(plaintext);
      assert.is(text(conversation.decrypt(payload, MAX)), plaintext);
      assert.is(nostrTools.decrypt(payload, theirs), plaintext);
    }),
    { numRuns: CASES },
  );
});

test('one changed character is refused, and never as a plaintext', () => {
  const payload = encrypt('attack at dawn', key);
  for (let at = 0; at < payload.length; at++) {
    const changed = payload.slice(0, at) + (payload[at] === 'A' ? 'B' : 'A') + payload.slice(at + 1);
    assert.throws(
      () => decrypt(changed, key, MAX),
      (error: unknown) => error instanceof CipherError,
      `${at}`,
    );
  }
});

test('a MAC of the wrong key is refused', () => {
  assert.throws(() => decrypt(encrypt('attack at dawn', key), secret('02'.repeat(32)), MAX), refused('invalid MAC'));
});

test('base64 is read strictly', () => {
  const payload = encrypt('x'.repeat(40), key, new Uint8Array(32).fill(0xfb));
  assert.match(payload, /[+/]/);
  assert.match(payload, /=$/);
  const bad = {
    'no padding': payload.replace(/=+$/, ''),
    'too much padding': `${payload}=`,
    'padding in the middle': `${payload.slice(0, 8)}====${payload.slice(8)}`,
    'white space': `${payload.slice(0, 8)}\n${payload.slice(8)}`,
    'the URL alphabet': payload.replaceAll('+', '-').replaceAll('/', '_'),
    'a character whose low byte is in the alphabet': `${payload.slice(0, 8)}\u0141${payload.slice(9)}`,
    'bits after the end': payload.replace(/(.)(=+)$/, (_, last, end) => nextInAlphabet(last) + end),
  };
  for (const [what, text] of Object.entries(bad)) {
    assert.throws(() => decrypt(text, key, MAX), refused('invalid base64'), what);
  }
});

test('padding that the other side made up is refused', () => {
  const short = (length: number, size: number) => {
    const padded = Buffer.alloc(2 + size, 'x');
    padded.writeUInt16BE(length);
    return padded;
  };
  const long = (length: number, size: number) => {
    const padded = Buffer.alloc(6 + size, 'x');
    padded.writeUIntBE(length, 0, 6);
    return padded;
  };
  assert.is(text(decrypt(forgeNip44(key, short(3, 32)), key, MAX)), 'xxx');
  assert.is(decrypt(forgeNip44(key, long(65_536, 65_536)), key, MAX).length, 65_536);
  const bad = {
    'a length beyond the end': short(33, 32),
    'more padding than the length asks for': short(3, 64),
    'a long form for a length that fits the short one': long(32, 32),
    'a long form of nothing': long(0, 32),
    'a long form for the last short length': long(65_535, 65_536),
    'a long form beyond the end': long(0xffff_ffff, 65_536),
    'a length cut short': Buffer.alloc(34),
  };
  for (const [what, padded] of Object.entries(bad)) {
    assert.throws(() => decrypt(forgeNip44(key, padded), key, MAX), refused('invalid padding'), what);
  }
});

test('the size of a payload is bounded before it is decoded', () => {
  const payload = encrypt('x'.repeat(1000), key);
  for (const more of [0, 1]) assert.is(decrypt(payload, key, payload.length + more).length, 1000);
  assert.throws(() => decrypt(payload, key, payload.length - 1), refused('payload too long'));
  assert.throws(() => decrypt('not base64! '.repeat(100), key, 1199), refused('payload too long'));
});

test('no two payloads share a nonce', () => {
  const nonces = Array.from({ length: 500 }, () => encrypt('x', key).slice(0, 44));
  assert.is(new Set(nonces).size, 500);
});

test('errors do not quote the plaintext, and a wiped conversation says nothing more', () => {
  const conversation = new Conversation(key);
  const payload = conversation.encrypt('attack at dawn');
  conversation.wipe();
  for (const work of [() => conversation.encrypt('attack at dawn'), () => conversation.decrypt(payload, MAX)]) {
    assert.throws(work, (error: Error) => !/attack/.test(`${error.message} ${error.stack}`));
  }
  // Another conversation is not touched by it.
  assert.is(text(decrypt(payload, conversationKey(key), MAX)), 'attack at dawn');
});

test('a wiped key encrypts nothing and decrypts nothing', () => {
  const payload = encrypt('attack at dawn', key);
  const wiped = asSecret(new Uint8Array(32));
  assert.throws(() => new Conversation(wiped), 'this key was wiped');
  assert.throws(() => conversationKey(wiped), 'this key was wiped');
  assert.throws(() => encrypt('attack at dawn', wiped), 'this key was wiped');
  assert.throws(() => decrypt(payload, wiped, MAX), 'this key was wiped');
});

function nextInAlphabet(character: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  return alphabet[(alphabet.indexOf(character) + 1) % 64]!;
}

test.run();
