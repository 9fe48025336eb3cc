import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeStage, type Stage } from './stage.ts';

let stage: Stage;
test.before.each(async () => {
  stage = await makeStage();
});
test.after.each(() => stage.end());

const ask = (options: unknown, createdAt?: number) =>
  stage.ask('unlock_keys', [options], createdAt === undefined ? {} : { createdAt });
async function unlock(options: object, createdAt?: number): Promise<unknown> {
  const answer = await ask(JSON.stringify(options), createdAt);
  assert.is(answer.error, undefined, answer.error ?? '');
  return JSON.parse(answer.result);
}
const all = (passphrase = 'correct horse') => unlock({ passphrase });
const named = (passphrases: object) => unlock({ passphrases });

test('one passphrase for every key: keys with one of their own are named, and stop nobody', async () => {
  for (const name of ['a', 'b', 'own', 'open']) stage.records.addKey(name);
  stage.records.addKey('gone').deletedAt = 1;
  stage.main.unlocked.add('open');
  stage.main.passphrases.set('own', 'another');
  assert.equal(await all(), { success: 3, total: 4, failed: [{ key: 'own', error: 'wrong passphrase' }] });
  assert.equal([...stage.main.unlocked].sort(), ['a', 'b', 'open']);
  assert.equal(stage.main.got, [{ name: 'a b own', passphrase: 'correct horse' }], 'one passphrase, handed on once');
  assert.equal(stage.records.ended, [{ method: 'unlock_keys', target: 'every key', outcome: 'ok' }]);
});

test('each key its own passphrase: one derivation for those that share one', async () => {
  for (const name of ['a', 'b.c', 'own']) stage.records.addKey(name);
  stage.main.passphrases.set('own', 'another');
  const passphrases = { a: 'correct horse', own: 'another', 'b.c': 'correct horse', nobody: 'x' };
  assert.equal(await named(passphrases), {
    success: 3,
    total: 4,
    failed: [{ key: 'nobody', error: 'no key of this name: get_keys lists them' }],
  });
  assert.equal(stage.main.got.map((got) => [got.name, got.passphrase]).sort(), [
    ['a b.c', 'correct horse'],
    ['own', 'another'],
  ]);
  assert.equal(await named({ a: 'anything' }), { success: 1, total: 1, failed: [] }, 'an unlocked key is left alone');
  assert.equal(await named({}), { success: 0, total: 0, failed: [] });
});

test('a key that was locked on purpose is unlocked by its name only', async () => {
  for (const name of ['a', 'b']) stage.records.addKey(name);
  await stage.ask('lock_key', ['a']);
  assert.equal(await all(), {
    success: 1,
    total: 2,
    failed: [{ key: 'a', error: 'locked on purpose: it is unlocked by its name only' }],
  });
  assert.type(stage.records.keys[0]!.lockedAt, 'number');
  assert.equal(await named({ a: 'wrong' }), {
    success: 0,
    total: 1,
    failed: [{ key: 'a', error: 'wrong passphrase' }],
  });
  assert.type(stage.records.keys[0]!.lockedAt, 'number');
  assert.equal(await named({ a: 'correct horse' }), { success: 1, total: 1, failed: [] });
  assert.is(stage.records.keys[0]!.lockedAt, null);
});

test('a lock that came later is not undone: neither while keys are being opened nor by an older request', async () => {
  for (const name of ['a', 'b']) stage.records.addKey(name);
  const failed = [
    { key: 'a', error: 'the key was locked after this request was made: ask again if it is to be unlocked' },
  ];
  let finish = () => {};
  stage.main.derivation = new Promise((resolve) => {
    finish = resolve;
  });
  const swept = all();
  await stage.settled();
  await stage.ask('lock_key', ['a']);
  finish();
  assert.equal(await swept, { success: 1, total: 2, failed });
  assert.equal([...stage.main.unlocked], ['b']);

  const before = Math.floor(stage.clock.now() / 1000) - 60;
  assert.equal(await unlock({ passphrases: { a: 'correct horse' } }, before), { success: 0, total: 1, failed });
  assert.type(stage.records.keys[0]!.lockedAt, 'number');
});

test('guesses are slowed down; a passphrase that opens some keys is no guess of the admin', async () => {
  for (const name of ['a', 'b', 'own']) stage.records.addKey(name);
  stage.main.passphrases.set('own', 'another');
  for (let i = 0; i < 6; i++) {
    stage.main.unlocked.clear();
    await all();
  }
  assert.equal(
    await named({ own: 'another' }),
    { success: 0, total: 1, failed: [{ key: 'own', error: 'too many wrong passphrases: try again in 1 s' }] },
    'the key is slowed down',
  );
  stage.main.unlocked.clear();
  assert.is((JSON.parse((await ask({ passphrase: 'correct horse' })).result) as { success: number }).success, 2);
  stage.main.unlocked.clear();
  stage.clock.ms += 60_000;
  for (let i = 0; i < 5; i++) {
    await all(`guess ${i}`);
    stage.clock.ms += i < 4 ? 60_000 : 0;
  }
  assert.match((await ask({ passphrase: 'correct horse' })).error!, 'too many wrong passphrases: try again in');
  assert.match(
    (JSON.parse((await stage.ask('unlock_key', ['a', 'correct horse'])).result) as { error: string }).error,
    'too many wrong passphrases',
  );
});

test('what is malformed is named', async () => {
  const malformed = async (options: unknown) => (await ask(options)).error ?? 'no error';
  assert.match(await malformed({}), 'either "passphrase" or "passphrases"');
  assert.match(await malformed({ passphrase: 'x', passphrases: {} }), 'either "passphrase" or "passphrases"');
  assert.match(await malformed({ passphrase: 5 }), 'options.passphrase must be text');
  assert.match(await malformed({ passphrases: { a: ['x'] } }), 'options.passphrases.a must be text');
  assert.match(await malformed({ passphrases: 'x' }), 'options.passphrases must be an object');
  assert.match(await malformed('nope'), 'options is not JSON');
  assert.match(await malformed('"x"'), 'options is not JSON');
  stage.records.addKey('a');
  assert.equal(await all(''), { success: 0, total: 1, failed: [{ key: 'a', error: 'the passphrase is empty' }] });
});

test.run();
