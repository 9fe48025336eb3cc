import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HandledIds } from '../../src/relay/handled.ts';

const id = (n: number) => createHash('sha256').update(String(n)).digest('hex');
const make = (windowMs: number, maxIds: number) => new HandledIds({ windowMs, maxIds, random: () => 0.37 });

test('an id is known after it was remembered, and no other', () => {
  const handled = make(1000, 100_000);
  for (let i = 0; i < 10_000; i++) handled.remember(id(i), 0);
  assert.is(handled.size, 10_000);
  for (let i = 0; i < 10_000; i++) assert.ok(handled.has(id(i)));
  for (let i = 10_000; i < 20_000; i++) assert.not.ok(handled.has(id(i)));
  handled.remember(id(1), 0);
  assert.is(handled.size, 10_000);
});

test('ids that differ in the last of the bits that are kept are told apart', () => {
  const handled = make(1000, 1000);
  const one = `${'0'.repeat(23)}1${'0'.repeat(40)}`;
  const other = `${'0'.repeat(23)}2${'0'.repeat(40)}`;
  handled.remember(one, 0);
  assert.ok(handled.has(one));
  assert.not.ok(handled.has(other));
});

test('an id is kept for the whole window and forgotten not long after', () => {
  for (const start of [0, 100, 249, 250, 999]) {
    const handled = make(1000, 1000);
    handled.remember(id(0), 0);
    handled.remember(id(1), start);
    for (let now = start; now <= start + 1000; now += 50) handled.remember(id(2), now);
    assert.ok(handled.has(id(1)), `remembered at ${start}`);
    handled.remember(id(3), start + 1300);
    assert.not.ok(handled.has(id(1)), `remembered at ${start}`);
  }
});

test('after a long silence nothing old is left', () => {
  const handled = make(1000, 1000);
  handled.remember(id(1), 0);
  handled.remember(id(2), 1e9);
  assert.not.ok(handled.has(id(1)));
  assert.ok(handled.has(id(2)));
  handled.remember(id(3), 1e9 + 999);
  assert.ok(handled.has(id(2)));
});

test('memory is bounded, and the newest ids are those that are kept', () => {
  const handled = make(1e9, 10_000);
  for (let i = 0; i < 60_000; i++) handled.remember(id(i), i);
  assert.ok(handled.size <= 10_000, `${handled.size}`);
  assert.ok(handled.size >= 7_500, `${handled.size}`);
  assert.ok(handled.bytes < 10_000 * 40, `${handled.bytes}`);
  for (let i = 59_999; i > 53_000; i--) assert.ok(handled.has(id(i)));
  assert.not.ok(handled.has(id(1)));
});

test.run();
