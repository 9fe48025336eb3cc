import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readDateTime } from '../../prisma-compat/date-time.ts';

const NOON = Date.UTC(2024, 4, 6, 12, 0, 0);

test('integer milliseconds, SQL text in UTC and ISO 8601 are one date', () => {
  assert.is(readDateTime(NOON), NOON);
  assert.is(readDateTime(BigInt(NOON)), NOON);
  assert.is(readDateTime('2024-05-06 12:00:00'), NOON);
  assert.is(readDateTime('2024-05-06 12:00:00.250'), NOON + 250);
  assert.is(readDateTime('2024-05-06T12:00:00'), NOON);
  assert.is(readDateTime('2024-05-06T12:00:00.000Z'), NOON);
  assert.is(readDateTime('2024-05-06T14:00:00+02:00'), NOON);
  assert.is(readDateTime('2024-05-06'), NOON - 12 * 3_600_000);
});

test('null is no date', () => {
  assert.is(readDateTime(null), null);
  assert.is(readDateTime(undefined), null);
});

test('what cannot be read lies in the past, so that it grants nothing', () => {
  for (const damaged of ['', 'soon', '2024-13-45', Number.NaN, {}, true]) assert.is(readDateTime(damaged), 0);
});

test.run();
