/** A thread that rests holds no garbage, and spends little on that. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rest } from '../../src/host/rest.ts';

const CHILD = fileURLToPath(new URL('rest-child.ts', import.meta.url));

/** Of a thread that has done nothing yet. */
function thread(tookMs: number) {
  const at = { idle: 0, active: 0 };
  let now = 0;
  const made = {
    collections: 0,
    first: 0,
    /** The thread works and waits for so long, ms, and is looked at. */
    passes(active: number, idle: number) {
      at.active += active;
      at.idle += idle;
      rest.look();
    },
  };
  const collect = (isFirst: boolean) => {
    made.collections++;
    if (isFirst) made.first++;
    now += tookMs;
  };
  const rest = new Rest(
    collect,
    () => ({ ...at }),
    () => now,
  );
  return made;
}

test('it is collected when the thread rests, not while it works', () => {
  const one = thread(10);
  one.passes(500, 3500);
  one.passes(41, 3959);
  assert.is(one.collections, 0);
  one.passes(39, 3961);
  assert.is(one.collections, 1);
});

test('it is collected again after twenty times as much work as collecting took', () => {
  const one = thread(10);
  one.passes(0, 4000);
  assert.is(one.collections, 1);
  for (let i = 0; i < 6; i++) one.passes(33, 3967);
  assert.is(one.collections, 1, '198 ms of work');
  one.passes(2, 3998);
  assert.is(one.collections, 2);
  one.passes(0, 4000);
  assert.is(one.collections, 2);
  assert.is(one.first, 1);
});

for (const args of [[], ['--worker']]) {
  test(`V8 collects when it is told to, in ${args.length === 0 ? 'the main thread' : 'a worker'}`, () => {
    const { held, left } = JSON.parse(execFileSync(process.execPath, [CHILD, ...args], { encoding: 'utf8' }));
    assert.ok(left < held / 2, `${left} bytes are left of ${held}`);
  });
}

test.run();
