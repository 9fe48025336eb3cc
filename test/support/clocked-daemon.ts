/**
 * The daemon, run from source, with a clock that a test moves: asked over the process's own channel, `{advance: ms}` lets
 * time pass, `{set: ms}` sets the wall clock only, on or back, as an administrator does. Every thread has the same one. There is no such thing in a build.
 */
import { syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import workerThreads from 'node:worker_threads';
import { CLOCK_SHIFT, moveClock } from './moved-clock.ts';

const shift = new Float64Array(new SharedArrayBuffer(16));
workerThreads.setEnvironmentData(CLOCK_SHIFT, shift);
moveClock(shift);

const MOVED = fileURLToPath(new URL('moved-clock.ts', import.meta.url));
workerThreads.Worker = class extends workerThreads.Worker {
  constructor(file: string, options: workerThreads.WorkerOptions) {
    super(file, { ...options, execArgv: ['--import', MOVED] });
  }
} as typeof workerThreads.Worker;
syncBuiltinESMExports();

process.on('message', ({ advance = 0, set = 0 }: { advance?: number; set?: number }) => {
  shift[0]! += advance + set;
  shift[1]! += advance;
  process.send!('moved');
});
process.channel?.unref();

const { main } = await import('../../src/main.ts');
process.exitCode = await main(process.argv.slice(2));
