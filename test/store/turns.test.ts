import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Turns } from '../../src/store/turns.ts';

test('work has the connection to itself until it settles, in the order of arrival', async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const slow = turns.take(async () => {
    seen.push('begin');
    await pause(5);
    seen.push('commit');
  });
  const rows = [1, 2, 3].map((n) => turns.take(() => void seen.push(`row ${n}`)));
  assert.equal(seen, ['begin']);
  await Promise.all([slow, ...rows]);
  assert.equal(seen, ['begin', 'commit', 'row 1', 'row 2', 'row 3']);
});

test('free, it runs at once', () => {
  const turns = new Turns();
  let ran = false;
  void turns.take(() => {
    ran = true;
  });
  assert.ok(ran);
});

test('work that fails, at once or later, gives its turn on', async () => {
  const turns = new Turns();
  const failures = [
    turns.take(() => {
      throw new Error('at once');
    }),
    turns.take(() => Promise.reject(new Error('later'))),
  ].map((work) =>
    work.then(
      () => '',
      (error: Error) => error.message,
    ),
  );
  assert.is(await turns.take(() => 'served'), 'served');
  assert.equal(await Promise.all(failures), ['at once', 'later']);
});

test.run();
