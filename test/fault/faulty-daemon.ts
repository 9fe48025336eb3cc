/**
 * The daemon, run from source, with threads that fail when they are told to. Asked over the process's own channel:
 * `{key, fault}` makes one key's thread fail from within, `{terminate}` ends the thread of that name.
 */
import { syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import workerThreads from 'node:worker_threads';
import type { Fault } from './faulty-key.ts';

export type Order = { key: string; fault: Fault } | { terminate: 'policy' | 'vault' | 'admin' };

const FAULTY_KEY = fileURLToPath(new URL('faulty-key.ts', import.meta.url));
const named = new Map<string, workerThreads.Worker>();

workerThreads.Worker = class extends workerThreads.Worker {
  constructor(file: string, options: workerThreads.WorkerOptions) {
    super(file.endsWith('/workers/key.ts') ? FAULTY_KEY : file, options);
    if (options.name !== undefined) named.set(options.name, this);
  }
} as typeof workerThreads.Worker;
syncBuiltinESMExports();

const channel = new BroadcastChannel('fault');
(channel as unknown as { unref(): void }).unref();
process.on('message', (order: Order) => {
  if ('fault' in order) channel.postMessage(order);
  else void named.get(order.terminate)?.terminate();
});
process.channel?.unref();

const { main } = await import('../../src/main.ts');
process.exitCode = await main(process.argv.slice(2));
