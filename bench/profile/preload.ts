/** Preloaded into the daemon: the V8 profiler in each of its workers; profiles go to the folder REDOUBT_BENCH_PROFILES. */
import { createRequire, syncBuiltinESMExports } from 'node:module';

const threads = createRequire(import.meta.url)('node:worker_threads') as typeof import('node:worker_threads');
const folder = process.env.REDOUBT_BENCH_PROFILES!;
const Plain = threads.Worker;
let next = 1;

threads.Worker = class extends Plain {
  constructor(file: string | URL, options: import('node:worker_threads').WorkerOptions = {}) {
    const name = `${options.name ?? 'pool'}-${next++}.cpuprofile`;
    const profiler = ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}`];
    super(file, { ...options, execArgv: [...(options.execArgv ?? []), ...profiler] });
  }
};
syncBuiltinESMExports();
