/**
 * Run by rest.test.ts: this thread, or with `--worker` one that it starts, drops what it held and rests. Prints the bytes that
 * it held, and those that were left when something had collected them.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { getHeapStatistics } from 'node:v8';
import { isMainThread, parentPort } from 'node:worker_threads';
import { startThread } from '../../src/actor/thread.ts';
import { collectAtRest } from '../../src/host/rest.ts';
import { setV8Flags } from '../../src/host/v8-flags.ts';

const HELD = 200_000;

if (isMainThread && process.argv.includes('--worker')) {
  setV8Flags();
  const worker = startThread(fileURLToPath(import.meta.url), { name: 'rest' });
  const [figures] = await once(worker, 'message');
  console.log(JSON.stringify(figures));
  await worker.terminate();
} else if (isMainThread) {
  setV8Flags();
  console.log(JSON.stringify(await rest()));
} else parentPort!.postMessage(await rest());

async function rest(): Promise<{ held: number; left: number }> {
  collectAtRest({ everyMs: 100 });
  let dropped: object[] | null = Array.from({ length: HELD }, (_, i) => ({ text: `item ${i}` }));
  const held = used() * Math.sign(dropped.length);
  dropped = null;
  // Asking costs nothing that would have to be collected.
  while (used() > held / 2) await new Promise((resolve) => setTimeout(resolve, 500));
  return { held, left: used() };
}

function used(): number {
  return getHeapStatistics().used_heap_size;
}
