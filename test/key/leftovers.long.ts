// deadline: 900 s
/**
 * Threads of keys come and go all day: one that has ended leaves no more behind than an empty one does. Each kind has a
 * process of its own, since what a process leaves behind cannot be told apart afterwards.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lacks } from '../runner/lacks.ts';
import { printFigures } from '../support/figures.ts';

/** Of the first ones, a process keeps what it will use again. */
const FIRST = 400;
const THEN = 600;
/** KiB a thread; Node's own leftovers of koffi's types and of libsecp256k1's functions were 4 to 5. */
const MOST = 3;

const keyWorker = join(import.meta.dirname, '../../dist/workers/key.cjs');
const source = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

/** KiB of resident memory that each thread of this kind leaves behind. */
function leftBy(start: string): number {
  const program = `
    import { Worker } from 'node:worker_threads';
    import { loadLibc } from ${source('host/libc.ts')};
    import { giveFreePagesBack, giveMemoryBack } from ${source('host/malloc.ts')};
    import { setV8Flags } from ${source('host/v8-flags.ts')};
    setV8Flags();
    const libc = loadLibc();
    giveMemoryBack(libc);
    const rss = async () => {
      gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
      await new Promise((resolve) => setTimeout(resolve, 300));
      giveFreePagesBack(libc);
      return process.memoryUsage.rss();
    };
    const some = async (count) => {
      for (let i = 0; i < count; i++) {
        const worker = ${start};
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
        await worker.terminate();
      }
    };
    await some(${FIRST});
    const before = await rss();
    await some(${THEN});
    console.log((await rss() - before) / 1024 / ${THEN});`;
  const args = ['--expose-gc', '--input-type=module', '-e', program];
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

const limits = '{ maxYoungGenerationSizeMb: 3, maxOldGenerationSizeMb: 96 }';
const empty = `new Worker("import { parentPort } from 'node:worker_threads'; parentPort.postMessage(0)", { eval: true, env: {}, resourceLimits: ${limits} })`;
/** As one that somebody waits for: it rehearses once. */
const blank = (curve: string) => `(() => {
  const worker = new Worker(${JSON.stringify(keyWorker)}, { env: {}, execArgv: [], workerData: { curve: '${curve}', warm: true }, resourceLimits: ${limits} });
  worker.postMessage([[0, 'hurry', null]]);
  return worker;
})()`;

for (const curve of lacks('libsecp256k1') ? ['wasm'] : ['native', 'wasm']) {
  test(`${curve}: a thread that was warm and ended leaves no more behind than an empty one`, () => {
    const figures = { curve, emptyKiB: leftBy(empty), blankKiB: leftBy(blank(curve)) };
    printFigures('LEFTOVERS', figures);
    assert.ok(figures.blankKiB - figures.emptyKiB < MOST, JSON.stringify(figures));
  });
}

test.run();
