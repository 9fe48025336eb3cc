/** How many blank threads there are; threads themselves are in thread.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { Blanks } from '../../src/key/blanks.ts';
import { Keys } from '../../src/key/keys.ts';
import type { KeyThread } from '../../src/key/thread.ts';
import { until } from '../support/until.ts';

/** `started` says of each thread whether it was to be warm. */
function counted(wanted: () => number) {
  const started: boolean[] = [];
  const thread = { hurry: () => {}, ready: Promise.resolve(true), end: async () => {} } as unknown as KeyThread;
  const blanks = new Blanks((warm) => {
    started.push(warm);
    return thread;
  }, wanted);
  return { blanks, started };
}

test('there are as many as are wanted, and none before', async () => {
  let wanted = 0;
  const { blanks, started } = counted(() => wanted);
  for (wanted of [0, 1, 2, 2, 1, 0]) blanks.fill();
  assert.equal(started, [true, true]);
  await blanks.close();
  wanted = 3;
  blanks.fill();
  assert.is(started.length, 2);
});

test('one that was taken is replaced while it is wanted, and a thread is had at any time', async () => {
  let wanted = 1;
  const { blanks, started } = counted(() => wanted);
  blanks.fill();
  await blanks.take();
  await until('another one is there', () => started.length === 2);
  wanted = 0;
  await Promise.all([blanks.take(), blanks.take()]);
  assert.equal(started, [true, true, false]);
  await blanks.close();
});

test('a thread is wanted for keys that take requests and have none', async () => {
  const keys = new Keys({ clock: systemClock } as unknown as ConstructorParameters<typeof Keys>[0], {
    maxActive: 1,
    clients: async () => null,
    isClient: async () => true,
    blanks: { take: async () => null },
    strangers: undefined as never,
  });
  const [first, second, third] = ['a', 'b', 'c'].map((digit) => keys.add(digit, digit.repeat(64)));
  const wanted = [keys.withoutThread(2)];
  first!.unlock();
  wanted.push(keys.withoutThread(2));
  second!.expect();
  wanted.push(keys.withoutThread(2));
  third!.unlock();
  wanted.push(keys.withoutThread(2), keys.withoutThread(5));
  first!.state = 'active';
  second!.state = 'activating';
  wanted.push(keys.withoutThread(5));
  await third!.lock();
  wanted.push(keys.withoutThread(5));
  assert.equal(wanted, [0, 1, 2, 2, 3, 1, 0]);
});

test.run();
