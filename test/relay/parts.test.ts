import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backoff } from '../../src/relay/backoff.ts';
import { Bucket } from '../../src/relay/bucket.ts';
import { plainLine } from '../../src/relay/plain-line.ts';
import { RecentTexts } from '../../src/relay/recent.ts';
import { relayUrl } from '../../src/relay/url.ts';
import { Verdicts } from '../../src/relay/verdicts.ts';

test('backoff: doubling with jitter, within its bounds for ever', () => {
  const range = (failures: number) => [0, 1].map((random) => backoff(failures, 1000, 60_000, random));
  assert.equal(range(0), [1000, 2000]);
  assert.equal(range(1), [2000, 4000]);
  assert.equal(range(4), [16_000, 32_000]);
  for (const failures of [5, 6, 100, 1e6]) assert.equal(range(failures), [30_000, 60_000]);
});

test('relay URLs have one form', () => {
  assert.is(relayUrl('WSS://Relay.Example.COM:443/'), 'wss://relay.example.com');
  assert.is(relayUrl(' ws://localhost:4736/path/#x'), 'ws://localhost:4736/path');
  assert.is(relayUrl('wss://relay.example/?key=a/'), 'wss://relay.example/?key=a/');
  for (const text of ['', 'relay.example', 'https://relay.example', 'wss://', 'wss://a b', 'localhost:4736']) {
    assert.is(relayUrl(text), null, text);
  }
});

test("a relay's words are made one plain line", () => {
  assert.is(plainLine('a\n\u001b[31mb\u202e c\u2028d'), 'a [31mb c d');
  assert.is(plainLine('x'.repeat(1000)).length, 203);
});

test('recent texts: the same text is known, the same id with another text is not', () => {
  const recent = new RecentTexts(2, 100);
  assert.is(recent.seen('id', 'false', 0), false);
  assert.is(recent.seen('id', 'true', 0), false);
  assert.is(recent.seen('id', 'true', 99), true);
  assert.is(recent.seen('id', 'true', 100), false);
  recent.seen('b', 'b', 100);
  recent.seen('c', 'c', 100);
  assert.is(recent.seen('id', 'true', 100), false);
});

test('a bucket: the burst, then the rate', () => {
  const bucket = new Bucket(10, 3, 0);
  const take = (now: number) => bucket.take(1, now);
  assert.equal([take(0), take(0), take(0), take(0)], [true, true, true, false]);
  assert.equal([take(99), take(100), take(100)], [false, true, false]);
  assert.equal(
    [1, 2, 3, 4].map(() => take(1e6)),
    [true, true, true, false],
  );
});

test('verdicts: each once, late ones not at all', () => {
  const heard: unknown[] = [];
  const verdicts = new Verdicts(2, 100);
  const [first, second] = [0, 50].map((now) => verdicts.open(now, (ok, reason) => heard.push([now, ok, reason]))!);
  assert.is(
    verdicts.open(60, () => {}),
    null,
  );
  verdicts.expire(99);
  assert.equal(heard, []);
  verdicts.expire(100);
  assert.equal(heard, [[0, 'late', '']]);
  first!(true);
  second!(false, 'why');
  second!(true);
  assert.equal(heard.slice(1), [[50, false, 'why']]);
  assert.ok(verdicts.open(100, () => {}));
});

test.run();
