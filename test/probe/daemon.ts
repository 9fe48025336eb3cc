/**
 * The daemon with probes on its main thread: a tap on its ports, and heap snapshots on demand. Asked over the process's
 * own channel: `{snapshot: file}`, `{plant: hex}` (keeps a secret on the main thread as text, as bytes, and sends it to
 * a worker: each probe must find it).
 */
import { writeHeapSnapshot } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { installTap } from './tap.ts';

installTap(process.env.REDOUBT_PROBE_TAP!);
const { main } = await import('../../src/main.ts');

const planted: unknown[] = [];
process.on('message', (message: { snapshot?: string; plant?: string }) => {
  if (message.snapshot !== undefined) writeHeapSnapshot(message.snapshot);
  if (message.plant !== undefined) {
    const bytes = Uint8Array.from(Buffer.from(message.plant, 'hex'));
    const worker = new Worker('setTimeout(() => {}, 1e6)', { eval: true });
    worker.unref();
    worker.postMessage(bytes);
    // Kept in a flat string of its own, as a careless line of code would.
    planted.push(bytes, JSON.parse(JSON.stringify(message.plant)));
  }
  process.send!('done');
});
process.channel?.unref();

process.exitCode = await main(process.argv.slice(2));
