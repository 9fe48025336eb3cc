import { join } from 'node:path';
import { finalizeEvent, generateSecretKey } from 'nostr-tools/pure';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VerifyPool } from '../../src/nip46/verify-pool.ts';

const WORKER = join(import.meta.dirname, '../../workers/verify.ts');
// nostr-tools writes into what it is given.
const template = { kind: 24133, created_at: 1_700_000_000, tags: [['p', 'a'.repeat(64)]], content: 'ciphertext é "\n' };
const event = finalizeEvent({ ...template }, generateSecretKey());

test('an event is verified in another thread: its id and its signature', async () => {
  const pool = new VerifyPool(WORKER);
  try {
    const other = finalizeEvent({ ...template }, generateSecretKey());
    assert.is(await pool.verify(JSON.stringify(event)), true);
    const forged: [string, object][] = [
      ['content', { content: 'another' }],
      ['tags', { tags: [] }],
      ['id', { id: other.id }],
      ['signature', { sig: other.sig }],
      ['pubkey', { pubkey: other.pubkey }],
      ['pubkey that is no point', { pubkey: 'f'.repeat(64) }],
    ];
    for (const [what, change] of forged)
      assert.is(await pool.verify(JSON.stringify({ ...event, ...change })), false, what);
    for (const raw of ['', 'null', '{', '[]', '{}', JSON.stringify({ ...event, kind: '1' })]) {
      assert.is(await pool.verify(raw), false, raw);
    }
  } finally {
    await pool.close();
  }
});

test('more than 256 that wait are busy, and the pool works on', async () => {
  const pool = new VerifyPool(WORKER, 'wasm');
  try {
    const answers = await Promise.all(Array.from({ length: 300 }, () => pool.verify(JSON.stringify(event))));
    const busy = answers.filter((answer) => answer === 'busy').length;
    assert.ok(busy >= 40 && busy <= 44, `${busy} were busy`);
    assert.is(answers.filter((answer) => answer === true).length, 300 - busy);
    assert.is(await pool.verify(JSON.stringify(event)), true);
  } finally {
    await pool.close();
  }
});

for (const failure of ['die', 'break']) {
  test(`a thread that fails (${failure}) while as many wait as may is replaced`, async () => {
    const pool = new VerifyPool(join(import.meta.dirname, 'failing-verifier.ts'));
    try {
      assert.is(await pool.verify('first'), true);
      const answers = await Promise.all([failure, ...Array(300).fill('next')].map((raw) => pool.verify(raw)));
      assert.is(answers[0], 'busy');
      assert.is(await pool.verify('later'), true);
    } finally {
      await pool.close();
    }
  });
}

test.run();
