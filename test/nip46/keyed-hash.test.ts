import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { KeyedHash } from '../../src/nip46/keyed-hash.ts';

test('it is HMAC-SHA256 of text and bytes, at every length', () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 8000, maxLength: 9000 }));
  fc.assert(
    fc.property(key, fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), bytes), { minLength: 1 }), (key, messages) => {
      const keyed = new KeyedHash(asSecret(key));
      // One after the other, on the same memory.
      for (const [text, bytes] of messages) {
        assert.is(keyed.hex(text, bytes), createHmac('sha256', key).update(text).update(bytes).digest('hex'));
      }
    }),
  );
});

test('once wiped it is keyed with the key no more', () => {
  const key = asSecret(new Uint8Array(32).fill(7));
  const keyed = new KeyedHash(key);
  const before = keyed.hex('a', new Uint8Array(1));
  keyed.wipe();
  assert.is.not(keyed.hex('a', new Uint8Array(1)), before);
  assert.equal(key, asSecret(new Uint8Array(32).fill(7)));
});

test('a key of another length is refused', () => {
  assert.throws(() => new KeyedHash(asSecret(new Uint8Array(31))), RangeError);
});

test.run();
