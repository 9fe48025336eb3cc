import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { adminSubscriptions, clientSubscriptions, type Subscription } from '../../src/relay/subscriptions.ts';

const key = (n: number) => createHash('sha256').update(`key ${n}`).digest('hex');
const keys = Array.from({ length: 3000 }, (_, i) => key(i));
const pubkeysOf = (chunk: Subscription) => chunk.filters[0]!['#p']!;

/** Ids of subscriptions that are not the same in both. */
function changed(before: Subscription[], after: Subscription[]): string[] {
  const texts = (list: Subscription[]) => new Map(list.map(({ id, filters }) => [id, JSON.stringify(filters)]));
  const [a, b] = [texts(before), texts(after)];
  return [...new Set([...a.keys(), ...b.keys()])].filter((id) => a.get(id) !== b.get(id));
}

test('every key is in exactly one subscription, none is too large', () => {
  const chunks = clientSubscriptions(keys, 300);
  assert.equal(chunks.flatMap(pubkeysOf).sort(), [...keys].sort());
  assert.ok(chunks.every((chunk) => pubkeysOf(chunk).length <= 300));
  assert.ok(chunks.length <= 32, `${chunks.length}`);
  assert.is(new Set(chunks.map(({ id }) => id)).size, chunks.length);
  assert.ok(chunks.every(({ id }) => id.length <= 64));
  assert.equal(chunks[0]!.filters[0]!.kinds, [24133]);
  assert.is(chunks[0]!.filters[0]!.limit, 0);
});

test('the order of the keys, and keys named twice, make no difference', () => {
  assert.equal(clientSubscriptions([...keys].reverse().concat(keys), 300), clientSubscriptions(keys, 300));
});

test('a key more or less changes one subscription, or divides or joins one', () => {
  let before = clientSubscriptions([], 50);
  let single = 0;
  for (let n = 1; n <= 1000; n++) {
    const after = clientSubscriptions(keys.slice(0, n), 50);
    const ids = changed(before, after);
    if (ids.length === 1) single++;
    // One gone and its two halves new; more only when all its keys have the next bit in common too.
    else assert.ok(after.length > before.length && ids.length <= 5, `${n}: ${ids}`);
    before = after;
  }
  assert.ok(single > 950, `${single}`);
});

test('few keys are one subscription, none are none', () => {
  assert.is(clientSubscriptions(keys.slice(0, 300)).length, 1);
  assert.is(clientSubscriptions(keys.slice(0, 301)).length, 2);
  assert.equal(clientSubscriptions([]), []);
});

test('admins and strangers have a subscription each', () => {
  const [admins, strangers] = adminSubscriptions('d', ['b', 'a', 'a']);
  const kinds = [24134, 24133];
  assert.equal(admins, { id: 'admins', filters: [{ kinds, '#p': ['d'], authors: ['a', 'b'], limit: 0 }] });
  assert.equal(strangers, { id: 'strangers', filters: [{ kinds, '#p': ['d'], limit: 0 }] });
  assert.equal(adminSubscriptions('d', []), [strangers]);
});

test.run();
