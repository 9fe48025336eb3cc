import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Given, Responses } from '../../src/nip46/responses.ts';

const body = (n: number) => createHash('sha256').update(`body ${n}`).digest('hex');
const sig = (n: number) => body(n) + body(-n);
const nonce = (n: number, size: number) => new Uint8Array(Buffer.from(body(n), 'hex')).subarray(0, size);

test('what was given is known until its time has passed', () => {
  const responses = new Responses(1000);
  const given: Given[] = [
    { createdAt: 1_700_000_000, sig: sig(1) },
    { nonce: nonce(2, 32) },
    { nonce: nonce(3, 16) },
    {},
  ];
  for (const [n, what] of given.entries()) responses.set(body(n), what, 0);
  for (const [n, what] of given.entries()) {
    assert.equal(responses.get(body(n), 999), what);
    assert.is(responses.get(body(n), 1000), undefined);
  }
  assert.is(responses.get(body(4), 0), undefined);
});

test('what is given again holds, and for its whole time', () => {
  const responses = new Responses(1000, 2);
  responses.set(body(1), { createdAt: 1, sig: sig(1) }, 0);
  responses.set(body(2), {}, 0);
  responses.set(body(1), { nonce: nonce(1, 16) }, 500);
  assert.equal(responses.get(body(1), 1400), { nonce: nonce(1, 16) });
  assert.equal(responses.get(body(2), 999), {});
});

test('the oldest go first when there are too many, and each is told from the others', () => {
  const most = 100;
  const responses = new Responses(1000, most);
  for (let n = 0; n < 25 * most; n++) {
    responses.set(body(n), { createdAt: n, sig: sig(n) }, 0);
    const known = Math.max(0, n - most + 1);
    for (let m = known; m <= n; m += 7) assert.equal(responses.get(body(m), 0), { createdAt: m, sig: sig(m) });
    for (let m = n - 2 * most; m >= 0 && m > n - 3 * most; m--) assert.is(responses.get(body(m), 0), undefined);
  }
  responses.clear();
  for (let n = 0; n < 25 * most; n++) assert.is(responses.get(body(n), 0), undefined);
});

test.run();
