import { join } from 'node:path';
import { finalizeEvent, generateSecretKey } from 'nostr-tools/pure';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Strangers } from '../../src/key/strangers.ts';
import { VerifyPool } from '../../src/nip46/verify-pool.ts';
import type { Incoming } from '../../src/relay/protocol.ts';

const pool = new VerifyPool(join(import.meta.dirname, '../../workers/verify.ts'), 'noble');
test.after(() => pool.close());

/** Of a stranger of its own each time: the rate is not one for each of them. */
function incoming(p: string, arrived: number, forge = {}): Incoming {
  const event = finalizeEvent({ kind: 24133, created_at: 1, tags: [['p', p]], content: 'x' }, generateSecretKey());
  const { id, pubkey, kind, created_at } = event;
  return { head: { id, pubkey, kind, created_at, p }, raw: JSON.stringify({ ...event, ...forge }), from: 'r', arrived };
}

test('strangers have a rate for each key and one for all', async () => {
  const strangers = new Strangers(pool, 2, 3);
  const examine = (p: string, arrived: number) => strangers.examine(incoming(p, arrived));
  assert.equal(await Promise.all([1, 2, 3].map(() => examine('a', 0))), [null, null, 'strangers: rate']);
  assert.equal(await Promise.all([1, 2].map(() => examine('b', 0))), [null, 'strangers: rate'], 'three in all');
  assert.is(await examine('a', 1000), null, 'a second later');
});

test('a rate below one a second shuts nobody out for ever, and none at all shuts out everybody', async () => {
  const seldom = new Strangers(pool, 1 / 4, 1 / 2);
  const examine = (p: string, arrived: number) => seldom.examine(incoming(p, arrived));
  assert.equal([await examine('a', 0), await examine('b', 0)], [null, 'strangers: rate'], 'one in two seconds in all');
  assert.equal([await examine('a', 3999), await examine('a', 4000)], ['strangers: rate', null]);
  assert.is(await new Strangers(pool, 0, 0).examine(incoming('a', 0)), 'strangers: rate');
});

test('what is not genuine is refused', async () => {
  const strangers = new Strangers(pool, 10, 10);
  assert.is(await strangers.examine(incoming('a', 0, { content: 'y' })), 'strangers: signature');
});

test.run();
