// deadline: 300 s
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
const FIRST = 100;
const THEN = 400;
/** KiB a thread */
const MOST = 15;

const keyWorker = join(import.meta.dirname, '../../dist/workers/key.cjs');

/** KiB of resident memory that each thread of this kind leaves behind. */
function leftBy(start: string): number {
  const program = `
    import { readFileSync } from 'node:fs';
    import { Worker } from 'node:worker_threads';
    const rss = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    const some = async (count) => {
      for (let i = 0; i < count; i++) {
        const worker = ${start};
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
        await worker.terminate();
      }
    };
    await some(${FIRST});
    const before = rss();
    await some(${THEN});
    console.log((rss() - before) / ${THEN});`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  return Number(printed);
}

const limits = '{ maxYoungGenerationSizeMb: 3, maxOldGenerationSizeMb: 96 }';
const empty = `new Worker("import { parentPort } from 'node:worker_threads'; parentPort.postMessage(0)", { eval: true, env: {}, resourceLimits: ${limits} })`;
const blank = (curve: string) =>
  `new Worker(${JSON.stringify(keyWorker)}, { env: {}, execArgv: [], workerData: { curve: '${curve}', warm: false }, resourceLimits: ${limits} })`;

for (const curve of lacks('libsecp256k1') ? ['wasm'] : ['native', 'wasm']) {
  test(`${curve}: a blank thread that ended leaves no more behind than an empty one`, () => {
    const figures = { curve, emptyKiB: leftBy(empty), blankKiB: leftBy(blank(curve)) };
    printFigures('LEFTOVERS', figures);
    assert.ok(figures.blankKiB - figures.emptyKiB < MOST, JSON.stringify(figures));
  });
}

test.run();
