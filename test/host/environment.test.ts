/** No thread sees the environment of the process, which may hold a passphrase. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startThread } from '../../src/actor/thread.ts';
import { makePool } from '../../src/host/pool.ts';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-environment-'));
test.after(() => rmSync(folder, { recursive: true }));

function program(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test.before.each(() => {
  process.env.NSECBUNKER_AUTOUNLOCK_PASSPHRASE = 'of a test';
});
test.after.each(() => {
  delete process.env.NSECBUNKER_AUTOUNLOCK_PASSPHRASE;
});

test("an actor's thread", async () => {
  const file = program('actor.cjs', "require('node:worker_threads').parentPort.postMessage(Object.keys(process.env))");
  const worker = startThread(file, { name: 'test' });
  assert.equal(await once(worker, 'message'), [[]]);
  await worker.terminate();
});

test("a pool's threads", async () => {
  const filename = program('pool.cjs', 'module.exports = () => Object.keys(process.env)');
  const pool = makePool({ filename, maxThreads: 1, maxQueue: 1 });
  assert.equal(await pool.run(null), []);
  await pool.destroy();
});

test.run();
