import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import type { Ask, Tell } from '../../src/actor/protocol.ts';
import { Supervised } from '../../src/actor/supervised.ts';

/** A thread that speaks the link's frames by hand: [0, type, body] tells, [1, id, type, body] asks, [2, id, body] answers. */
const SCRIPT = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', (frames) => {
  for (const [verb, id, type] of frames) {
    if (verb === 0 && id === 'crash') throw new Error('a private thing');
    if (verb === 1 && type === 'hello') parentPort.postMessage([[2, id, 'hello']]);
  }
});`;

type There = { hello: Ask<null, string>; crash: Tell<null> };

function supervise(max: number) {
  const crashes: { reason: string; delay: number | null }[] = [];
  let ups = 0;
  let changed = Promise.withResolvers<void>();
  const child = new Supervised<There, Record<never, never>>({
    name: 'sample',
    start: () => new Worker(SCRIPT, { eval: true }),
    handlers: {},
    up: async (link) => {
      assert.is(await link.ask('hello', null), 'hello');
      ups++;
      changed.resolve();
    },
    down: (reason, delay) => {
      crashes.push({ reason, delay });
      if (delay === null) changed.resolve();
    },
    clock: systemClock,
    restarts: { max, withinMs: 30_000, minDelayMs: 1, maxDelayMs: 5 },
  });
  const crash = async () => {
    changed = Promise.withResolvers();
    child.link.tell('crash', null);
    await changed.promise;
  };
  return { child, crashes, crash, ups: () => ups };
}

test('a child that crashed is started again and brought up anew', async () => {
  const { child, crashes, crash, ups } = supervise(5);
  await child.start();
  await crash();
  assert.is(ups(), 2);
  assert.is(await child.link.ask('hello', null), 'hello');
  assert.is(crashes.length, 1);
  assert.not.match(crashes[0]!.reason, /private/);
  await child.stop();
});

test('a crash loop ends in quarantine', async () => {
  const { child, crashes, crash, ups } = supervise(2);
  await child.start();
  await crash();
  await crash();
  await crash();
  assert.is(ups(), 3);
  assert.is(crashes.at(-1)!.delay, null);
  await child.stop();
});

test('a child that was stopped stays stopped', async () => {
  const { child, crashes } = supervise(2);
  await child.start();
  await child.stop();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.is(crashes.length, 0);
});

test.run();
