/**
 * The daemon, run from source, with threads that fail when they are told to. Asked over the process's own channel:
 * `{key, fault}` makes one key's thread fail from within, `{commit}` says what becomes of each COMMIT from now on,
 * `{terminate}` ends the thread of that name.
 */
import { syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import workerThreads from 'node:worker_threads';
import type { Fault } from './faulty-key.ts';
import { COMMIT_FAULT, COMMITS, type Commit } from './faulty-policy.ts';

export type Order = { key: string; fault: Fault } | { commit: Commit } | { terminate: 'policy' | 'vault' | 'admin' };

const FAULTY = new Map(
  ['key', 'policy'].map((name) => [
    `/workers/${name}.ts`,
    fileURLToPath(new URL(`faulty-${name}.ts`, import.meta.url)),
  ]),
);
const commits = new Int32Array(new SharedArrayBuffer(4));
workerThreads.setEnvironmentData(COMMIT_FAULT, commits);
const named = new Map<string, workerThreads.Worker>();

workerThreads.Worker = class extends workerThreads.Worker {
  constructor(file: string, options: workerThreads.WorkerOptions) {
    super(FAULTY.get(/\/workers\/\w+\.ts$/.exec(file)?.[0] ?? '') ?? file, options);
    if (options.name !== undefined) named.set(options.name, this);
  }
} as typeof workerThreads.Worker;
syncBuiltinESMExports();

const channel = new BroadcastChannel('fault');
(channel as unknown as { unref(): void }).unref();
process.on('message', (order: Order) => {
  if ('fault' in order) channel.postMessage(order);
  else if ('commit' in order) {
    Atomics.store(commits, 0, COMMITS.indexOf(order.commit));
    Atomics.notify(commits, 0);
  } else void named.get(order.terminate)?.terminate();
});
process.channel?.unref();

const { main } = await import('../../src/main.ts');
process.exitCode = await main(process.argv.slice(2));
