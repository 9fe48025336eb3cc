import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ClientRates } from '../../src/key/rate.ts';

const taken = (rates: ClientRates, client: string, now: number, tries: number) =>
  Array.from({ length: tries }, () => rates.take(client, now)).filter(Boolean).length;

test('a client has its burst at once, and its rate from then on', () => {
  const rates = new ClientRates(50, 200);
  assert.is(taken(rates, 'a', 0, 300), 200);
  assert.is(taken(rates, 'a', 100, 300), 5);
  assert.is(taken(rates, 'a', 1100, 300), 50);
});

test('saved up is no more than a burst, and one client uses up nothing of another', () => {
  const rates = new ClientRates(50, 200);
  assert.is(taken(rates, 'a', 0, 300), 200);
  assert.is(taken(rates, 'b', 0, 300), 200);
  assert.is(taken(rates, 'a', 1e9, 300), 200);
});

test('no more clients are remembered than the bound: the one seen longest ago is forgotten', () => {
  const rates = new ClientRates(1, 1, 2);
  for (const client of ['a', 'b', 'a', 'c']) rates.take(client, 0);
  assert.not(rates.take('a', 0), 'a is remembered');
  assert.ok(rates.take('b', 0), 'b was forgotten');
});

test.run();
