import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Restarts } from '../../src/actor/restarts.ts';

const policy = { max: 5, withinMs: 30_000, minDelayMs: 50, maxDelayMs: 400 };

test('delays double up to the longest one', () => {
  const restarts = new Restarts(policy);
  assert.equal(
    [0, 1, 2, 3, 4].map((now) => restarts.next(now)),
    [50, 100, 200, 400, 400],
  );
});

test('one crash more than the intensity allows is a crash loop', () => {
  const restarts = new Restarts(policy);
  for (let i = 0; i < 5; i++) assert.type(restarts.next(i * 1000), 'number');
  assert.is(restarts.next(5_000), null);
});

test('crashes older than the window do not count', () => {
  const restarts = new Restarts(policy);
  for (let i = 0; i < 20; i++) assert.is(restarts.next(i * 30_000), 50);
});

test.run();
